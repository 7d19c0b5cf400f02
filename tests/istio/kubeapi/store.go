package kubeapi

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// history is how many changes a watch can be behind. One that is further behind is told to list again, as by etcd's
// compaction.
const history = 8192

// resource is where objects of one kind are kept: all versions of a kind share them.
type resource struct{ group, plural string }

type name struct{ namespace, name string }

// change is what happened to one object: old is nil when it was created, new when it was deleted.
type change struct {
	version  int64
	of       resource
	old, new *unstructured.Unstructured
}

// Store holds the objects. What it returns must not be changed.
type Store struct {
	mu      sync.Mutex
	kinds   []Kind
	objects map[resource]map[name]*unstructured.Unstructured
	changes []change
	keep    int
	version int64
	// Closed and replaced at every change: whoever watches waits for it.
	changed chan struct{}
}

// NewStore makes one with the namespaces that each cluster has.
func NewStore() *Store {
	s := &Store{
		kinds:   slices.Clone(builtIn),
		objects: map[resource]map[name]*unstructured.Unstructured{},
		keep:    history,
		changed: make(chan struct{}),
	}
	for _, namespace := range []string{"default", "kube-system", "istio-system"} {
		s.ensureNamespace(namespace)
	}
	return s
}

// Put creates an object or replaces it, and with it the namespace that it is in. Kinds that Kubernetes does not have need
// their CustomResourceDefinition first.
func (s *Store) Put(objects ...*unstructured.Unstructured) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, object := range objects {
		kind, ok := find(s.kinds, object)
		if !ok {
			return fmt.Errorf("%s %s: the API has no such kind", object.GetAPIVersion(), object.GetKind())
		}
		if _, err := s.put(kind, object); err != nil {
			return err
		}
	}
	return nil
}

// Delete removes an object, if it is there.
func (s *Store) Delete(object *unstructured.Unstructured) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kind, ok := find(s.kinds, object); ok {
		s.remove(kind, nameIn(kind, object))
	}
}

// Get gives the object of a kind ("Secret"), if it is there.
func (s *Store) Get(kind, namespace, called string) (*unstructured.Unstructured, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.kinds {
		if k.Name == kind {
			object, ok := s.objects[resource{k.Group, k.Plural}][name{namespace, called}]
			return object, ok
		}
	}
	return nil, false
}

func nameIn(kind Kind, object *unstructured.Unstructured) name {
	if !kind.Namespaced {
		return name{"", object.GetName()}
	}
	namespace := object.GetNamespace()
	if namespace == "" {
		namespace = "default"
	}
	return name{namespace, object.GetName()}
}

// put needs the lock. It returns the object as it is kept.
func (s *Store) put(kind Kind, given *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	at, of := nameIn(kind, given), resource{kind.Group, kind.Plural}
	if at.name == "" {
		return nil, fmt.Errorf("%s: metadata.name is absent", kind.Name)
	}
	object := given.DeepCopy()
	object.SetAPIVersion(kind.groupVersion())
	object.SetKind(kind.Name)
	if kind.Namespaced {
		object.SetNamespace(at.namespace)
		s.ensureNamespace(at.namespace)
	}
	old := s.objects[of][at]
	if old != nil {
		object.SetUID(old.GetUID())
		object.SetCreationTimestamp(old.GetCreationTimestamp())
		object.SetGeneration(old.GetGeneration())
		object.SetResourceVersion(old.GetResourceVersion())
		if sameContent(old, object) {
			return old, nil
		}
	} else {
		// Whole seconds, as on the wire.
		created := map[string]any{"creationTimestamp": time.Now().UTC().Format(time.RFC3339)}
		metadata, _ := object.Object["metadata"].(map[string]any)
		maps.Copy(metadata, created)
		object.SetUID(types.UID(fmt.Sprintf("%s.%s.%s.%s", kind.Plural, kind.Group, at.namespace, at.name)))
	}
	if kind.Plural == customResourceDefinitions {
		defined, err := kindsOf(object)
		if err != nil {
			return nil, err
		}
		for _, k := range defined {
			if !slices.Contains(s.kinds, k) {
				s.kinds = append(s.kinds, k)
			}
		}
		establish(object)
	}
	if old == nil || !sameContent(described(old), described(object)) {
		object.SetGeneration(object.GetGeneration() + 1)
	}
	if s.objects[of] == nil {
		s.objects[of] = map[name]*unstructured.Unstructured{}
	}
	s.note(of, old, object)
	s.objects[of][at] = object
	return object, nil
}

func sameContent(a, b *unstructured.Unstructured) bool {
	one, errOne := a.MarshalJSON()
	other, errOther := b.MarshalJSON()
	return errOne == nil && errOther == nil && string(one) == string(other)
}

// described is what a generation counts the changes of: neither the status nor the metadata.
func described(object *unstructured.Unstructured) *unstructured.Unstructured {
	rest := map[string]any{}
	for field, value := range object.Object {
		if field != "status" && field != "metadata" {
			rest[field] = value
		}
	}
	return &unstructured.Unstructured{Object: rest}
}

// establish adds the condition that clients wait for before they use a new kind.
func establish(crd *unstructured.Unstructured) {
	condition := map[string]any{"type": "Established", "status": "True", "reason": "InitialNamesAccepted"}
	// The object is a fresh copy: the path exists or can be made.
	_ = unstructured.SetNestedSlice(crd.Object, []any{condition}, "status", "conditions")
}

// remove needs the lock.
func (s *Store) remove(kind Kind, at name) (*unstructured.Unstructured, bool) {
	of := resource{kind.Group, kind.Plural}
	old, ok := s.objects[of][at]
	if !ok {
		return nil, false
	}
	delete(s.objects[of], at)
	s.note(of, old, nil)
	return old, true
}

func (s *Store) note(of resource, old, changed *unstructured.Unstructured) {
	s.version++
	if changed != nil {
		changed.SetResourceVersion(strconv.FormatInt(s.version, 10))
	}
	s.changes = append(s.changes, change{s.version, of, old, changed})
	if excess := len(s.changes) - s.keep; excess > 0 {
		s.changes = slices.Delete(s.changes, 0, excess)
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Store) ensureNamespace(called string) {
	kind := builtIn[0]
	if _, ok := s.objects[resource{kind.Group, kind.Plural}][name{"", called}]; ok {
		return
	}
	namespace := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace",
		"metadata": map[string]any{"name": called, "labels": map[string]any{"kubernetes.io/metadata.name": called}},
		"status":   map[string]any{"phase": "Active"},
	}}
	// A namespace with a name cannot fail.
	_, _ = s.put(kind, namespace)
}

// list gives the objects in the order of their names, and the version that they are of.
func (s *Store) list(of resource, wanted func(*unstructured.Unstructured) bool) ([]*unstructured.Unstructured, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listLocked(of, wanted), s.version
}

func (s *Store) listLocked(of resource, wanted func(*unstructured.Unstructured) bool) []*unstructured.Unstructured {
	found := slices.Collect(func(yield func(*unstructured.Unstructured) bool) {
		for _, object := range s.objects[of] {
			if wanted(object) && !yield(object) {
				return
			}
		}
	})
	slices.SortFunc(found, func(a, b *unstructured.Unstructured) int {
		return strings.Compare(a.GetNamespace()+"/"+a.GetName(), b.GetNamespace()+"/"+b.GetName())
	})
	return found
}

// since gives what changed after a version, and what is closed at the next change. It fails if that is no longer known.
func (s *Store) since(version int64) ([]change, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.changes) > 0 && version+1 < s.changes[0].version {
		return nil, nil, fmt.Errorf("version %d is no longer known, the oldest is %d", version, s.changes[0].version)
	}
	first, _ := slices.BinarySearchFunc(s.changes, version+1, func(c change, v int64) int { return int(c.version - v) })
	return slices.Clone(s.changes[first:]), s.changed, nil
}

// served gives the kinds, those that CustomResourceDefinitions brought included.
func (s *Store) served() []Kind {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.kinds)
}
