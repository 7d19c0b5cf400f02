// The pods of the placements as Istio's own injector makes them, and what the PodMonitors find in them.
package istio

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/kube/inject"
	"istio.io/istio/pkg/test/env"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/meshmeter/meshmeter/tests/istio/kubeapi"
)

// discovery is the chart of istiod, which brings the injector's templates and their values.
const discovery = "manifests/charts/istio-control/istio-discovery"

func chartFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(env.IstioSrc, discovery, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// injected is the pod that Istio's injector makes of a Deployment's, with the sidecar as a container or as an init
// container (a native sidecar).
func injected(t *testing.T, deployment *appsv1.Deployment, native string) corev1.PodTemplateSpec {
	t.Helper()
	templates, err := inject.ParseTemplates(inject.RawTemplates{
		"sidecar": string(chartFile(t, "files/injection-template.yaml")),
		"gateway": string(chartFile(t, "files/gateway-injection-template.yaml")),
	})
	if err != nil {
		t.Fatal(err)
	}
	var defaults map[string]map[string]any
	if err := yaml.Unmarshal(chartFile(t, "values.yaml"), &defaults); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(defaults["_internal_defaults_do_not_set"])
	if err != nil {
		t.Fatal(err)
	}
	values, err := inject.NewValuesConfig(string(text))
	if err != nil {
		t.Fatal(err)
	}
	deployment = deployment.DeepCopy()
	deployment.Spec.Template.Annotations["sidecar.istio.io/nativeSidecar"] = native
	warn := func(said string) { t.Error(said) }
	made, err := inject.IntoObject(nil, templates, values, "default", mesh.DefaultMeshConfig(), deployment, warn)
	if err != nil {
		t.Fatal(err)
	}
	return made.(*appsv1.Deployment).Spec.Template
}

// proxy finds the sidecar in an injected pod.
func proxy(t *testing.T, pod corev1.PodTemplateSpec) corev1.Container {
	t.Helper()
	var found []corev1.Container
	for _, container := range append(slices.Clone(pod.Spec.InitContainers), pod.Spec.Containers...) {
		if container.Name == "istio-proxy" {
			found = append(found, container)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d containers are called istio-proxy", len(found))
	}
	return found[0]
}

// deployed is the Deployment whose pods carry the plugin; nil for a waypoint, whose Deployment Istio makes.
func (a applied) deployed() *appsv1.Deployment {
	for _, deployment := range kind[appsv1.Deployment](a, "Deployment") {
		for _, container := range deployment.Spec.Template.Spec.Containers {
			if container.Name == "istio-proxy" {
				return deployment
			}
		}
	}
	return nil
}

// scrapedPort is the port that the PodMonitor of a placement names.
func scrapedPort(t *testing.T, placement string) string {
	t.Helper()
	objects, err := kubeapi.Objects(read(t, "monitoring/"+placement+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if object.GetKind() != "PodMonitor" {
			continue
		}
		endpoints, _, _ := unstructured.NestedSlice(object.Object, "spec", "podMetricsEndpoints")
		port, _ := endpoints[0].(map[string]any)["port"].(string)
		return port
	}
	t.Fatalf("%s has no PodMonitor", placement)
	return ""
}

// Prometheus finds only ports that a container declares: the injected proxy has the one that the PodMonitor names, the
// token, and what its template gives it.
func TestThePodMonitorsFindTheInjectedProxies(t *testing.T) {
	for _, name := range []string{"egress-gateway", "sidecar-server", "sidecar-client"} {
		deployment := build(t, name).deployed()
		for _, native := range []string{"false", "true"} {
			container := proxy(t, injected(t, deployment, native))
			numbers := map[string]int32{}
			for _, port := range container.Ports {
				numbers[port.Name] = port.ContainerPort
			}
			if port := scrapedPort(t, name); port == "" || numbers[port] != 15020 {
				t.Errorf("%s, native sidecar %s: the PodMonitor names %q, the proxy declares %v", name, native, port, numbers)
			}
			if numbers["http-envoy-prom"] != 15090 {
				t.Errorf("%s, native sidecar %s: of the template's ports there are %v", name, native, numbers)
			}
			if !slices.ContainsFunc(container.Env, func(e corev1.EnvVar) bool { return e.Name == "MESHMETER_INGEST_TOKEN" }) {
				t.Errorf("%s, native sidecar %s: the proxy has no token", name, native)
			}
		}
	}
	// A waypoint's container is Istio's own, and its template declares the port.
	const declared = "- containerPort: 15020\n          name: metrics\n"
	if port := scrapedPort(t, "waypoint"); port != "metrics" || !strings.Contains(string(chartFile(t, "files/waypoint.yaml")), declared) {
		t.Errorf("waypoint: the PodMonitor names %q", port)
	}
}

// istiod's own port, which a PodMonitor names by its number, is declared by Istio's chart.
func TestThePodMonitorFindsIstiod(t *testing.T) {
	objects, err := kubeapi.Objects(read(t, "monitoring/collector.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if object.GetName() != "meshmeter-istiod" {
			continue
		}
		endpoints, _, _ := unstructured.NestedSlice(object.Object, "spec", "podMetricsEndpoints")
		number, _ := endpoints[0].(map[string]any)["portNumber"].(int64)
		declared := fmt.Sprintf("- containerPort: %d\n", number)
		if number == 0 || !strings.Contains(string(chartFile(t, "templates/deployment.yaml")), declared) {
			t.Errorf("the PodMonitor names %v", endpoints[0])
		}
		return
	}
	t.Error("no PodMonitor is for istiod")
}
