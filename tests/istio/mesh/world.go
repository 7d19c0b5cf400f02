package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/meshmeter/meshmeter/tests/istio/kubeapi"
)

// teams are the namespaces that call models: the tenants.
var teams = []string{"research", "support"}

// world is everything that runs.
type world struct {
	ctx          context.Context //nolint:containedctx // the run's
	options      options
	dir, trusted string
	manifests    *manifests
	network      *network
	store        *kubeapi.Store
	// Whom Kubernetes has given which token.
	tokens       sync.Map
	images       *images
	provider     *provider
	istiod       *process
	gateway      *pod
	proxy        *process
	collector    *pod
	collecting   *process
	applications []*application
	ledger       ledger
	services     []*corev1.Service
	// What Secrets and ConfigMaps hold: namespace/name/key.
	data map[string]string
	// The plugin's resource as it is now, and its image.
	plugin *unstructured.Unstructured
	image  string
	// Reads from the collector as whoever is in its pod.
	local *http.Client
	// Where the doctor finds the gateway and the collector, once it was called.
	ports []string
}

// differences is all that is not as in a cluster. It is printed before anything is proven.
var differences = []string{
	"Kubernetes' API is imitated (tests/istio/kubeapi), and so are the kubelet, the endpoints controller and DNS",
	"a pod is a network and a mount namespace of this machine; its processes run as one user, so a mark on an " +
		"application's packets tells them from the proxy's, instead of the user's id",
	"Envoy is the project's, not Istio's build of it: without Istio's own filters, so istiod gets " +
		"PILOT_ENABLE_METADATA_EXCHANGE=false, PILOT_ENABLE_ALPN_FILTER=false and no default provider of metrics, and the agents PEER_METADATA_DISCOVERY=false; the waypoint's bootstrap lacks the discovery of workloads",
	"Istio's injector does not run: labels, environment and the sidecar of its templates are given by code (proxy.go)",
	"api.openai.com, api.anthropic.com and registry.example.com are servers of the test with TLS, by an authority that " +
		"the pods trust as they trust public ones",
	"the volumes and the images of pods are directories and binaries of this machine",
	"what a cluster would enforce of a manifest besides is not: NetworkPolicies, probes, preStop, " +
		"HorizontalPodAutoscalers, PodDisruptionBudgets and securityContext",
}

func step(format string, values ...any) { fmt.Printf("· "+format+"\n", values...) }

func newWorld(ctx context.Context, o options, dir string) (*world, error) {
	w := &world{
		ctx: ctx, options: o, dir: dir, trusted: filepath.Join(dir, "authorities.pem"),
	}
	fmt.Println("What differs from a cluster:")
	for _, difference := range differences {
		fmt.Println("  -", difference)
	}
	var err error
	if w.data, err = data(); err != nil {
		return nil, err
	}
	for _, part := range []func() error{
		settle, w.startOutside, w.startControlPlane, w.startCollector, w.startGateway, w.startApplications,
	} {
		if err := part(); err != nil {
			w.stop()
			return nil, err
		}
	}
	return w, nil
}

// data are the Secrets and ConfigMaps that the guide tells to make.
func data() (map[string]string, error) {
	book, err := os.ReadFile("../../collector/prices/example.toml")
	if err != nil {
		return nil, err
	}
	random := func() string {
		bytes := make([]byte, 32)
		_, _ = rand.Read(bytes) // it never fails
		return hex.EncodeToString(bytes)
	}
	ingest := random()
	return map[string]string{
		ingestToken:                                  ingest,
		"models/meshmeter-ingest/token":              ingest,
		"team-a/meshmeter-ingest/token":              ingest,
		"meshmeter/meshmeter-collector/ingest-token": ingest,
		readToken:                                random(),
		journalToken:                             random(),
		"meshmeter/meshmeter-prices/prices.toml": string(book),
	}, nil
}

const (
	ingestToken  = "istio-egress/meshmeter-ingest/token"
	journalToken = "meshmeter/meshmeter-collector/journal-token"
	readToken    = "meshmeter/meshmeter-collector/read-token"
)

// startOutside starts what is not in the cluster: DNS, the providers, the registry.
func (w *world) startOutside() error {
	var err error
	if w.network, err = newNetwork(); err != nil {
		return err
	}
	if _, err = serveDNS(); err != nil {
		return err
	}
	public, err := newAuthority(w.trusted)
	if err != nil {
		return err
	}
	if w.provider, err = serveProvider(public); err != nil {
		return err
	}
	w.images, err = serveRegistry(public, "registry.example.com")
	return err
}

func (w *world) startControlPlane() error {
	var err error
	if w.manifests, err = readManifests(w.options.manifests, egressGateway); err != nil {
		return err
	}
	if w.plugin, err = w.manifests.plugin(); err != nil {
		return err
	}
	// The image that the manifests name.
	digest, err := w.images.push("meshmeter/filter:0.1.0", w.options.wasm, "")
	if err != nil {
		return err
	}
	step("the registry has registry.example.com/meshmeter/filter:0.1.0, %s", digest)
	who := func(token string) (kubeapi.Account, bool) {
		found, ok := w.tokens.Load(token)
		account, _ := found.(kubeapi.Account)
		return account, ok
	}
	store, address, err := serveKubernetes(w.options.source, who)
	if err != nil {
		return err
	}
	w.store = store
	node, err := untyped("v1", "Node", &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}})
	if err != nil {
		return err
	}
	if err := w.store.Put(node); err != nil {
		return err
	}
	if err := w.apply(w.manifests); err != nil {
		return err
	}
	mesh := map[string]any{"defaultProviders": map[string]any{}}
	for key, value := range w.manifests.mesh {
		mesh[key] = value
	}
	began := time.Now()
	if w.istiod, err = startIstiod(w.options, w.dir, address, mesh); err != nil {
		return err
	}
	if err := eventually(w.ctx, "istiod", func() error {
		if err := w.istiod.alive(); err != nil {
			return err
		}
		return istiodReady()
	}); err != nil {
		return fmt.Errorf("%w\n%s", err, tail(w.istiod.output(), 30))
	}
	step("istiod serves %d objects of istio/%s after %s", len(w.manifests.objects), egressGateway,
		time.Since(began).Round(10*time.Millisecond))
	return nil
}

// apply puts manifests in, as `kubectl apply -k` would.
func (w *world) apply(m *manifests) error {
	for _, object := range m.objects {
		if object.GroupVersionKind().Group == "monitoring.coreos.com" {
			continue // for Prometheus' operator, which is not here
		}
		if object.GetKind() == "Service" {
			if err := w.addService(object); err != nil {
				return err
			}
		}
		if err := w.store.Put(object); err != nil {
			return err
		}
	}
	return nil
}

// replace takes one placement out and puts another in; what both have stays.
func (w *world) replace(before, after *manifests) error {
	stays := map[string]bool{}
	for _, object := range after.objects {
		stays[key(object)] = true
	}
	for _, object := range before.objects {
		if !stays[key(object)] {
			w.store.Delete(object)
		}
	}
	return w.apply(after)
}

func key(object *unstructured.Unstructured) string {
	return fmt.Sprint(object.GroupVersionKind().GroupKind(), object.GetNamespace(), "/", object.GetName())
}

// addService gives a service an address, as Kubernetes would, and a name.
func (w *world) addService(object *unstructured.Unstructured) error {
	for _, have := range w.services {
		if have.Name == object.GetName() && have.Namespace == object.GetNamespace() {
			again, err := untyped("v1", "Service", have)
			if err != nil {
				return err
			}
			object.Object = again.Object
			return nil
		}
	}
	ip := fmt.Sprint(serviceNetwork, len(w.services)+1)
	if err := unstructured.SetNestedField(object.Object, ip, "spec", "clusterIP"); err != nil {
		return err
	}
	// What the API server would fill in.
	ports, _, _ := unstructured.NestedSlice(object.Object, "spec", "ports")
	for _, port := range ports {
		if fields, ok := port.(map[string]any); ok && fields["protocol"] == nil {
			fields["protocol"] = "TCP"
		}
	}
	if err := unstructured.SetNestedSlice(object.Object, ports, "spec", "ports"); err != nil {
		return err
	}
	service := &corev1.Service{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, service); err != nil {
		return err
	}
	w.services = append(w.services, service)
	addName(service.Name, service.Namespace, ip)
	return nil
}

// addPod makes a pod, and what Kubernetes would know of it.
func (w *world) addPod(p *pod, containers []corev1.Container) error {
	p.token = serviceAccountToken(p.namespace, p.account)
	w.tokens.Store(p.token, kubeapi.Account{Namespace: p.namespace, Name: p.account, Pod: p.name})
	if err := w.network.newPod(w.dir, w.trusted, p); err != nil {
		return err
	}
	object, err := p.object(containers)
	if err != nil {
		return err
	}
	if err := w.store.Put(object); err != nil {
		return err
	}
	for _, service := range w.services {
		if service.Namespace != p.namespace || !selects(service.Spec.Selector, p.labels) {
			continue
		}
		slice, err := endpoints(service, p, containers)
		if err != nil {
			return err
		}
		if err := w.store.Put(slice); err != nil {
			return err
		}
	}
	return eventually(w.ctx, "istiod's root certificate in "+p.namespace, func() error {
		if _, ok := w.store.Get("ConfigMap", p.namespace, "istio-ca-root-cert"); !ok {
			return fmt.Errorf("there is none")
		}
		return nil
	})
}

func selects(selector, labels map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return len(selector) > 0
}

func (w *world) stop() {
	// The namespaces end with this process, and everything in them; these want to end in order.
	for _, p := range []*process{w.collecting, w.istiod} {
		if p != nil {
			if err := p.stop(10 * time.Second); err != nil {
				fmt.Fprintln(os.Stderr, "mesh:", err)
			}
		}
	}
}
