package kubeapi

import (
	"net/url"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

// selected says which objects a query wants: by namespace, labels and fields.
func selected(query url.Values, asked request) (func(*unstructured.Unstructured) bool, error) {
	byLabel, err := labels.Parse(query.Get("labelSelector"))
	if err != nil {
		return nil, err
	}
	byField, err := fields.ParseSelector(query.Get("fieldSelector"))
	if err != nil {
		return nil, err
	}
	return func(object *unstructured.Unstructured) bool {
		if asked.namespace != "" && object.GetNamespace() != asked.namespace {
			return false
		}
		return byLabel.Matches(labels.Set(object.GetLabels())) && byField.Matches(fieldsOf(object))
	}, nil
}

// fieldsOf are the fields that Kubernetes can select by, of all kinds together.
func fieldsOf(object *unstructured.Unstructured) fields.Set {
	set := fields.Set{"metadata.name": object.GetName(), "metadata.namespace": object.GetNamespace()}
	for field, path := range map[string][]string{
		"type": {"type"}, "spec.nodeName": {"spec", "nodeName"}, "status.phase": {"status", "phase"},
		"spec.type": {"spec", "type"}, "spec.clusterIP": {"spec", "clusterIP"},
	} {
		value, _, _ := unstructured.NestedString(object.Object, path...)
		set[field] = value
	}
	return set
}
