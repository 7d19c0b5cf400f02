package kubeapi

import (
	"net/http"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
)

// discover answers what a client asks before it knows what there is. It says whether it did.
func (s *Server) discover(w http.ResponseWriter, parts []string) bool {
	switch {
	case len(parts) == 0:
		respond(w, http.StatusOK, metav1.RootPaths{Paths: []string{"/api", "/apis", "/version"}})
	case len(parts) == 1 && parts[0] == "version":
		respond(w, http.StatusOK, version.Info{Major: "1", Minor: "35", GitVersion: "v1.35.0", Platform: "linux/amd64"})
	case len(parts) == 1 && slices.Contains([]string{"livez", "readyz", "healthz"}, parts[0]):
		w.WriteHeader(http.StatusOK)
	case len(parts) == 1 && parts[0] == "api":
		respond(w, http.StatusOK, metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}})
	case len(parts) == 1 && parts[0] == "apis":
		respond(w, http.StatusOK, s.groups())
	case len(parts) == 2 && parts[0] == "api":
		respond(w, http.StatusOK, s.resources(parts[1]))
	case len(parts) == 3 && parts[0] == "apis":
		respond(w, http.StatusOK, s.resources(parts[1]+"/"+parts[2]))
	case parts[0] != "api" && parts[0] != "apis", len(parts) == 2:
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, "no such page")
	default:
		return false
	}
	return true
}

func (s *Server) groups() metav1.APIGroupList {
	list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIGroupList"}}
	for _, kind := range s.Store.served() {
		if kind.Group == "" {
			continue
		}
		at := slices.IndexFunc(list.Groups, func(g metav1.APIGroup) bool { return g.Name == kind.Group })
		served := metav1.GroupVersionForDiscovery{GroupVersion: kind.groupVersion(), Version: kind.Version}
		if at < 0 {
			list.Groups = append(list.Groups, metav1.APIGroup{Name: kind.Group, PreferredVersion: served})
			at = len(list.Groups) - 1
		}
		if !slices.Contains(list.Groups[at].Versions, served) {
			list.Groups[at].Versions = append(list.Groups[at].Versions, served)
		}
	}
	return list
}

func (s *Server) resources(groupVersion string) metav1.APIResourceList {
	list := metav1.APIResourceList{
		TypeMeta:     metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"},
		GroupVersion: groupVersion, APIResources: []metav1.APIResource{},
	}
	for _, kind := range s.Store.served() {
		if kind.groupVersion() == groupVersion {
			list.APIResources = append(list.APIResources, metav1.APIResource{
				Name: kind.Plural, Kind: kind.Name, Namespaced: kind.Namespaced,
				Verbs: metav1.Verbs{"create", "delete", "get", "list", "patch", "update", "watch"},
			})
		}
	}
	return list
}
