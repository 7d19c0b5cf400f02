package kubeapi

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// The patches besides JSON patches: each of them is laid over the object as a JSON merge patch. Lists are replaced whole,
// which is where a strategic merge and an apply by the server would differ.
var patches = []string{
	string(types.MergePatchType), string(types.StrategicMergePatchType), string(types.ApplyYAMLPatchType),
}

// refusal is an answer other than the object.
type refusal struct {
	code    int
	reason  metav1.StatusReason
	message string
}

// write creates, replaces or patches an object.
func (s *Server) write(w http.ResponseWriter, r *http.Request, asked request) {
	patch, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method == http.MethodPatch && patch == string(types.JSONPatchType) {
		s.patchByOperations(w, r, asked)
		return
	}
	given, err := body(r)
	if err != nil {
		refuse(w, http.StatusUnsupportedMediaType, metav1.StatusReasonUnsupportedMediaType, err.Error())
		return
	}
	if r.Method == http.MethodPatch && !slices.Contains(patches, patch) {
		refuse(w, http.StatusUnsupportedMediaType, metav1.StatusReasonUnsupportedMediaType, patch)
		return
	}
	s.Store.mu.Lock()
	object, refused := s.writeLocked(r.Method, patch, asked, given)
	s.Store.mu.Unlock()
	switch {
	case refused != nil:
		refuse(w, refused.code, refused.reason, refused.message)
	case r.Method == http.MethodPost:
		respond(w, http.StatusCreated, asked.shape(object))
	default:
		respond(w, http.StatusOK, asked.shape(object))
	}
}

func (s *Server) writeLocked(
	method, patch string, asked request, given *unstructured.Unstructured,
) (*unstructured.Unstructured, *refusal) {
	if asked.namespace != "" {
		given.SetNamespace(asked.namespace)
	}
	if asked.name == "" {
		asked.name = given.GetName()
	}
	if asked.name == "" && given.GetGenerateName() != "" {
		asked.name = fmt.Sprintf("%s%d", given.GetGenerateName(), s.Store.version)
	}
	given.SetName(asked.name)
	old := s.Store.objects[asked.resource()][nameIn(asked.kind, given)]
	if refused := mayWrite(method, patch, asked, given, old); refused != nil {
		return nil, refused
	}
	object := given
	switch {
	case old != nil && method == http.MethodPatch:
		object = old.DeepCopy()
		merge(object.Object, given.Object)
	case old != nil && asked.status != "":
		// Only the status changes through this path.
		object = old.DeepCopy()
		object.Object["status"] = given.Object["status"]
	}
	stored, err := s.Store.put(asked.kind, object)
	if err != nil {
		return nil, &refusal{http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, err.Error()}
	}
	return stored, nil
}

// patchByOperations carries out a JSON patch (RFC 6902).
func (s *Server) patchByOperations(w http.ResponseWriter, r *http.Request, asked request) {
	text, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	operations, err := jsonpatch.DecodePatch(text)
	if err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	s.Store.mu.Lock()
	defer s.Store.mu.Unlock()
	old, ok := s.Store.objects[asked.resource()][name{asked.namespace, asked.name}]
	if !ok {
		notFound(w, asked)
		return
	}
	changed := &unstructured.Unstructured{}
	whole, err := old.MarshalJSON()
	if err == nil {
		whole, err = operations.Apply(whole)
	}
	if err == nil {
		err = changed.UnmarshalJSON(whole)
	}
	if err == nil {
		changed, err = s.Store.put(asked.kind, changed)
	}
	if err != nil {
		// A test in the patch that fails, for one.
		refuse(w, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, err.Error())
		return
	}
	respond(w, http.StatusOK, asked.shape(changed))
}

func mayWrite(method, patch string, asked request, given, old *unstructured.Unstructured) *refusal {
	version := given.GetResourceVersion()
	called := fmt.Sprintf("%s %q", asked.kind.Plural, asked.name)
	switch {
	case method == http.MethodPost && old != nil:
		return &refusal{http.StatusConflict, metav1.StatusReasonAlreadyExists, called + " already exists"}
	case method != http.MethodPost && old == nil && patch != string(types.ApplyYAMLPatchType):
		return &refusal{http.StatusNotFound, metav1.StatusReasonNotFound, called + " not found"}
	case method != http.MethodPost && old != nil && version != "" && version != old.GetResourceVersion():
		return &refusal{http.StatusConflict, metav1.StatusReasonConflict, called + " has been changed"}
	}
	return nil
}

// merge lays a JSON merge patch (RFC 7386) over an object.
func merge(into, patch map[string]any) {
	for key, value := range patch {
		fields, isObject := value.(map[string]any)
		switch {
		case value == nil:
			delete(into, key)
		case isObject:
			below, ok := into[key].(map[string]any)
			if !ok {
				below = map[string]any{}
			}
			merge(below, fields)
			into[key] = below
		default:
			into[key] = value
		}
	}
}
