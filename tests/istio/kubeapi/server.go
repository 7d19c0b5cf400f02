package kubeapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	wholenumbers "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/kubernetes/scheme"
)

// maxBody bounds what a client may send.
const maxBody = 4 << 20

// Account is whom a token belongs to.
type Account struct{ Namespace, Name, Pod string }

// Server answers as an API server does.
type Server struct {
	// Store has the objects.
	Store *Store
	// Tokens says whom a token belongs to, for TokenReview. Without it no token is anybody's.
	Tokens func(token string) (Account, bool)
}

// request is a path of the API, taken apart.
type request struct {
	kind                    Kind
	namespace, name, status string
	// Only the metadata was asked for.
	metadataOnly bool
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.FieldsFunc(r.URL.Path, func(c rune) bool { return c == '/' })
	if s.discover(w, parts) {
		return
	}
	if r.Method == http.MethodPost && slices.Contains(reviews, parts[len(parts)-1]) {
		s.review(w, r, parts[len(parts)-1])
		return
	}
	asked, ok := s.parse(parts)
	if !ok {
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, r.URL.Path+": no such resource")
		return
	}
	asked.metadataOnly = strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata")
	switch {
	case r.Method == http.MethodGet && asked.name != "":
		s.get(w, asked)
	case r.Method == http.MethodGet && isTrue(r.URL.Query().Get("watch")):
		s.watch(w, r, asked)
	case r.Method == http.MethodGet:
		s.list(w, r, asked)
	case r.Method == http.MethodDelete && asked.name != "":
		s.delete(w, asked)
	case r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		s.write(w, r, asked)
	default:
		refuse(w, http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, r.Method+" "+r.URL.Path)
	}
}

func isTrue(text string) bool { return text == "true" || text == "1" }

// parse takes /api/v1/... and /apis/GROUP/VERSION/... apart.
func (s *Server) parse(parts []string) (request, bool) {
	var asked request
	group, version := "", ""
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		version, parts = parts[1], parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		group, version, parts = parts[1], parts[2], parts[3:]
	default:
		return asked, false
	}
	if len(parts) >= 3 && parts[0] == "namespaces" && parts[2] != "status" {
		asked.namespace, parts = parts[1], parts[2:]
	}
	kinds := s.Store.served()
	i := slices.IndexFunc(kinds, func(k Kind) bool {
		return k.Group == group && k.Version == version && k.Plural == parts[0]
	})
	if i < 0 || len(parts) > 3 {
		return asked, false
	}
	asked.kind = kinds[i]
	if len(parts) > 1 {
		asked.name = parts[1]
	}
	if len(parts) > 2 {
		asked.status = parts[2]
	}
	return asked, asked.status == "" || asked.status == "status"
}

func (s *Server) get(w http.ResponseWriter, asked request) {
	object, ok := s.Store.at(asked)
	if !ok {
		notFound(w, asked)
		return
	}
	respond(w, http.StatusOK, asked.shape(object))
}

func (s *Store) at(asked request) (*unstructured.Unstructured, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	object, ok := s.objects[asked.resource()][name{asked.namespace, asked.name}]
	return object, ok
}

func (r request) resource() resource { return resource{r.kind.Group, r.kind.Plural} }

// shape gives an object as it was asked for: in the version of the path, whole or its metadata alone.
func (r request) shape(object *unstructured.Unstructured) map[string]any {
	if r.metadataOnly {
		return map[string]any{
			"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object.Object["metadata"],
		}
	}
	if object.GetAPIVersion() == r.kind.groupVersion() {
		return object.Object
	}
	other := map[string]any{}
	for key, value := range object.Object {
		other[key] = value
	}
	other["apiVersion"] = r.kind.groupVersion()
	return other
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, asked request) {
	wanted, err := selected(r.URL.Query(), asked)
	if err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	objects, version := s.Store.list(asked.resource(), wanted)
	items := make([]any, len(objects))
	for i, object := range objects {
		items[i] = asked.shape(object)
	}
	list := map[string]any{
		"apiVersion": asked.kind.groupVersion(), "kind": asked.kind.Name + "List",
		"metadata": map[string]any{"resourceVersion": fmt.Sprint(version)}, "items": items,
	}
	if asked.metadataOnly {
		list["apiVersion"], list["kind"] = "meta.k8s.io/v1", "PartialObjectMetadataList"
	}
	respond(w, http.StatusOK, list)
}

func (s *Server) delete(w http.ResponseWriter, asked request) {
	s.Store.mu.Lock()
	_, ok := s.Store.remove(asked.kind, name{asked.namespace, asked.name})
	s.Store.mu.Unlock()
	if !ok {
		notFound(w, asked)
		return
	}
	respond(w, http.StatusOK, metav1.Status{TypeMeta: statusType, Status: metav1.StatusSuccess})
}

var statusType = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}

func notFound(w http.ResponseWriter, asked request) {
	message := fmt.Sprintf("%s %q not found", asked.kind.Plural, asked.name)
	refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, message)
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	respond(w, code, metav1.Status{
		TypeMeta: statusType, Status: metav1.StatusFailure,
		Reason: reason, Message: message, Code: int32(code), //nolint:gosec // a status code
	})
}

func respond(w http.ResponseWriter, code int, object any) {
	text, err := json.Marshal(object)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// A client that has gone needs no answer.
	_, _ = w.Write(text)
}

// body reads an object that a client sent, as JSON or protobuf.
func body(r *http.Request) (*unstructured.Unstructured, error) {
	text, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxBody {
		return nil, errors.New("the body is too large")
	}
	object := &unstructured.Unstructured{}
	if r.Header.Get("Content-Type") == runtime.ContentTypeProtobuf {
		typed, kind, err := scheme.Codecs.UniversalDeserializer().Decode(text, nil, nil)
		if err != nil {
			return nil, err
		}
		if object.Object, err = runtime.DefaultUnstructuredConverter.ToUnstructured(typed); err != nil {
			return nil, err
		}
		object.SetGroupVersionKind(*kind)
		return object, nil
	}
	// Numbers stay whole, as the rest of Kubernetes' code expects.
	if err := wholenumbers.Unmarshal(text, &object.Object); err != nil {
		return nil, fmt.Errorf("neither JSON nor protobuf: %w", err)
	}
	return object, nil
}
