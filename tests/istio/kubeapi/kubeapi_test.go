package kubeapi

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authentication "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

const patience = 10 * time.Second

// serve starts a server and gives Kubernetes' own clients for it.
func serve(t *testing.T) (*Server, *kubernetes.Clientset, *rest.Config) {
	t.Helper()
	server := &Server{Store: NewStore()}
	listening := httptest.NewServer(server)
	t.Cleanup(listening.Close)
	config := &rest.Config{Host: listening.URL, QPS: -1}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return server, clients, config
}

func configMap(name string, labels map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

func create(t *testing.T, clients *kubernetes.Clientset, object *corev1.ConfigMap) *corev1.ConfigMap {
	t.Helper()
	created, err := clients.CoreV1().ConfigMaps("llm").Create(context.Background(), object, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return created
}

// expect reads the next event and compares its kind and its object's name.
func expect(t *testing.T, w watch.Interface, kind watch.EventType, name string) {
	t.Helper()
	select {
	case event := <-w.ResultChan():
		object, ok := event.Object.(*corev1.ConfigMap)
		if event.Type != kind || !ok || object.Name != name {
			t.Fatalf("%s %v, expected %s %s", event.Type, event.Object, kind, name)
		}
	case <-time.After(patience):
		t.Fatalf("no event, expected %s %s", kind, name)
	}
}

func TestWatchFollowsEachChange(t *testing.T) {
	_, clients, _ := serve(t)
	maps := clients.CoreV1().ConfigMaps("llm")
	ctx := context.Background()
	create(t, clients, configMap("before", nil))
	listed, err := maps.List(ctx, metav1.ListOptions{})
	if err != nil || len(listed.Items) != 1 {
		t.Fatalf("%v, %v", listed, err)
	}
	w, err := maps.Watch(ctx, metav1.ListOptions{ResourceVersion: listed.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	created := create(t, clients, configMap("a", nil))
	created.Data = map[string]string{"key": "value"}
	if _, err := maps.Update(ctx, created, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := maps.Delete(ctx, "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	// What the list had does not come again.
	expect(t, w, watch.Added, "a")
	expect(t, w, watch.Modified, "a")
	expect(t, w, watch.Deleted, "a")
}

func TestWatchListMarksTheEndOfWhatIsThere(t *testing.T) {
	_, clients, _ := serve(t)
	create(t, clients, configMap("there", nil))
	initial := true
	w, err := clients.CoreV1().ConfigMaps("").Watch(context.Background(), metav1.ListOptions{
		SendInitialEvents: &initial, AllowWatchBookmarks: true,
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	expect(t, w, watch.Added, "there")
	expect(t, w, watch.Bookmark, "")
	create(t, clients, configMap("later", nil))
	expect(t, w, watch.Added, "later")
}

func TestWatchReportsAnObjectThatIsNoLongerSelectedAsGone(t *testing.T) {
	_, clients, _ := serve(t)
	maps := clients.CoreV1().ConfigMaps("llm")
	ctx := context.Background()
	w, err := maps.Watch(ctx, metav1.ListOptions{LabelSelector: "app in (egress)"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	create(t, clients, configMap("other", map[string]string{"app": "web"}))
	object := create(t, clients, configMap("one", map[string]string{"app": "egress"}))
	object.Labels = nil
	if _, err := maps.Update(ctx, object, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	expect(t, w, watch.Added, "one")
	expect(t, w, watch.Deleted, "one")
}

func TestWatchFromForgottenVersionIsRefused(t *testing.T) {
	server, clients, _ := serve(t)
	server.Store.keep = 16
	object := create(t, clients, configMap("busy", nil))
	maps := clients.CoreV1().ConfigMaps("llm")
	ctx := context.Background()
	first := object.ResourceVersion
	for i := range server.Store.keep + 2 {
		object.Data = map[string]string{"round": strings.Repeat("x", i%7)}
		changed, err := maps.Update(ctx, object, metav1.UpdateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		object = changed
	}
	w, err := maps.Watch(ctx, metav1.ListOptions{ResourceVersion: first})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	event := <-w.ResultChan()
	if event.Type != watch.Error || !apierrors.IsResourceExpired(apierrors.FromObject(event.Object)) {
		t.Fatalf("%s %v", event.Type, event.Object)
	}
}

func TestWritesAreRefusedAsKubernetesRefusesThem(t *testing.T) {
	_, clients, _ := serve(t)
	maps := clients.CoreV1().ConfigMaps("llm")
	ctx := context.Background()
	stale := create(t, clients, configMap("a", nil))
	if _, err := maps.Create(ctx, configMap("a", nil), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		t.Errorf("created twice: %v", err)
	}
	if _, err := maps.Update(ctx, configMap("b", nil), metav1.UpdateOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("updated what is not there: %v", err)
	}
	fresh := stale.DeepCopy()
	fresh.Data = map[string]string{"key": "value"}
	if _, err := maps.Update(ctx, fresh, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := maps.Update(ctx, stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("overwrote a change: %v", err)
	}
	patch := []byte(`{"data":{"key":null,"other":"1"}}`)
	patched, err := maps.Patch(ctx, "a", types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil || patched.Data["other"] != "1" || len(patched.Data) != 1 {
		t.Errorf("patched: %v, %v", patched, err)
	}
	tests := []byte(`[{"op":"test","path":"/data/other","value":"2"},{"op":"remove","path":"/data"}]`)
	if _, err := maps.Patch(ctx, "a", types.JSONPatchType, tests, metav1.PatchOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("a test in a JSON patch was passed over: %v", err)
	}
	adds := []byte(`[{"op":"test","path":"/data/other","value":"1"},{"op":"add","path":"/data/third","value":"3"}]`)
	patched, err = maps.Patch(ctx, "a", types.JSONPatchType, adds, metav1.PatchOptions{})
	if err != nil || patched.Data["third"] != "3" {
		t.Errorf("patched: %v, %v", patched, err)
	}
	if err := maps.Delete(ctx, "b", metav1.DeleteOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("deleted what is not there: %v", err)
	}
}

func TestStatusDoesNotChangeTheRest(t *testing.T) {
	_, clients, _ := serve(t)
	ctx := context.Background()
	pods := clients.CoreV1().Pods("llm")
	pod, err := pods.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod.Status.PodIP, pod.Labels = "10.0.0.1", map[string]string{"no": "no"}
	if pod, err = pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	// A controller that notes the generation in the status it writes would otherwise write for ever.
	if pod.Status.PodIP != "10.0.0.1" || pod.Labels != nil || pod.Generation != 1 {
		t.Errorf("%v", pod)
	}
	pod.Spec.NodeName = "node"
	if pod, err = pods.Update(ctx, pod, metav1.UpdateOptions{}); err != nil || pod.Generation != 2 {
		t.Errorf("%v, %v", pod, err)
	}
}

func TestCustomResourcesNeedTheirDefinition(t *testing.T) {
	server, clients, config := serve(t)
	plugin, err := Objects([]byte(`
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: meter, namespace: llm}
spec: {url: "oci://registry.test/meter:1", priority: 7}
`))
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Store.Put(plugin...); err == nil {
		t.Error("taken without a definition")
	}
	definition, err := Objects([]byte(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: wasmplugins.extensions.istio.io}
spec:
  group: extensions.istio.io
  names: {kind: WasmPlugin, plural: wasmplugins}
  scope: Namespaced
  versions: [{name: v1alpha1, served: true, storage: true}]
`))
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Store.Put(append(definition, plugin...)...); err != nil {
		t.Fatal(err)
	}
	lists, err := clients.Discovery().ServerResourcesForGroupVersion("extensions.istio.io/v1alpha1")
	if err != nil || len(lists.APIResources) != 1 || lists.APIResources[0].Kind != "WasmPlugin" {
		t.Errorf("discovered %v, %v", lists, err)
	}
	kind := schema.GroupVersionResource{Group: "extensions.istio.io", Version: "v1alpha1", Resource: "wasmplugins"}
	whole, err := dynamic.NewForConfigOrDie(config).Resource(kind).Namespace("llm").
		Get(context.Background(), "meter", metav1.GetOptions{})
	if err != nil || whole.Object["spec"].(map[string]any)["priority"] != int64(7) {
		t.Errorf("%v, %v", whole, err)
	}
	partial, err := metadata.NewForConfigOrDie(config).Resource(kind).List(context.Background(), metav1.ListOptions{})
	if err != nil || len(partial.Items) != 1 || partial.Items[0].Name != "meter" {
		t.Errorf("%v, %v", partial, err)
	}
}

func TestTokensAreReviewed(t *testing.T) {
	server, clients, _ := serve(t)
	ask := func(token string) authentication.TokenReviewStatus {
		review := &authentication.TokenReview{
			Spec: authentication.TokenReviewSpec{Token: token, Audiences: []string{"istio-ca"}},
		}
		answer, err := clients.AuthenticationV1().TokenReviews().
			Create(context.Background(), review, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return answer.Status
	}
	if ask("one").Authenticated {
		t.Error("authenticated without anybody to know the token")
	}
	server.Tokens = func(token string) (Account, bool) { return Account{"llm", "egress", "egress-1"}, token == "one" }
	if said := ask("one"); !said.Authenticated || said.User.Username != "system:serviceaccount:llm:egress" {
		t.Errorf("%v", said)
	}
	if ask("two").Authenticated {
		t.Error("a wrong token was authenticated")
	}
}

func TestFolderFollowsItsFiles(t *testing.T) {
	dir, store := t.TempDir(), NewStore()
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	one := "apiVersion: v1\nkind: Secret\nmetadata: {name: one, namespace: llm}\n---\n"
	two := "apiVersion: v1\nkind: Secret\nmetadata: {name: two, namespace: llm}\n"
	write(one + two)
	folder, err := NewFolder(store, dir)
	if err != nil {
		t.Fatal(err)
	}
	here := func(name string) bool { _, ok := store.Get("Secret", "llm", name); return ok }
	if !here("one") || !here("two") {
		t.Fatal("not read")
	}
	write(one + "kind: [")
	if err := folder.Read(); err == nil || !here("two") {
		t.Errorf("a broken file: %v, its objects are still there: %v", err, here("two"))
	}
	write(one)
	if err := folder.Read(); err != nil || !here("one") || here("two") {
		t.Errorf("%v, one: %v, two: %v", err, here("one"), here("two"))
	}
}
