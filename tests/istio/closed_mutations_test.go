package istio

import (
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Each placement with what can be added to it that opens or closes anything.
var guarded = map[string][]string{
	"egress-gateway": {"reconcile", "jwt"},
	"waypoint":       {"reconcile"},
	"sidecar-server": {"reconcile", "postgresql"},
	"sidecar-client": {"reconcile"},
}

func TestNothingIsOpenThatNeedNotBe(t *testing.T) {
	paths := collectorPaths(t)
	for placement, additions := range guarded {
		for _, components := range [][]string{nil, additions, append([]string{"traffic-extension"}, additions...)} {
			for _, fault := range buildWith(t, placement, components...).open(paths) {
				t.Errorf("%s with %v: %s", placement, components, fault)
			}
		}
	}
}

// put sets a field, or removes it: PATH has names and positions.
func put(within any, path []string, value any) any {
	if len(path) == 0 {
		return value
	}
	switch within := within.(type) {
	case []any:
		at, err := strconv.Atoi(path[0])
		if err != nil || at > len(within) {
			panic("no position " + path[0])
		}
		if at == len(within) {
			return append(within, put(nil, path[1:], value))
		}
		within[at] = put(within[at], path[1:], value)
		return within
	case map[string]any:
		if value == nil && len(path) == 1 {
			if _, isThere := within[path[0]]; !isThere {
				panic("no field " + path[0])
			}
			delete(within, path[0])
			return within
		}
		within[path[0]] = put(within[path[0]], path[1:], value)
		return within
	}
	return put(map[string]any{}, path, value)
}

// Each of these opens what must be closed, and is noticed: else the test above would show nothing.
func TestWhatOpensAnythingIsNoticed(t *testing.T) {
	const gateway, waypoint, server, client = "egress-gateway", "waypoint", "sidecar-server", "sidecar-client"
	paths := collectorPaths(t)
	anyone, everything := []any{"*"}, []any{"/*"}
	all := []any{map[string]any{"namespaceSelector": map[string]any{}}}
	for _, mutation := range []struct {
		placement, kind, name, path string
		value                       any
	}{
		{gateway, "PeerAuthentication", "meshmeter-collector", "spec.mtls.mode", "PERMISSIVE"},
		{gateway, "PeerAuthentication", "meshmeter-collector", "spec.portLevelMtls", map[string]any{"8080": map[string]any{"mode": "DISABLE"}}},
		{gateway, "PeerAuthentication", "meshmeter-collector", "spec.selector.matchLabels", map[string]any{"app": "other"}},
		{server, "PeerAuthentication", "vllm", "spec.mtls.mode", "PERMISSIVE"},
		{server, "PeerAuthentication", "vllm", "spec.selector.matchLabels", map[string]any{"app": "other"}},
		{gateway, "AuthorizationPolicy", "reports", "spec.rules.0.from.0.source.namespaces", anyone},
		{gateway, "AuthorizationPolicy", "reports", "spec.rules.0.from", nil},
		{gateway, "AuthorizationPolicy", "reports", "spec.rules.0.to.1.operation.paths.2", "/v1/events"},
		{gateway, "AuthorizationPolicy", "reports", "spec.rules.0.to.0.operation.methods.1", "POST"},
		{gateway, "AuthorizationPolicy", "reports", "spec.rules.0.to.0.operation.paths", []any{"/v1/report"}},
		{gateway, "AuthorizationPolicy", "journals-from-meshmeter-reconcile", "spec.rules.0.from.0.source.principals", anyone},
		{gateway, "AuthorizationPolicy", "journals-from-meshmeter-reconcile", "spec.rules.0.from.0.source.principals.0", "cluster.local/ns/meshmeter-reconcile/*"},
		{gateway, "AuthorizationPolicy", "journals-from-meshmeter-reconcile", "spec.rules.0.to.0.operation.paths", everything},
		{gateway, "AuthorizationPolicy", "events-from-", "spec.rules.0.from", nil},
		{gateway, "AuthorizationPolicy", "events-from-", "spec.rules.0.from.0.source.principals.0", "*/sa/meshmeter-egress"},
		{gateway, "AuthorizationPolicy", "events-from-", "spec.rules.0.to.0.operation.methods", nil},
		{gateway, "NetworkPolicy", "meshmeter-collector", "spec.ingress.0.ports.0.port", int64(9091)},
		{gateway, "NetworkPolicy", "meshmeter-collector", "spec.ingress.1.from", all},
		{gateway, "NetworkPolicy", "meshmeter-collector", "spec.ingress.1.from", nil},
		{gateway, "NetworkPolicy", "meshmeter-collector", "spec.ingress.0.ports", nil},
		{gateway, "NetworkPolicy", "meshmeter-collector", "spec.policyTypes", []any{"Egress"}},
		{gateway, "NetworkPolicy", "meshmeter-collector", "spec.podSelector.matchLabels", map[string]any{"app": "other"}},
		{gateway, "NetworkPolicy", "meshmeter-collector", "spec.egress.0.to", nil},
		{gateway, "NetworkPolicy", "istio-egressgateway", "spec.ingress.1.ports", nil},
		{gateway, "NetworkPolicy", "istio-egressgateway", "spec.egress.3.to.0.ipBlock.cidr", "0.0.0.0/99"},
		{gateway, "NetworkPolicy", reconcileName, "spec.policyTypes", []any{"Egress"}},
		{waypoint, "NetworkPolicy", "llm-waypoint", "spec.ingress.0.from", nil},
		{gateway, "DaemonSet", reconcileName, "spec.template.spec.containers.0.args.6", "/var/log/pods/$(PROXIES_NAMESPACE)*/*/*.log*"},
		{gateway, "DaemonSet", reconcileName, "spec.template.spec.containers.0.args.7", "/var/log/pods/*/istio-proxy/*.log"},
		{gateway, "DaemonSet", reconcileName, "spec.template.spec.containers.0.volumeMounts.0.readOnly", false},
		{gateway, "DaemonSet", reconcileName, "spec.template.spec.volumes.0.hostPath.path", "/"},
		{gateway, "DaemonSet", reconcileName, "spec.template.spec.automountServiceAccountToken", nil},
		{gateway, "DaemonSet", reconcileName, "spec.template.spec.hostPID", true},
		{gateway, "DaemonSet", reconcileName, "spec.template.spec.volumes.1.secret.defaultMode", int64(0o444)},
		{gateway, "StatefulSet", "meshmeter-collector", "spec.template.spec.securityContext.runAsNonRoot", false},
		{gateway, "StatefulSet", "meshmeter-collector", "spec.template.spec.securityContext.runAsUser", int64(0)},
		{gateway, "StatefulSet", "meshmeter-collector", "spec.template.spec.containers.0.securityContext.capabilities", map[string]any{"add": []any{"ALL"}}},
		{gateway, "StatefulSet", "meshmeter-collector", "spec.template.spec.volumes.0.secret.defaultMode", int64(0o777)},
		{gateway, "StatefulSet", "meshmeter-collector", "spec.template.metadata.annotations.traffic.sidecar.istio.io/excludeInboundPorts", "9091,8080"},
		{gateway, "Deployment", "istio-egressgateway", "spec.template.spec.containers.0.securityContext.privileged", true},
		{gateway, "Deployment", "istio-egressgateway", "spec.template.spec.hostNetwork", true},
		{gateway, "Gateway", "llm-egress", "spec.servers.0.hosts.0", "*/*"},
		{gateway, "Gateway", "llm-egress", "spec.servers.0.tls", map[string]any{"mode": "SIMPLE", "credentialName": "x"}},
		{gateway, "Gateway", "llm-egress", "spec.selector.istio", "egressgateway"},
		{waypoint, "Gateway", "llm-waypoint", "spec.listeners.0.allowedRoutes.namespaces.from", "All"},
		{waypoint, "Gateway", "llm-waypoint", "spec.listeners.0.allowedRoutes", nil},
		{gateway, "RequestAuthentication", "tenant-token", "spec.jwtRules.0.forwardOriginalToken", true},
		{gateway, "WasmPlugin", "meshmeter", "spec.pluginConfig.tenant.2", map[string]any{"from": "header", "name": "x-tenant-id", "trusted": true}},
		{gateway, "DestinationRule", "api-openai-com", "spec.exportTo", nil},
		{gateway, "DestinationRule", "api-openai-com", "spec.trafficPolicy.portLevelSettings.0.tls.subjectAltNames", nil},
		{gateway, "DestinationRule", "api-openai-com-elsewhere", "spec.exportTo", nil},
		{client, "DestinationRule", "api-openai-com", "spec.exportTo", anyone},
		{client, "ServiceEntry", "openai", "spec.exportTo", nil},
		{client, "VirtualService", "api-openai-com", "spec.exportTo", nil},
		{gateway, "VirtualService", "api-openai-com", "spec.exportTo", nil},
	} {
		all := buildWith(t, mutation.placement, guarded[mutation.placement]...)
		var changed *unstructured.Unstructured
		for _, object := range all.objects {
			isNamed := object.GetName() == mutation.name || strings.HasSuffix(mutation.name, "-") && strings.HasPrefix(object.GetName(), mutation.name)
			if object.GetKind() == mutation.kind && isNamed {
				changed = object
			}
		}
		if changed == nil {
			t.Errorf("%s has no %s %s", mutation.placement, mutation.kind, mutation.name)
			continue
		}
		path := strings.Split(strings.ReplaceAll(mutation.path, "traffic.sidecar.istio.io", "traffic#sidecar#istio#io"), ".")
		for i := range path {
			path[i] = strings.ReplaceAll(path[i], "#", ".")
		}
		changed.Object = put(changed.Object, path, mutation.value).(map[string]any)
		if found := all.open(paths); len(found) == 0 {
			t.Errorf("%s: %s %s with %s: %v is not noticed", mutation.placement, mutation.kind, mutation.name, mutation.path, mutation.value)
		}
	}
}
