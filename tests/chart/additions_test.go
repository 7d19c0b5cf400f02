package chart

import (
	"maps"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
)

// The plugin in a TrafficExtension runs in the chosen pods only, whichever of the two components comes first.
func TestAShadowIsOneInEitherKindAndEitherOrder(t *testing.T) {
	want := helm(t, Values{"plugin": Values{"shadow": true, "kind": "TrafficExtension"}})
	extension := want["TrafficExtension istio-egress/meshmeter"].(map[string]any)["spec"].(map[string]any)
	labels := extension["selector"].(map[string]any)["matchLabels"].(map[string]any)
	if labels["meshmeter"] != "shadow" {
		t.Fatalf("Helm's selects %v", labels)
	}
	for _, order := range []string{"../shadow, ../traffic-extension", "../traffic-extension, ../shadow"} {
		files := overlay(t, "resources: [../egress-gateway]\ncomponents: ["+order+"]")
		compare(t, kustomize(t, files, "/istio/overlay"), want)
	}
}

// A waypoint's plugin cannot choose among pods: rather than meter everything, neither way brings anything.
func TestAShadowOnAWaypointIsRefused(t *testing.T) {
	for _, kind := range []string{"WasmPlugin", "TrafficExtension"} {
		_, err := Render(helmsOwn, Values{"placement": "waypoint", "plugin": Values{"shadow": true, "kind": kind}})
		if err == nil || !strings.Contains(err.Error(), "plugin.shadow") {
			t.Errorf("Helm with %s: %v", kind, err)
		}
	}
	for _, components := range []string{"../shadow", "../traffic-extension, ../shadow"} {
		files := overlay(t, "resources: [../waypoint]\ncomponents: ["+components+"]")
		if built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, "/istio/overlay"); err == nil {
			t.Errorf("%s: builds %d objects", components, built.Size())
		}
	}
}

// What needs proxies that verify or write logs is refused without them.
func TestAdditionsThatNeedAPlacementAreRefusedWithoutIt(t *testing.T) {
	for name, values := range map[string]Values{
		"reconcile":      {"placement": "none", "reconcile": Values{"enabled": true}},
		"jwt":            {"placement": "none", "jwt": Values{"enabled": true}},
		"jwt of clients": {"placement": "sidecar-client", "jwt": Values{"enabled": true}},
	} {
		addition, _, _ := strings.Cut(name, " ")
		if _, err := Render(helmsOwn, values); err == nil || !strings.Contains(err.Error(), addition+".enabled") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// reconcile/ reads the logs of the placement that it is added to, wherever its proxies are.
func TestReconcileReadsTheLogsOfItsPlacement(t *testing.T) {
	for _, placement := range []string{"egress-gateway", "waypoint", "sidecar-server", "sidecar-client"} {
		for _, components := range []string{"../reconcile", "../traffic-extension, ../reconcile"} {
			values := Values{"placement": placement, "reconcile": Values{"enabled": true}}
			if strings.Contains(components, "extension") {
				values["plugin"] = Values{"kind": "TrafficExtension"}
			}
			files := overlay(t, "resources: [../"+placement+"]\ncomponents: ["+components+"]")
			compare(t, kustomize(t, files, "/istio/overlay"), helm(t, values))
		}
	}
}

// A second placement beside the first, as istio/README.md shows it: the collector is brought once, as the first has it, and
// lets in the events of both. The images are named once for both, or in the second by itself.
func TestASecondPlacementLeavesTheCollectorAlone(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0f", 32)
	image := Values{"repository": "registry.internal/filter", "digest": digest}
	named := "configMapGenerator:\n- name: meshmeter-images\n  behavior: merge\n  literals: [plugin=registry.internal/filter@" + digest + "]\n"
	second := helm(t, Values{"placement": "sidecar-client", "collector": Values{"enabled": false}, "plugin": Values{"image": image}})

	files := overlay(t, "resources: [../sidecar-client]\n"+named+"components: [../set-images, ../without-collector]")
	compare(t, kustomize(t, files, "/istio/overlay"), second)

	both := helm(t, Values{"collector": Values{"database": "postgresql"}, "plugin": Values{"image": image}})
	maps.Copy(both, second)
	files = overlay(t, "resources: [../first, ../second]\n"+named+"components: [../set-images]")
	for name, text := range map[string]string{
		"first":  "resources: [../egress-gateway]\ncomponents: [../postgresql]",
		"second": "resources: [../sidecar-client]\ncomponents: [../without-collector]",
	} {
		if err := files.WriteFile("/istio/"+name+"/kustomization.yaml", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	compare(t, kustomize(t, files, "/istio/overlay"), both)
}

// extraProviders adds, and the hosts of both lists are in the routes and in the alerts.
func TestExtraProvidersAreAdded(t *testing.T) {
	given := Values{
		"monitoring":     Values{"enabled": true},
		"extraProviders": []any{Values{"name": "mistral", "hosts": []any{"api.mistral.ai"}}},
	}
	before, after := helm(t, Values{"monitoring": Values{"enabled": true}}), helm(t, given)
	for id := range before {
		if after[id] == nil {
			t.Errorf("%s is gone", id)
		}
	}
	for _, id := range []string{"ServiceEntry istio-egress/mistral", "VirtualService istio-egress/api-mistral-ai", "DestinationRule istio-egress/api-mistral-ai"} {
		if after[id] == nil {
			t.Errorf("no %s", id)
		}
	}
	rules := after["PrometheusRule monitoring/meshmeter-istio-egress-istio-egressgateway"]
	if reflect.DeepEqual(rules, before["PrometheusRule monitoring/meshmeter-istio-egress-istio-egressgateway"]) {
		t.Error("no alert asks for the new host")
	}
	given["extraProviders"] = []any{Values{"name": "openai", "hosts": []any{"eu.api.openai.com"}}}
	if _, err := Render(helmsOwn, given); err == nil || !strings.Contains(err.Error(), "openai is among providers") {
		t.Errorf("a name twice: %v", err)
	}
}

// With a default of the mesh that exports nothing, calls would leave the sidecars in the clear: who has the ServiceEntry
// has the way to the gateway as well.
func TestTheWayToTheGatewayIsExportedToAll(t *testing.T) {
	everywhere := []any{"*"}
	seen := 0
	for id, object := range helm(t, Values{}) {
		spec, _ := object.(map[string]any)["spec"].(map[string]any)
		kind, _, _ := strings.Cut(id, " ")
		isWay := kind == "ServiceEntry" || kind == "VirtualService" || id == "DestinationRule istio-egress/llm-egress"
		if isWay && !reflect.DeepEqual(spec["exportTo"], any(everywhere)) {
			t.Errorf("%s is exported to %v", id, spec["exportTo"])
		}
		if isWay {
			seen++
		}
	}
	if seen < 9 {
		t.Errorf("only %d resources", seen)
	}
}
