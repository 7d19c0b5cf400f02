// Package istio holds every manifest of istio/ against what would judge it in a cluster: the schemas of Istio's custom
// resources (OpenAPI and CEL), the rules of istiod's admission webhook, and the types of Kubernetes.
package istio

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	meshconfig "istio.io/api/mesh/v1alpha1"
	istiocrd "istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/crd"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/resource"
	"istio.io/istio/pkg/config/validation/agent"
	"istio.io/istio/pkg/test/env"
	"istio.io/istio/pkg/util/protomarshal"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"github.com/meshmeter/meshmeter/tests/istio/kubeapi"
)

const (
	manifests = "../../istio"
	// The release of Envoy Gateway, and that of the Prometheus operator, whose schemas are asked.
	envoyGateway       = "github.com/envoyproxy/gateway@v1.9.1"
	prometheusOperator = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
)

// cluster says what the API server and istiod of a cluster would say.
type cluster struct {
	schemas *crd.Validator
	kinds   serializer.CodecFactory
}

// newCluster knows the custom resource definitions of Istio, of the Gateway API as Istio is tested with it, and of the
// Prometheus operator.
func newCluster(t *testing.T) cluster {
	t.Helper()
	folder := filepath.Join(source(t, prometheusOperator), "example/prometheus-operator-crd")
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no definitions in %s: %v", folder, err)
	}
	files = append(files,
		filepath.Join(env.IstioSrc, "manifests/charts/base/files/crd-all.gen.yaml"),
		filepath.Join(env.IstioSrc, "tests/integration/pilot/testdata/gateway-api-crd.yaml"),
	)
	schemas, err := crd.NewValidatorFromFiles(files...)
	if err != nil {
		t.Fatal(err)
	}
	return cluster{schemas, serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict)}
}

// source gives the folder of a module that is read and not built; Go checks its sum against the public record.
func source(t *testing.T, module string) string {
	t.Helper()
	command := exec.Command("go", "mod", "download", "-json", module)
	command.Dir = t.TempDir()
	said, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", module, err, said)
	}
	var found struct{ Dir string }
	if err := json.Unmarshal(said, &found); err != nil {
		t.Fatal(err)
	}
	return found.Dir
}

// admit gives nil if the object would be taken, without a warning.
func (c cluster) admit(object *unstructured.Unstructured) error {
	gvk := object.GroupVersionKind()
	raw, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	// The groups of custom resources have a dot that those of Kubernetes itself do not have.
	if !strings.Contains(strings.TrimSuffix(gvk.Group, ".k8s.io"), ".") {
		// Strict: an unknown field is an error.
		_, _, err := c.kinds.UniversalDeserializer().Decode(raw, nil, nil)
		return err
	}
	if err := c.schemas.ValidateCustomResource(object); err != nil {
		return err
	}
	if !strings.HasSuffix(gvk.Group, ".istio.io") {
		return nil
	}
	istioSchema, isIstio := collections.All.FindByGroupVersionAliasesKind(resource.FromKubernetesGVK(&gvk))
	if !isIstio {
		return fmt.Errorf("%v is no kind of Istio's", gvk)
	}
	_, err = judge(istioSchema, raw)
	return err
}

// judge is istiod's admission webhook; a warning counts as an error.
func judge(s resource.Schema, raw []byte) (*config.Config, error) {
	var kind istiocrd.IstioKind
	if err := yaml.Unmarshal(raw, &kind); err != nil {
		return nil, err
	}
	converted, err := istiocrd.ConvertObject(s, &kind, "cluster.local")
	if err != nil {
		return nil, err
	}
	warning, err := s.ValidateConfig(*converted)
	return converted, errors.Join(err, warning)
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(manifests, name))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// admitFile is what `kubectl apply -f` would meet.
func (c cluster) admitFile(file []byte) (int, error) {
	found, err := kubeapi.Objects(file)
	for _, object := range found {
		if refused := c.admit(object); refused != nil {
			err = errors.Join(err, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), refused))
		}
	}
	return len(found), err
}

// manifestFiles lists what `kubectl apply` would be given: every file but kustomizations, the chart and Helm's values.
func manifestFiles(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(manifests, func(path string, entry os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "chart":
			return filepath.SkipDir
		case filepath.Ext(path) == ".yaml" && entry.Name() != "kustomization.yaml" && entry.Name() != "mesh.yaml":
			name, err := filepath.Rel(manifests, path)
			if err != nil {
				return err
			}
			found = append(found, name)
		}
		return nil
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("no manifests in %s: %v", manifests, err)
	}
	return found
}

func TestManifestsAreValid(t *testing.T) {
	c := newCluster(t)
	for _, name := range manifestFiles(t) {
		t.Run(name, func(t *testing.T) {
			count, err := c.admitFile(read(t, name))
			if err != nil {
				t.Error(err)
			}
			if count == 0 {
				t.Error("holds no object")
			}
		})
	}
}

// The objects that the guides show are as valid as those of the files.
func TestManifestsInTheGuidesAreValid(t *testing.T) {
	c := newCluster(t)
	shown := 0
	for _, guide := range []string{"README.md", "ADAPTING.md"} {
		blocks := strings.Split(string(read(t, guide)), "```yaml\n")
		for _, block := range blocks[1:] {
			text, _, _ := strings.Cut(block, "```")
			isObject := strings.Contains(text, "apiVersion: ") && strings.Contains(text, "metadata: ")
			if !isObject || strings.Contains(text, "$patch") || strings.Contains(text, "kustomize.config.k8s.io") {
				continue
			}
			shown++
			// A block within a list is indented.
			if count, err := c.admitFile([]byte(strings.ReplaceAll("\n"+text, "\n  ", "\n"))); err != nil || count != 1 {
				t.Errorf("%s: %v: %d objects in\n%s", guide, err, count, text)
			}
		}
	}
	if shown == 0 {
		t.Error("the guides show no object")
	}
}

// A validator that lets everything pass would look the same as good manifests. Each of these is refused, for the reason
// that it names in its first lines.
func TestBrokenManifestsAreRefused(t *testing.T) {
	c := newCluster(t)
	files, err := filepath.Glob("testdata/refused/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("fixtures: %v: %v", files, err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			reason := expected(t, file, "# refused: ")
			count, err := c.admitFile(file)
			if err == nil {
				t.Fatalf("%d objects passed", count)
			}
			if !strings.Contains(err.Error(), reason) {
				t.Errorf("refused, but for something else: %v", err)
			}
		})
	}
}

// expected gives what a fixture says of itself in a line that begins so.
func expected(t *testing.T, file []byte, begin string) string {
	t.Helper()
	for line := range strings.Lines(string(file)) {
		if said, ok := strings.CutPrefix(line, begin); ok {
			return strings.TrimSpace(said)
		}
	}
	t.Fatalf("the fixture has no line %q", begin)
	return ""
}

// meshConfig in mesh.yaml is Helm's, for the chart istiod; Helm passes unknown fields on, so it is read strictly here.
func TestMeshConfigIsValid(t *testing.T) {
	var values struct {
		MeshConfig map[string]any `json:"meshConfig"`
	}
	if err := yaml.UnmarshalStrict(read(t, "mesh.yaml"), &values); err != nil {
		t.Fatal(err)
	}
	if err := checkMeshConfig(values.MeshConfig); err != nil {
		t.Error(err)
	}
	values.MeshConfig["extensionProvider"] = values.MeshConfig["extensionProviders"]
	if err := checkMeshConfig(values.MeshConfig); err == nil || !strings.Contains(err.Error(), `unknown field "extensionProvider"`) {
		t.Errorf("a misspelt field passed: %v", err)
	}
}

func checkMeshConfig(fields map[string]any) error {
	text, err := yaml.Marshal(fields)
	if err != nil {
		return err
	}
	if err := protomarshal.ApplyYAMLStrict(string(text), &meshconfig.MeshConfig{}); err != nil {
		return err
	}
	merged, err := mesh.ApplyMeshConfig(string(text), mesh.DefaultMeshConfig())
	if err != nil {
		return err
	}
	warning, err := agent.ValidateMeshConfig(merged)
	return errors.Join(err, warning)
}
