// What the manifests leave open, read as an attacker would: from each foothold, what can be reached is what is meant, and
// nothing else.
package istio

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	networking "istio.io/api/networking/v1alpha3"
	security "istio.io/api/security/v1beta1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
)

const (
	collectorName = "app.kubernetes.io/name"
	reconcileName = "meshmeter-reconcile"
)

// faults are the sentences that say what is open.
type faults []string

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// open judges all that a placement brings.
func (a applied) open(paths []string) faults {
	var found faults
	a.judgePlaintext(&found)
	a.judgeCallers(&found, paths)
	a.judgePackets(&found)
	a.judgePods(&found)
	a.judgeReconcile(&found)
	a.judgeGateways(&found)
	a.judgeExports(&found)
	return found
}

// workloads are the pods that the manifests bring, with the waypoint's.
func (a applied) workloads() []corev1.PodTemplateSpec {
	var found []corev1.PodTemplateSpec
	add := func(namespace string, pod corev1.PodTemplateSpec) {
		pod.Namespace = namespace
		found = append(found, pod)
	}
	for _, one := range kind[appsv1.Deployment](a, "Deployment") {
		add(one.Namespace, one.Spec.Template)
	}
	for _, one := range kind[appsv1.StatefulSet](a, "StatefulSet") {
		add(one.Namespace, one.Spec.Template)
	}
	for _, one := range kind[appsv1.DaemonSet](a, "DaemonSet") {
		add(one.Namespace, one.Spec.Template)
	}
	if pod := a.metering(); a.deployed() == nil {
		pod.Labels = map[string]string{"gateway.networking.k8s.io/gateway-name": pod.Spec.ServiceAccountName}
		found = append(found, pod)
	}
	return found
}

// Tokens and prompts travel to the collector and to a model server, and the caller's certificate says who pays.
func (a applied) judgePlaintext(found *faults) {
	strict := map[string]bool{}
	for id, policy := range spec[*security.PeerAuthentication](a, "PeerAuthentication") {
		if policy.Mtls.GetMode() != security.PeerAuthentication_MutualTLS_STRICT || len(policy.PortLevelMtls) > 0 {
			found.add("%s lets plaintext in", id)
		}
		namespace, _, _ := strings.Cut(id, "/")
		for _, pod := range a.workloads() {
			if pod.Namespace == namespace && labels.SelectorFromSet(policy.Selector.GetMatchLabels()).Matches(labels.Set(pod.Labels)) {
				strict[pod.Spec.ServiceAccountName] = true
			}
		}
	}
	for _, pod := range a.workloads() {
		isServer := pod.Labels["app"] != "" && a.plugin().settings["providers"] != nil
		if (pod.Labels[collectorName] == "meshmeter-collector" || isServer) && !strict[pod.Spec.ServiceAccountName] {
			found.add("pods of %s take plaintext", pod.Spec.ServiceAccountName)
		}
		if past := pod.Annotations["traffic.sidecar.istio.io/excludeInboundPorts"]; past != "" && past != "9091" {
			found.add("ports %s of %s are past its sidecar", past, pod.Spec.ServiceAccountName)
		}
	}
}

// caller is who calls the collector; without a name, by plaintext.
type caller struct{ namespace, account string }

func (c caller) principal() string {
	if c.namespace == "" {
		return ""
	}
	return fmt.Sprintf("cluster.local/ns/%s/sa/%s", c.namespace, c.account)
}

// fits is how Istio compares: whole, by the beginning, by the end, or whether there is anything.
func fits(patterns []string, value string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(pattern string) bool {
		switch begin, isBegin := strings.CutSuffix(pattern, "*"); {
		case pattern == "*":
			return value != ""
		case isBegin:
			return strings.HasPrefix(value, begin)
		case strings.HasPrefix(pattern, "*"):
			return strings.HasSuffix(value, pattern[1:])
		}
		return pattern == value
	})
}

// lets says whether an ALLOW policy may let a call in. What else a rule can ask for counts as fulfilled.
func lets(policy *security.AuthorizationPolicy, who caller, method, path string) bool {
	return slices.ContainsFunc(policy.Rules, func(rule *security.Rule) bool {
		from := len(rule.From) == 0 || slices.ContainsFunc(rule.From, func(from *security.Rule_From) bool {
			return fits(from.Source.Principals, who.principal()) && fits(from.Source.Namespaces, who.namespace)
		})
		to := len(rule.To) == 0 || slices.ContainsFunc(rule.To, func(to *security.Rule_To) bool {
			return fits(to.Operation.Methods, method) && fits(to.Operation.Paths, path)
		})
		return from && to
	})
}

// Who may call what of the collector. The paths are all that it has.
func (a applied) judgeCallers(found *faults, paths []string) {
	const elsewhere = "elsewhere"
	pod := a.metering()
	emitter := caller{pod.Namespace, pod.Spec.ServiceAccountName}
	reconcile := caller{reconcileName, reconcileName}
	hasReconcile := len(kind[appsv1.DaemonSet](a, "DaemonSet")) > 0
	reports := []string{"/", "/session", "/assets/x.js", "/v1/openapi.json"}
	for _, path := range paths {
		if strings.HasPrefix(path, "/v1/") && !slices.Contains([]string{"/v1/events", "/v1/leases", "/v1/missing"}, path) {
			reports = append(reports, path)
		}
	}
	meant := func(who caller, method, path string) bool {
		switch {
		case who == emitter && method == "POST" && slices.Contains([]string{"/v1/events", "/v1/leases"}, path):
			return true
		case hasReconcile && who == reconcile && method == "POST":
			return slices.Contains([]string{"/v1/events", "/v1/missing"}, path)
		case who.namespace != "meshmeter":
			return false
		case method == "POST":
			return slices.Contains([]string{"/login", "/logout"}, path)
		}
		return method == "GET" && slices.Contains(reports, path)
	}
	callers := []caller{
		emitter, {emitter.namespace, "default"}, reconcile, {reconcileName, "default"}, {"meshmeter", "default"},
		{elsewhere, "default"}, {elsewhere, emitter.account}, {}, // the last by plaintext
	}
	policies := spec[*security.AuthorizationPolicy](a, "AuthorizationPolicy")
	for _, who := range callers {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
			for _, path := range append(slices.Clone(paths), "/login", "/logout", "/session", "/", "/assets/x.js", "/elsewhere") {
				isLet := false
				for id, policy := range policies {
					if strings.HasPrefix(id, "meshmeter/") && policy.Action == security.AuthorizationPolicy_ALLOW {
						isLet = isLet || lets(policy, who, method, path)
					}
				}
				if isLet != meant(who, method, path) {
					found.add("%q may %s %s: %v", who.principal(), method, path, isLet)
				}
			}
		}
	}
}

// Which ports packets reach, by the NetworkPolicies: from Prometheus' namespace, from another one, and from outside.
func (a applied) judgePackets(found *faults) {
	everywhere := map[string][]int32{
		"meshmeter-collector": {8080, 15008}, reconcileName: {}, "istio-egressgateway": {443, 15021}, "llm-waypoint": {15008, 15021},
	}
	scraped := map[string][]int32{
		"meshmeter-collector": {9091, 15020}, reconcileName: {}, "istio-egressgateway": {15020, 15090}, "llm-waypoint": {15020, 15090},
	}
	policies := kind[networkingv1.NetworkPolicy](a, "NetworkPolicy")
	for _, policy := range policies {
		selected := 0
		for _, pod := range a.workloads() {
			selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
			if err == nil && pod.Namespace == policy.Namespace && selector.Matches(labels.Set(pod.Labels)) {
				selected++
			}
		}
		if selected != 1 {
			found.add("NetworkPolicy %s is for %d workloads", policy.Name, selected)
		}
		both := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
		if !reflect.DeepEqual(policy.Spec.PolicyTypes, both) {
			found.add("NetworkPolicy %s is for %v only", policy.Name, policy.Spec.PolicyTypes)
		}
		for _, rule := range policy.Spec.Egress {
			if len(rule.To) == 0 || len(rule.Ports) == 0 {
				found.add("NetworkPolicy %s lets everything out", policy.Name)
			}
			for _, peer := range rule.To {
				if peer.IPBlock != nil {
					if _, _, err := net.ParseCIDR(peer.IPBlock.CIDR); err != nil {
						found.add("NetworkPolicy %s: %v", policy.Name, err)
					}
				}
			}
		}
		for _, port := range []int32{22, 443, 8080, 9091, 15000, 15004, 15006, 15008, 15012, 15020, 15021, 15090} {
			for _, from := range []string{"monitoring", "elsewhere", ""} {
				want := slices.Contains(everywhere[policy.Name], port) && (from != "" || port == 15021) ||
					slices.Contains(scraped[policy.Name], port) && from == "monitoring"
				if isLet := slices.ContainsFunc(policy.Spec.Ingress, func(rule networkingv1.NetworkPolicyIngressRule) bool {
					return admits(rule, from, port)
				}); isLet != want {
					found.add("NetworkPolicy %s: port %d from %q: %v", policy.Name, port, from, isLet)
				}
			}
		}
	}
	for _, pod := range a.workloads() {
		if name := pod.Labels[collectorName]; name != "" && !slices.ContainsFunc(policies, func(p *networkingv1.NetworkPolicy) bool { return p.Name == name }) {
			found.add("%s has no NetworkPolicy", name)
		}
	}
}

// admits says whether a rule lets packets to a port in, from a namespace, or from outside the cluster ("").
func admits(rule networkingv1.NetworkPolicyIngressRule, from string, port int32) bool {
	isPort := len(rule.Ports) == 0 || slices.ContainsFunc(rule.Ports, func(p networkingv1.NetworkPolicyPort) bool {
		return p.Port == nil || p.Port.IntVal == port || p.EndPort != nil && p.Port.IntVal <= port && port <= *p.EndPort
	})
	isFrom := len(rule.From) == 0 || slices.ContainsFunc(rule.From, func(peer networkingv1.NetworkPolicyPeer) bool {
		if peer.NamespaceSelector == nil {
			return peer.IPBlock != nil // a pod of the same namespace is none of these three
		}
		selector, err := metav1.LabelSelectorAsSelector(peer.NamespaceSelector)
		return from != "" && (err != nil || selector.Matches(labels.Set{"kubernetes.io/metadata.name": from}))
	})
	return isPort && isFrom
}

// collectorPaths are the paths of the collector's own description.
func collectorPaths(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct{ Paths map[string]any }
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	var found []string
	for path := range document.Paths {
		found = append(found, path)
	}
	if len(found) < 10 {
		t.Fatalf("only the paths %v", found)
	}
	slices.Sort(found)
	return found
}

// What reconcile reads goes into the ledger: of the node's logs, which the kubelet calls NAMESPACE_POD_UID/CONTAINER/0.log,
// only those of the proxies' own containers.
func (a applied) judgeReconcile(found *faults) {
	namespace := a.metering().Namespace
	for _, set := range kind[appsv1.DaemonSet](a, "DaemonSet") {
		container := set.Spec.Template.Spec.Containers[0]
		for _, arg := range container.Args {
			if !strings.HasPrefix(arg, "/") {
				continue
			}
			for _, variable := range container.Env {
				arg = strings.ReplaceAll(arg, "$("+variable.Name+")", variable.Value)
			}
			for file, isMeant := range map[string]bool{
				namespace + "_proxy-1_uid/istio-proxy/0.log": true, namespace + "_proxy-1_uid/app/0.log": false,
				namespace + "-2_pod_uid/istio-proxy/0.log": false, "elsewhere_pod_uid/istio-proxy/0.log": false,
				namespace + "_proxy-1_uid/istio-proxy-2/0.log": false,
			} {
				if isRead, err := filepath.Match(arg, "/var/log/pods/"+file); err != nil || isRead != isMeant {
					found.add("reconcile reads %s: %v", file, isRead)
				}
			}
		}
		for _, mount := range container.VolumeMounts {
			if !mount.ReadOnly {
				found.add("reconcile may write to %s", mount.MountPath)
			}
		}
		for _, volume := range set.Spec.Template.Spec.Volumes {
			if volume.HostPath != nil && volume.HostPath.Path != "/var/log/pods" {
				found.add("reconcile has %s of the node", volume.HostPath.Path)
			}
		}
	}
}

// Gateways serve what their own namespace binds to them, to callers with a certificate.
func (a applied) judgeGateways(found *faults) {
	for id, gateway := range spec[*networking.Gateway](a, "Gateway") {
		for _, server := range gateway.Servers {
			if server.Tls.GetMode() != networking.ServerTLSSettings_ISTIO_MUTUAL {
				found.add("%s: port %d takes calls without a certificate of the mesh", id, server.Port.GetNumber())
			}
			for _, host := range server.Hosts {
				if !strings.HasPrefix(host, "./") {
					found.add("%s serves %s", id, host)
				}
			}
		}
		if len(gateway.Selector) == 0 || !labels.SelectorFromSet(gateway.Selector).Matches(labels.Set(a.metering().Labels)) {
			found.add("%s is served by %v", id, gateway.Selector)
		}
	}
	for _, object := range a.objects {
		if object.GetKind() != "Gateway" || object.GroupVersionKind().Group != "gateway.networking.k8s.io" {
			continue
		}
		listeners, _, _ := unstructured.NestedSlice(object.Object, "spec", "listeners")
		for _, listener := range listeners {
			from, _, _ := unstructured.NestedString(listener.(map[string]any), "allowedRoutes", "namespaces", "from")
			if from != "Same" {
				found.add("%s serves namespaces %q", object.GetName(), from)
			}
		}
	}
	for id, authentication := range spec[*security.RequestAuthentication](a, "RequestAuthentication") {
		for _, rule := range authentication.JwtRules {
			if rule.ForwardOriginalToken {
				found.add("%s: the provider gets the tenant's token", id)
			}
		}
	}
	for _, source := range a.plugin().settings["tenant"].([]any) {
		// A caller can set a header; only a sidecar of the caller's own has no better.
		if source := source.(map[string]any); source["trusted"] == true && a.metering().Labels["app"] != "assistant" {
			found.add("the plugin believes the header %v", source["name"])
		}
	}
}
