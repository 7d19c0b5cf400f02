package kubeapi

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Kind is a resource that the API serves.
type Kind struct {
	Group, Version, Plural, Name string
	Namespaced                   bool
}

func (k Kind) groupVersion() string {
	if k.Group == "" {
		return k.Version
	}
	return k.Group + "/" + k.Version
}

// builtIn are the kinds of Kubernetes itself that Istio reads or writes, and those that manifests hold.
var builtIn = []Kind{
	{"", "v1", "namespaces", "Namespace", false},
	{"", "v1", "nodes", "Node", false},
	{"", "v1", "services", "Service", true},
	{"", "v1", "pods", "Pod", true},
	{"", "v1", "endpoints", "Endpoints", true},
	{"", "v1", "secrets", "Secret", true},
	{"", "v1", "configmaps", "ConfigMap", true},
	{"", "v1", "serviceaccounts", "ServiceAccount", true},
	{"", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", true},
	{"", "v1", "events", "Event", true},
	{"apps", "v1", "deployments", "Deployment", true},
	{"apps", "v1", "statefulsets", "StatefulSet", true},
	{"apps", "v1", "daemonsets", "DaemonSet", true},
	{"apps", "v1", "replicasets", "ReplicaSet", true},
	{"batch", "v1", "jobs", "Job", true},
	{"batch", "v1", "cronjobs", "CronJob", true},
	{"autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", true},
	{"policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true},
	{"networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", true},
	{"networking.k8s.io", "v1", "ingresses", "Ingress", true},
	{"networking.k8s.io", "v1", "ingressclasses", "IngressClass", false},
	{"rbac.authorization.k8s.io", "v1", "roles", "Role", true},
	{"rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", true},
	{"rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", false},
	{"rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", false},
	{"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true},
	{"coordination.k8s.io", "v1", "leases", "Lease", true},
	{"certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", false},
	{"admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", false},
	{"admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", false},
	{"admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", false},
	{"admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", false},
	{"apiextensions.k8s.io", "v1", customResourceDefinitions, "CustomResourceDefinition", false},
}

const customResourceDefinitions = "customresourcedefinitions"

// kindsOf reads the kinds that a CustomResourceDefinition defines, one for each version that it serves.
func kindsOf(crd *unstructured.Unstructured) ([]Kind, error) {
	text := func(fields ...string) string {
		value, _, _ := unstructured.NestedString(crd.Object, fields...)
		return value
	}
	versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
	if err != nil {
		return nil, err
	}
	var found []Kind
	for _, version := range versions {
		fields, _ := version.(map[string]any)
		name, _ := fields["name"].(string)
		if served, _ := fields["served"].(bool); !served || name == "" {
			continue
		}
		found = append(found, Kind{
			Group: text("spec", "group"), Version: name,
			Plural: text("spec", "names", "plural"), Name: text("spec", "names", "kind"),
			Namespaced: text("spec", "scope") == "Namespaced",
		})
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s serves no version", crd.GetName())
	}
	return found, nil
}

// find gives the kind of an object by what the object says of itself.
func find(kinds []Kind, object *unstructured.Unstructured) (Kind, bool) {
	i := slices.IndexFunc(kinds, func(k Kind) bool {
		return k.groupVersion() == object.GetAPIVersion() && k.Name == object.GetKind()
	})
	if i < 0 {
		return Kind{}, false
	}
	return kinds[i], true
}
