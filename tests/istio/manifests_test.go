// Package istio holds every manifest of istio/ against what would judge it in a cluster: the schemas of Istio's custom
// resources (OpenAPI and CEL), the rules of istiod's admission webhook, and the types of Kubernetes.
package istio

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
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
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const manifests = "../../istio"

// cluster says what the API server and istiod of a cluster would say.
type cluster struct {
	schemas *crd.Validator
	kinds   serializer.CodecFactory
}

func newCluster(t *testing.T) cluster {
	t.Helper()
	// The custom resource definitions that this version of Istio installs.
	schemas, err := crd.NewValidatorFromFiles(filepath.Join(env.IstioSrc, "manifests/charts/base/files/crd-all.gen.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return cluster{schemas, serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict)}
}

// admit gives nil if the object would be taken, without a warning.
func (c cluster) admit(object *unstructured.Unstructured) error {
	gvk := object.GroupVersionKind()
	istioSchema, isIstio := collections.All.FindByGroupVersionAliasesKind(resource.FromKubernetesGVK(&gvk))
	raw, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	if !strings.HasSuffix(gvk.Group, ".istio.io") {
		// Strict: an unknown field is an error.
		_, _, err := c.kinds.UniversalDeserializer().Decode(raw, nil, nil)
		return err
	}
	if !isIstio {
		return fmt.Errorf("%v is no kind of Istio's", gvk)
	}
	if err := c.schemas.ValidateCustomResource(object); err != nil {
		return err
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

// objects splits a YAML file. A key that stands twice is an error.
func objects(file []byte) ([]*unstructured.Unstructured, error) {
	var found []*unstructured.Unstructured
	documents := kubeyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(file)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		asJSON, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			return nil, err
		}
		if string(asJSON) == "null" {
			continue // comments only
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(asJSON); err != nil {
			return nil, err
		}
		found = append(found, object)
	}
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
	found, err := objects(file)
	for _, object := range found {
		if refused := c.admit(object); refused != nil {
			err = errors.Join(err, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), refused))
		}
	}
	return len(found), err
}

// The two files that are not for `kubectl apply -f`.
func isManifest(name string) bool { return name != "mesh.yaml" && name != "kustomization.yaml" }

func TestManifestsAreValid(t *testing.T) {
	c := newCluster(t)
	files, err := filepath.Glob(filepath.Join(manifests, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests in %s: %v", manifests, err)
	}
	for _, path := range files {
		name := filepath.Base(path)
		if !isManifest(name) {
			continue
		}
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

// A validator that lets everything pass would look the same as good manifests: break the real ones, one thing at a time.
func TestBrokenManifestsAreRefused(t *testing.T) {
	c := newCluster(t)
	for _, broken := range []struct{ name, file, good, bad, says string }{
		{"misspelt field", "wasmplugin.yaml", "failStrategy:", "failureStrategy:", "unknown fields [spec.failureStrategy]"},
		{"enum", "wasmplugin.yaml", "phase: STATS", "phase: STAT", `Unsupported value: "STAT"`},
		{"CEL: url", "wasmplugin.yaml", "url: oci://", "url: ftp://", "url must have schema one of [http, https, file, oci]"},
		{"CEL: selector", "wasmplugin.yaml", "  phase:", "  targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: a}]\n  phase:", "only one of targetRefs or selector can be set"},
		{"webhook: retryOn", "egress.yaml", "retryOn: connect-failure,refused-stream", "retryOn: connection-failure", "is not a valid retryOn policy"},
		{"webhook: CEL text", "telemetry.yaml", "in filter_state", "in (filter_state", "must be a valid CEL expression"},
		{"Kubernetes field", "gateway.yaml", "terminationGracePeriodSeconds:", "terminationGraceSeconds:", "unknown field"},
		{"key twice", "collector.yaml", "  replicas: 1", "  replicas: 1\n  replicas: 1", `key "replicas" already set in map`},
	} {
		t.Run(broken.name, func(t *testing.T) {
			file := read(t, broken.file)
			changed := bytes.Replace(file, []byte(broken.good), []byte(broken.bad), 1)
			if bytes.Equal(file, changed) {
				t.Fatalf("%s does not hold %q", broken.file, broken.good)
			}
			_, err := c.admitFile(changed)
			if err == nil {
				t.Fatal("passed")
			}
			if !strings.Contains(err.Error(), broken.says) {
				t.Errorf("refused, but for something else: %v", err)
			}
		})
	}
}

func TestKustomizationHoldsEveryManifest(t *testing.T) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), manifests)
	if err != nil {
		t.Fatal(err)
	}
	applied := map[string]bool{}
	for _, r := range built.Resources() {
		applied[r.CurId().String()] = true
	}
	want := 0
	for _, name := range []string{"collector.yaml", "gateway.yaml", "egress.yaml", "wasmplugin.yaml", "telemetry.yaml"} {
		found, err := objects(read(t, name))
		if err != nil {
			t.Fatal(err)
		}
		want += len(found)
	}
	if len(applied) != want {
		t.Errorf("kustomize builds %d objects of %d: %v", len(applied), want, applied)
	}
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
