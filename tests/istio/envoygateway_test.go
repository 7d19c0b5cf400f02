// The manifests in envoy/gateway, by Envoy Gateway's own schemas and those of the Gateway API that it is released with.
package istio

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"istio.io/istio/pkg/config/crd"
	"istio.io/istio/pkg/util/protomarshal"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"

	// The types of what the bootstrap holds as Any.
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
)

const gatewayManifests = "../envoy/gateway"

func newGatewayCluster(t *testing.T) cluster {
	t.Helper()
	crds := filepath.Join(source(t, envoyGateway), "charts/gateway-helm/charts/crds/crds")
	files, err := filepath.Glob(filepath.Join(crds, "generated/*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no definitions in %s: %v", crds, err)
	}
	schemas, err := crd.NewValidatorFromFiles(append(files, filepath.Join(crds, "gatewayapi-crds.yaml"))...)
	if err != nil {
		t.Fatal(err)
	}
	return cluster{schemas, serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict)}
}

func TestEnvoyGatewayTakesItsManifests(t *testing.T) {
	c := newGatewayCluster(t)
	objects := build(t, gatewayManifests).objects
	if len(objects) < 10 {
		t.Errorf("only %d objects", len(objects))
	}
	for _, object := range objects {
		if err := c.admit(object); err != nil {
			t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
		}
	}
}

func TestEnvoyGatewayRefusesBrokenManifests(t *testing.T) {
	c := newGatewayCluster(t)
	files, err := filepath.Glob("testdata/refused-envoy-gateway/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("fixtures: %v: %v", files, err)
	}
	for _, path := range files {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.admitFile(file); err == nil || !strings.Contains(err.Error(), expected(t, file, "# refused: ")) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// The bootstrap's part is read as Envoy reads it; it has the plugin's cluster, and a rule for every label.
func TestEnvoyGatewaysBootstrapIsEnvoys(t *testing.T) {
	for _, object := range build(t, gatewayManifests).objects {
		if object.GetKind() != "EnvoyProxy" {
			continue
		}
		value, _, _ := unstructured.NestedString(object.Object, "spec", "bootstrap", "value")
		var merged bootstrap.Bootstrap
		if err := protomarshal.ApplyYAMLStrict(value, &merged); err != nil {
			t.Fatal(err)
		}
		if err := merged.Validate(); err != nil {
			t.Error(err)
		}
		var labels []string
		for _, tag := range merged.StatsConfig.StatsTags {
			labels = append(labels, tag.TagName)
		}
		if want := sorted(metricsLabels(t)); !reflect.DeepEqual(sorted(labels), want) {
			t.Errorf("stats_tags are %v, the metrics' labels are %v", labels, want)
		}
		settings := gatewayPlugin(t)["config"].(map[string]any)
		if name := settings["collector"].(map[string]any)["cluster"]; name != merged.StaticResources.Clusters[0].Name {
			t.Errorf("the plugin calls the cluster %v", name)
		}
		return
	}
	t.Fatal("no EnvoyProxy")
}

// gatewayPlugin gives the plugin of the EnvoyExtensionPolicy.
func gatewayPlugin(t *testing.T) map[string]any {
	t.Helper()
	for _, object := range build(t, gatewayManifests).objects {
		if object.GetKind() == "EnvoyExtensionPolicy" {
			plugins, _, err := unstructured.NestedSlice(object.Object, "spec", "wasm")
			if err != nil || len(plugins) != 1 {
				t.Fatalf("%d plugins: %v", len(plugins), err)
			}
			return plugins[0].(map[string]any)
		}
	}
	t.Fatal("no EnvoyExtensionPolicy")
	return nil
}

func TestEnvoyGatewaysPluginConfigPassesMeshmeterCheck(t *testing.T) {
	meshmeter := os.Getenv("MESHMETER_COLLECTOR")
	if meshmeter == "" {
		t.Skip("MESHMETER_COLLECTOR, the path of the binary meshmeter, is not set")
	}
	text, err := json.Marshal(gatewayPlugin(t)["config"])
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "plugin.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command(meshmeter, "check", file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
}
