package istio

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/resource"

	"github.com/meshmeter/meshmeter/tests/istio/kubeapi"
)

// applied is what `kubectl apply -k` would bring.
type applied struct {
	t       *testing.T
	objects []*unstructured.Unstructured
}

// build runs kustomize in a folder of istio/. A component is added to the placement that it is a part of.
func build(t *testing.T, folder string) applied {
	t.Helper()
	if placement, isExtension := strings.CutSuffix(folder, "/traffic-extension"); isExtension {
		return buildWith(t, placement, "traffic-extension")
	}
	return kustomize(t, filepath.Join(manifests, folder))
}

// buildWith runs kustomize in an overlay of a placement and components, as istio/ADAPTING.md shows one.
func buildWith(t *testing.T, placement string, components ...string) applied {
	t.Helper()
	whole, err := filepath.Abs(manifests)
	if err != nil {
		t.Fatal(err)
	}
	overlay := t.TempDir()
	below, err := filepath.Rel(overlay, whole)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("resources: [%s/%s]\ncomponents:\n", below, placement)
	for _, component := range components {
		text += fmt.Sprintf("- %s/%s\n", below, component)
	}
	if err := os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return kustomize(t, overlay)
}

func kustomize(t *testing.T, path string) applied {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	found, err := kubeapi.Objects(text)
	if err != nil {
		t.Fatal(err)
	}
	return applied{t, found}
}

// kind gives the objects of a kind of Kubernetes' own.
func kind[T any](a applied, name string) []*T {
	var found []*T
	for _, object := range a.objects {
		if object.GetKind() == name {
			typed := new(T)
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, typed); err != nil {
				a.t.Fatal(err)
			}
			found = append(found, typed)
		}
	}
	return found
}

// spec gives the specs of a kind of Istio's, by namespace/name.
func spec[T any](a applied, name string) map[string]T {
	found := map[string]T{}
	for _, object := range a.objects {
		gvk := object.GroupVersionKind()
		schema, isIstio := collections.All.FindByGroupVersionAliasesKind(resource.FromKubernetesGVK(&gvk))
		if object.GetKind() != name || !isIstio {
			continue
		}
		raw, err := object.MarshalJSON()
		if err != nil {
			a.t.Fatal(err)
		}
		converted, err := judge(schema, raw)
		if err != nil {
			a.t.Fatal(err)
		}
		// The Gateway API has a Gateway, too.
		if typed, ok := converted.Spec.(T); ok {
			found[object.GetNamespace()+"/"+object.GetName()] = typed
		}
	}
	return found
}

// metering gives the pod whose proxy carries the plugin.
func (a applied) metering() corev1.PodTemplateSpec {
	for _, deployment := range kind[appsv1.Deployment](a, "Deployment") {
		for _, container := range deployment.Spec.Template.Spec.Containers {
			if container.Name == "istio-proxy" {
				pod := deployment.Spec.Template
				pod.Namespace = deployment.Namespace
				return pod
			}
		}
	}
	return a.waypoint()
}

// waypoint gives the pod that Istio makes of a waypoint's Gateway, as far as the manifests decide on it.
func (a applied) waypoint() corev1.PodTemplateSpec {
	for _, object := range a.objects {
		if object.GroupVersionKind().Group != "gateway.networking.k8s.io" || object.GetKind() != "Gateway" {
			continue
		}
		name, _, _ := unstructured.NestedString(object.Object, "spec", "infrastructure", "parametersRef", "name")
		annotations, _, _ := unstructured.NestedStringMap(object.Object, "spec", "infrastructure", "annotations")
		for _, overlay := range kind[corev1.ConfigMap](a, "ConfigMap") {
			if overlay.Name != name {
				continue
			}
			var deployment appsv1.Deployment
			if err := yaml.UnmarshalStrict([]byte(overlay.Data["deployment"]), &deployment); err != nil {
				a.t.Fatal(err)
			}
			pod := deployment.Spec.Template
			pod.ObjectMeta = metav1.ObjectMeta{Namespace: object.GetNamespace(), Annotations: annotations}
			// Istio calls its service account after the Gateway.
			pod.Spec.ServiceAccountName = object.GetName()
			return pod
		}
	}
	a.t.Fatal("no pod has a proxy that meters")
	return corev1.PodTemplateSpec{}
}
