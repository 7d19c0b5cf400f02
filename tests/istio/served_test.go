// What istiod gives a waypoint, by Istio's own code for tests: whom it serves, and whom not.
package istio

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"istio.io/api/label"
	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pilot/test/xdstest"
	"istio.io/istio/pkg/config/constants"
	"istio.io/istio/pkg/test"
	"istio.io/istio/pkg/test/util/retry"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const waypointAddress = "3.0.0.1"

// controllers is what Istio's controllers add to a waypoint's Gateway: a Service, a pod, and its address in the status.
const controllers = `
apiVersion: v1
kind: Service
metadata:
  name: NAME
  namespace: NAMESPACE
  labels: { gateway.istio.io/managed: istio.io-mesh-controller, gateway.networking.k8s.io/gateway-name: NAME }
spec:
  clusterIP: 3.0.0.0
  ports: [{ name: mesh, port: 15008, appProtocol: hbone }]
  selector: { gateway.networking.k8s.io/gateway-name: NAME }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: NAME-1, namespace: NAMESPACE }
spec:
  address: ` + waypointAddress + `
  labels: { gateway.networking.k8s.io/gateway-name: NAME }
`

// foreign is what the owner of another namespace may apply: an entry that leads to the collector, and one that takes a
// provider's calls, with their keys.
const foreign = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: deputy
  namespace: foreign
  creationTimestamp: "2020-01-01T00:00:00Z"
  labels: { istio.io/use-waypoint: NAME, istio.io/use-waypoint-namespace: NAMESPACE }
spec:
  hosts: [deputy.example.com]
  addresses: [240.240.1.1]
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 10.0.0.66, ports: { http: 8080 } }]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: openai
  namespace: foreign
  creationTimestamp: "2020-01-01T00:00:00Z"
  labels: { istio.io/use-waypoint: NAME, istio.io/use-waypoint-namespace: NAMESPACE }
spec:
  hosts: [api.openai.com]
  addresses: [240.240.1.2]
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 10.0.0.67, ports: { http: 8080 } }]
`

// destination is where a cluster leads, as HOST:PORT, if it is one host.
func destination(of *clusterv3.Cluster) string {
	var found []string
	for _, locality := range of.GetLoadAssignment().GetEndpoints() {
		for _, endpoint := range locality.LbEndpoints {
			at := endpoint.GetEndpoint().GetAddress().GetSocketAddress()
			found = append(found, fmt.Sprintf("%s:%d", at.GetAddress(), at.GetPortValue()))
		}
	}
	return strings.Join(found, " ")
}

// servedBy says where the waypoint leads each host that it serves, with the Gateway changed by `change`.
func servedBy(t *testing.T, change func(gateway *unstructured.Unstructured)) map[string]string {
	t.Helper()
	test.SetForTest(t, &features.EnableAmbient, true)
	test.SetForTest(t, &features.EnableAmbientWaypoints, true)
	var texts []string
	var name, namespace string
	for _, object := range build(t, "waypoint").objects {
		object = object.DeepCopy()
		switch {
		case object.GetKind() == "Gateway":
			name, namespace = object.GetName(), object.GetNamespace()
			address := map[string]any{"type": "Hostname", "value": name + "." + namespace + ".svc.cluster.local"}
			object.Object["status"] = map[string]any{"addresses": []any{address}}
			change(object)
		case object.GetKind() == "ServiceEntry":
			// Younger than the foreign ones: an older entry goes before it.
			object.SetCreationTimestamp(metav1.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC))
		case !strings.HasSuffix(object.GroupVersionKind().Group, "networking.istio.io"):
			continue
		}
		text, err := yaml.Marshal(object.Object)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	named := strings.NewReplacer("NAMESPACE", namespace, "NAME", name)
	whole := strings.Join(append(texts, named.Replace(controllers), named.Replace(foreign)), "\n---\n")
	// Istio's ambient part reads Kubernetes' objects, its other parts read configuration.
	server := xds.NewFakeDiscoveryServer(t, xds.FakeOptions{ConfigString: whole, KubernetesObjectString: whole})
	proxy := server.SetupProxy(&model.Proxy{
		Type:            model.Waypoint,
		ConfigNamespace: namespace,
		IPAddresses:     []string{waypointAddress},
		Labels: map[string]string{
			label.IoK8sNetworkingGatewayGatewayName.Name: name,
			label.GatewayManaged.Name:                    constants.ManagedGatewayMeshControllerLabel,
		},
	})
	found := map[string]string{}
	retry.UntilSuccessOrFail(t, func() error {
		clear(found)
		for _, each := range server.Clusters(proxy) {
			if _, served, isServed := strings.Cut(each.Name, "inbound-vip|80|http|"); isServed {
				found[served] = destination(each)
			}
		}
		for _, host := range []string{"api.openai.com", "api.anthropic.com"} {
			if _, isServed := found[host]; !isServed {
				return fmt.Errorf("%s is not among %v", host, found)
			}
		}
		if xdstest.ExtractListener("main_internal", server.Listeners(proxy)) == nil {
			return errors.New("the waypoint has no listener")
		}
		return nil
	}, retry.Timeout(20*time.Second))
	return found
}

// A waypoint calls with its own identity, which the collector lets in, whatever it serves. So it serves its own namespace
// only: nobody else's way to the collector, and nobody else's idea of where a provider is.
func TestAWaypointServesNoOtherNamespace(t *testing.T) {
	found := servedBy(t, func(*unstructured.Unstructured) {})
	for host, leads := range found {
		if leads != host+":443" {
			t.Errorf("calls of %s go to %q", host, leads)
		}
	}
	if _, isServed := found["deputy.example.com"]; isServed {
		t.Error("a foreign entry leads the waypoint to its own pod")
	}

	// Whether Istio would serve them at all: with `All` it does.
	found = servedBy(t, func(gateway *unstructured.Unstructured) {
		listeners, _, err := unstructured.NestedSlice(gateway.Object, "spec", "listeners")
		if err == nil {
			err = unstructured.SetNestedField(listeners[0].(map[string]any), "All", "allowedRoutes", "namespaces", "from")
		}
		if err == nil {
			err = unstructured.SetNestedSlice(gateway.Object, listeners, "spec", "listeners")
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	if _, isServed := found["deputy.example.com"]; !isServed {
		t.Error("the foreign entry is served to nobody: this test shows nothing")
	}
}

// To the egress gateway and to sidecars everybody's entries and routes count that are exported to all, the oldest first: later
// ones for a provider's host take nothing. (Older ones do: istio/ADAPTING.md says to look for them.)
func TestALaterRouteOfAnotherNamespaceTakesNoCalls(t *testing.T) {
	const later = `
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: openai, namespace: foreign, creationTimestamp: "2026-01-01T00:00:00Z" }
spec:
  hosts: [api.openai.com]
  exportTo: ["*"]
  gateways: [mesh, istio-egress/llm-egress]
  http: [{ name: foreign, route: [{ destination: { host: deputy.example.com, port: { number: 80 } } }] }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: openai, namespace: foreign, creationTimestamp: "2026-01-01T00:00:00Z" }
spec:
  host: api.openai.com
  exportTo: ["*"]
  trafficPolicy: { tls: { mode: DISABLE } }
`
	var texts []string
	all := build(t, "egress-gateway")
	for _, object := range all.objects {
		if object.GroupVersionKind().Group != "networking.istio.io" {
			continue
		}
		object = object.DeepCopy()
		object.SetCreationTimestamp(metav1.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC))
		text, err := yaml.Marshal(object.Object)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	whole := strings.Join(append(texts, strings.ReplaceAll(foreign, "2020-", "2026-")+later), "\n---\n")
	server := xds.NewFakeDiscoveryServer(t, xds.FakeOptions{ConfigString: whole})
	labels := all.metering().Labels
	for _, each := range []struct {
		proxy *model.Proxy
		route string
	}{
		{&model.Proxy{
			Type: model.Router, ConfigNamespace: "istio-egress", Labels: labels,
			Metadata: &model.NodeMetadata{Namespace: "istio-egress", Labels: labels},
		}, "openai"},
		{&model.Proxy{Type: model.SidecarProxy, ConfigNamespace: "team-b", IPAddresses: []string{"10.9.9.9"}}, "to-gateway"},
	} {
		proxy := server.SetupProxy(each.proxy)
		var routes []string
		for _, listener := range server.Routes(proxy) {
			for _, host := range listener.VirtualHosts {
				if slices.Contains(host.Domains, "api.openai.com") {
					for _, route := range host.Routes {
						routes = append(routes, route.Name)
					}
				}
			}
		}
		if !slices.Equal(routes, []string{each.route}) {
			t.Errorf("%s: calls go by the routes %v", proxy.Type, routes)
		}
		leads := ""
		for _, cluster := range server.Clusters(proxy) {
			if cluster.Name == "outbound|80||api.openai.com" {
				leads = destination(cluster)
			}
		}
		if leads != "api.openai.com:443" {
			t.Errorf("%s: the provider is at %q", proxy.Type, leads)
		}
	}
}
