package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"path"
	"sort"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
)

// entry is a file or directory of a layer. Without content it is a directory.
type entry struct {
	name    string // without a slash at the beginning
	content []byte
	mode    int64
	owner   int // user and group
}

func file(name string, content []byte) entry {
	return entry{name: name, content: content, mode: 0o644}
}

func program(name string, content []byte) entry {
	return entry{name: name, content: content, mode: 0o755}
}

func directory(name string, mode int64, owner int) entry {
	return entry{name: name, mode: mode, owner: owner}
}

// layer packs the entries, and the directories that they are in, as a tar.gz. All times are the same.
func layer(entries []entry, at time.Time) (v1.Layer, error) {
	var packed bytes.Buffer
	compressed, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	archive := tar.NewWriter(compressed)
	for _, e := range withParents(entries) {
		header := tar.Header{
			Name: e.name, Mode: e.mode, Uid: e.owner, Gid: e.owner,
			Typeflag: tar.TypeReg, Size: int64(len(e.content)), ModTime: at, Format: tar.FormatUSTAR,
		}
		if e.content == nil {
			header.Typeflag, header.Name = tar.TypeDir, e.name+"/"
		}
		if err := archive.WriteHeader(&header); err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		if _, err := archive.Write(e.content); err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	if err := compressed.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
}

// withParents adds the directories that no entry declares, and sorts all by name, so that a directory comes before what
// is in it.
func withParents(entries []entry) []entry {
	byName := map[string]entry{}
	for _, e := range entries {
		byName[e.name] = e
	}
	for _, e := range entries {
		for parent := path.Dir(e.name); parent != "."; parent = path.Dir(parent) {
			if _, declared := byName[parent]; !declared {
				byName[parent] = directory(parent, 0o755, 0)
			}
		}
	}
	sorted := make([]entry, 0, len(byName))
	for _, e := range byName {
		sorted = append(sorted, e)
	}
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].name < sorted[j].name })
	return sorted
}
