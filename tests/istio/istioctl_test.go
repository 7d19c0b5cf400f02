// The manifests under istioctl, run in this process, with a Kubernetes API that serves them.
package istio

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"istio.io/istio/istioctl/cmd"
	"istio.io/istio/pkg/test/env"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/meshmeter/meshmeter/tests/istio/kubeapi"
)

func istioctl(args ...string) (string, error) {
	root := cmd.GetRootCmd(args)
	var said bytes.Buffer
	root.SetOut(&said)
	root.SetErr(&said)
	err := root.Execute()
	return said.String(), err
}

func TestIstioctlValidatesTheManifests(t *testing.T) {
	for _, name := range everyForm() {
		var whole bytes.Buffer
		for _, object := range build(t, name).objects {
			text, err := yaml.Marshal(object.Object)
			if err != nil {
				t.Fatal(err)
			}
			whole.WriteString("---\n" + string(text))
		}
		file := filepath.Join(t.TempDir(), "all.yaml")
		if err := os.WriteFile(file, whole.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if said, err := istioctl("validate", "-f", file); err != nil || strings.Contains(said, "arning") {
			t.Errorf("%s: %v: %s", name, err, said)
		}
	}
	said, err := istioctl("validate", "-f", "testdata/refused/webhook-retries.yaml")
	if err == nil || !strings.Contains(said+err.Error(), "is not a valid retryOn policy") {
		t.Errorf("a broken manifest passed: %v: %s", err, said)
	}
}

// served is a mesh that has what a placement brings, and the pods that Kubernetes would make of it.
func served(t *testing.T, all applied) (*kubeapi.Store, string) {
	t.Helper()
	store := kubeapi.NewStore()
	for _, file := range []string{"manifests/charts/base/files/crd-all.gen.yaml", "tests/integration/pilot/testdata/gateway-api-crd.yaml"} {
		text, err := os.ReadFile(filepath.Join(env.IstioSrc, file))
		if err != nil {
			t.Fatal(err)
		}
		definitions, err := kubeapi.Objects(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, definition := range definitions {
			// The Gateway API guards its definitions by a policy, which is not asked here.
			if definition.GetKind() == "CustomResourceDefinition" {
				if err := store.Put(definition); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := store.Put(all.objects...); err != nil {
		t.Fatal(err)
	}
	if err := store.Put(pods(t, all)...); err != nil {
		t.Fatal(err)
	}
	if err := store.Put(control(t)...); err != nil {
		t.Fatal(err)
	}
	listening := httptest.NewServer(&kubeapi.Server{Store: store})
	t.Cleanup(listening.Close)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := kubeapi.WriteKubeconfig(kubeconfig, strings.TrimPrefix(listening.URL, "http://")); err != nil {
		t.Fatal(err)
	}
	return store, kubeconfig
}

// control is what istiod's own installation leaves: the mesh's configuration, with what mesh.yaml adds to it.
func control(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	var values struct {
		MeshConfig map[string]any `json:"meshConfig"`
	}
	if err := yaml.UnmarshalStrict(read(t, "mesh.yaml"), &values); err != nil {
		t.Fatal(err)
	}
	mesh, err := yaml.Marshal(values.MeshConfig)
	if err != nil {
		t.Fatal(err)
	}
	installed, err := kubeapi.Objects([]byte(injector))
	if err != nil {
		t.Fatal(err)
	}
	return append(installed, loose(t, &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Name: "istio", Namespace: "istio-system"},
		Data:       map[string]string{"mesh": string(mesh)},
	}))
}

// injector is who puts sidecars into pods, as Istio's own chart installs it.
const injector = `
apiVersion: v1
kind: Service
metadata:
  name: istiod
  namespace: istio-system
spec:
  ports:
  - name: https-webhook
    port: 443
    protocol: TCP
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata:
  name: istio-sidecar-injector
  labels:
    app: sidecar-injector
    istio.io/rev: default
webhooks:
- name: namespace.sidecar-injector.istio.io
  clientConfig:
    service:
      name: istiod
      namespace: istio-system
      path: /inject
      port: 443
  namespaceSelector:
    matchExpressions:
    - key: istio-injection
      operator: In
      values: [enabled]
  objectSelector:
    matchExpressions:
    - key: sidecar.istio.io/inject
      operator: NotIn
      values: ["false"]
  sideEffects: None
  admissionReviewVersions: [v1]
`

// pods makes one running pod of each workload, with the sidecar that would be injected.
func pods(t *testing.T, all applied) []*unstructured.Unstructured {
	t.Helper()
	var made []*unstructured.Unstructured
	add := func(name, namespace string, template corev1.PodTemplateSpec) {
		pod := corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: template.ObjectMeta, Spec: template.Spec}
		pod.Name, pod.Namespace = name+"-0", namespace
		pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1"}
		injected := false
		for i := range pod.Spec.Containers {
			if pod.Spec.Containers[i].Name == "istio-proxy" {
				pod.Spec.Containers[i].Image, injected = "docker.io/istio/proxyv2:1.30.4", true
			}
		}
		if !injected {
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "istio-proxy", Image: "docker.io/istio/proxyv2:1.30.4"})
		}
		made = append(made, loose(t, &pod))
	}
	for _, d := range kind[appsv1.Deployment](all, "Deployment") {
		add(d.Name, d.Namespace, d.Spec.Template)
	}
	for _, s := range kind[appsv1.StatefulSet](all, "StatefulSet") {
		add(s.Name, s.Namespace, s.Spec.Template)
	}
	return made
}

func loose(t *testing.T, typed any) *unstructured.Unstructured {
	t.Helper()
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		t.Fatal(err)
	}
	return &unstructured.Unstructured{Object: fields}
}

// finding is a message of istioctl's.
type finding struct{ Code, Level, Origin, Message string }

func analyze(t *testing.T, kubeconfig string) []finding {
	t.Helper()
	// Without color and with JSON the exit code says only whether it could be done.
	said, err := istioctl("analyze", "--kubeconfig", kubeconfig, "--all-namespaces", "--output", "json")
	start, end := strings.Index(said, "["), strings.LastIndex(said, "]")
	if err != nil || start < 0 || end < start {
		if strings.Contains(said, "No validation issues") {
			return nil
		}
		t.Fatalf("%v: %s", err, said)
	}
	var found []finding
	if err := json.Unmarshal([]byte(said[start:end+1]), &found); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return found
}

func TestIstioctlFindsNothingInTheServedManifests(t *testing.T) {
	// Each takes some 15 seconds, in which istioctl waits: one with a TrafficExtension stands for all.
	for _, name := range append([]string{"egress-gateway/traffic-extension"}, placements...) {
		t.Run(name, func(t *testing.T) {
			_, kubeconfig := served(t, build(t, name))
			for _, f := range analyze(t, kubeconfig) {
				// What concerns the cluster's own namespaces is not ours.
				if !strings.Contains(f.Origin, "kube-system") && !strings.Contains(f.Origin, "Namespace default") {
					t.Errorf("%s %s (%s): %s", f.Level, f.Code, f.Origin, f.Message)
				}
			}
		})
	}
}

// Each of these is put into a mesh that has the egress gateway, in the place of what it is named after, and is found, as it
// says in its first lines. They do not touch each other, so all are put in at once.
func TestIstioctlFindsWhatIsWrong(t *testing.T) {
	files, err := filepath.Glob("testdata/analyzed/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("fixtures: %v: %v", files, err)
	}
	store, kubeconfig := served(t, build(t, "egress-gateway"))
	want := map[string]string{}
	changed := map[string]string{}
	for _, path := range files {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want[path] = expected(t, file, "# analyzed: ")
		broken, err := kubeapi.Objects(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range broken {
			id := object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
			if changed[id] != "" {
				t.Fatalf("%s and %s both bring %s", changed[id], path, id)
			}
			changed[id] = path
		}
		if err := store.Put(broken...); err != nil {
			t.Fatal(err)
		}
	}
	found := analyze(t, kubeconfig)
	for path, reason := range want {
		code, message, _ := strings.Cut(reason, " ")
		if !slices.ContainsFunc(found, func(f finding) bool { return f.Code == code && strings.Contains(f.Message, message) }) {
			t.Errorf("%s: nothing with %s and %q in %v", path, code, message, found)
		}
	}
}
