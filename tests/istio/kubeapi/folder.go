package kubeapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// lookEvery is how soon a changed file is noticed.
const lookEvery = 100 * time.Millisecond

// Objects reads the objects of a YAML file. A key that stands twice is an error.
func Objects(file []byte) ([]*unstructured.Unstructured, error) {
	var found []*unstructured.Unstructured
	documents := kubeyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(file)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		text, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			return nil, err
		}
		if string(text) == "null" {
			continue // comments only
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(text); err != nil {
			return nil, err
		}
		found = append(found, object)
	}
}

func readFile(path string) ([]*unstructured.Unstructured, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	found, err := Objects(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return found, nil
}

// PutFile puts in what a YAML file holds.
func (s *Store) PutFile(path string) error {
	found, err := readFile(path)
	if err != nil {
		return err
	}
	return s.Put(found...)
}

// Folder keeps the store equal to the YAML files in a directory and below it.
type Folder struct {
	store *Store
	path  string
	held  map[string]*unstructured.Unstructured
	state string
}

// NewFolder reads the directory for the first time.
func NewFolder(store *Store, path string) (*Folder, error) {
	f := &Folder{store: store, path: path, held: map[string]*unstructured.Unstructured{}}
	return f, f.Read()
}

// Read puts in what is new or changed, and takes out what is no longer there. If a file cannot be read, nothing changes:
// it may be half written.
func (f *Folder) Read() error {
	var state strings.Builder
	var files []string
	err := filepath.WalkDir(f.path, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(path)) {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		files = append(files, path)
		fmt.Fprintln(&state, path, info.Size(), info.ModTime().UnixNano())
		return nil
	})
	if err != nil || state.String() == f.state {
		return err
	}
	now := map[string]*unstructured.Unstructured{}
	var order []string
	for _, path := range files {
		found, err := readFile(path)
		if err != nil {
			return err
		}
		for _, object := range found {
			key := fmt.Sprint(object.GroupVersionKind().GroupKind(), object.GetNamespace(), "/", object.GetName())
			now[key] = object
			order = append(order, key)
		}
	}
	f.state = state.String()
	var failed error
	for _, key := range order {
		if held := f.held[key]; held == nil || !sameContent(held, now[key]) {
			failed = errors.Join(failed, f.store.Put(now[key]))
		}
	}
	for key, object := range f.held {
		if now[key] == nil {
			f.store.Delete(object)
		}
	}
	f.held = now
	return failed
}

// Follow reads again whenever something changes, until the context ends.
func (f *Folder) Follow(ctx context.Context, failed func(error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookEvery):
			if err := f.Read(); err != nil {
				failed(err)
			}
		}
	}
}
