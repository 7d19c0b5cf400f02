package chart

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
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

// A shadow lets every call pass: over an overlay whose patch turns on what refuses, the component turns it off, as Helm does.
func TestAShadowRefusesNothing(t *testing.T) {
	config := Values{"budgets": Values{"without_collector": "closed"}, "include_usage_else": "refuse", "include_usage": true}
	for kind, at := range map[string]string{"WasmPlugin": "/spec/pluginConfig", "TrafficExtension": "/spec/wasm/pluginConfig"} {
		below := fmt.Sprintf("resources: [../egress-gateway]\npatches:\n- target: { kind: %[1]s }\n  patch: |\n"+
			"    - { op: add, path: %[2]s/budgets, value: { without_collector: closed } }\n"+
			"    - { op: add, path: %[2]s/include_usage_else, value: refuse }\n", kind, at)
		if kind == "TrafficExtension" {
			below += "components: [../traffic-extension]\n"
		}
		files := overlay(t, "resources: [../first]\ncomponents: [../shadow]")
		if err := files.WriteFile("/istio/first/kustomization.yaml", []byte(below)); err != nil {
			t.Fatal(err)
		}
		want := helm(t, Values{"plugin": Values{"shadow": true, "kind": kind, "config": config}})
		compare(t, kustomize(t, files, "/istio/overlay"), want)
		spec := want[kind+" istio-egress/meshmeter"].(map[string]any)["spec"].(map[string]any)
		if wasm, isInside := spec["wasm"].(map[string]any); isInside {
			spec = wasm
		}
		made := spec["pluginConfig"].(map[string]any)
		if _, holds := made["budgets"]; holds || made["include_usage"] != false || made["include_usage_else"] != "pass" {
			t.Errorf("%s: %v", kind, made)
		}
		// The patch is one that refuses: without the component it is there.
		without, _ := yaml.Marshal(kustomize(t, files, "/istio/first")[kind+" istio-egress/meshmeter"])
		if !strings.Contains(string(without), "without_collector: closed") {
			t.Errorf("%s: the overlay below has no budgets", kind)
		}
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

// A second placement beside the first, as istio/ADAPTING.md shows it: the collector is brought once, as the first has it, and
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
	rules := after["PrometheusRule monitoring/meshmeter-istio-egress.istio-egressgateway"]
	if reflect.DeepEqual(rules, before["PrometheusRule monitoring/meshmeter-istio-egress.istio-egressgateway"]) {
		t.Error("no alert asks for the new host")
	}
	given["extraProviders"] = []any{Values{"name": "openai", "hosts": []any{"eu.api.openai.com"}}}
	if _, err := Render(helmsOwn, given); err == nil || !strings.Contains(err.Error(), "the name openai is there twice") {
		t.Errorf("a name twice: %v", err)
	}
}

// Whatever the mesh's default is: a sidecar that has the ServiceEntry has the way to the gateway as well.
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

// A database on another port: by Helm's value, and by the patch that istio/postgresql shows.
func TestThePatchForAnotherPortIsTheSameAsHelms(t *testing.T) {
	text, err := os.ReadFile(istio + "/postgresql/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "by a patch of your overlay:\n#\n")
	patch, _, ended := strings.Cut(rest, "\n#\n")
	if !found || !ended {
		t.Fatal("istio/postgresql shows no patch")
	}
	patch = strings.ReplaceAll("\n"+patch, "\n#   ", "\n")
	files := overlay(t, "resources: [../egress-gateway]\ncomponents: [../postgresql]\npatches:"+patch)
	made := helm(t, Values{"collector": Values{"database": "postgresql", "databasePort": 6432}})
	compare(t, kustomize(t, files, "/istio/overlay"), made)
}

// The job that moves a ledger mounts what the StatefulSet has, and reads and writes where the collectors do.
func TestTheLedgerIsMovedFromWhereItIsToWhereItGoes(t *testing.T) {
	job := kustomize(t, filesys.MakeFsOnDisk(), istio+"/move-ledger")["Job meshmeter/meshmeter-move-ledger"].(map[string]any)
	pod := job["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
	container := func(pod map[string]any, list string) map[string]any { return pod[list].([]any)[0].(map[string]any) }
	collector := func(id string, values Values) (map[string]any, map[string]any) {
		spec := helm(t, values)[id].(map[string]any)["spec"].(map[string]any)
		return spec, spec["template"].(map[string]any)["spec"].(map[string]any)
	}
	variable := func(container map[string]any) map[string]any {
		for _, one := range container["env"].([]any) {
			if one.(map[string]any)["name"] == "MESHMETER_DATABASE" {
				return one.(map[string]any)
			}
		}
		return nil
	}

	set, before := collector("StatefulSet meshmeter/meshmeter-collector", Values{})
	claim := set["volumeClaimTemplates"].([]any)[0].(map[string]any)["metadata"].(map[string]any)["name"]
	volume := pod["volumes"].([]any)[0].(map[string]any)["persistentVolumeClaim"].(map[string]any)["claimName"]
	if want := fmt.Sprintf("%v-meshmeter-collector-0", claim); volume != want {
		t.Errorf("the job mounts %v, the collector's claim is %s", volume, want)
	}
	backup := container(pod, "initContainers")
	if from := fmt.Sprintf("--database=%v", variable(container(before, "containers"))["value"]); !slices.Contains(backup["args"].([]any), any(from)) {
		t.Errorf("the job has %v, the ledger is at %s", backup["args"], from)
	}
	if backup["image"] != container(before, "containers")["image"] {
		t.Errorf("the job runs %v", backup["image"])
	}

	_, after := collector("Deployment meshmeter/meshmeter-collector", Values{"collector": Values{"database": "postgresql"}})
	restore := container(pod, "containers")
	if want := variable(container(after, "containers")); !reflect.DeepEqual(variable(restore), want) {
		t.Errorf("the job writes to %v, the collectors to %v", variable(restore), want)
	}
	// It runs as the collector does, whose files it reads.
	if !reflect.DeepEqual(pod["securityContext"], before["securityContext"]) {
		t.Errorf("the job runs as %v", pod["securityContext"])
	}
}

// A second namespace for reconcile/, by the patch that istio/ADAPTING.md shows.
func TestReconcileReadsTheLogsOfASecondPlacement(t *testing.T) {
	guide, err := os.ReadFile(istio + "/ADAPTING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(guide), "one more argument of its DaemonSet:\n\n```yaml\n")
	patch, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatal("istio/ADAPTING.md shows no patch")
	}
	built := kustomize(t, overlay(t, "resources: [../egress-gateway]\ncomponents: [../reconcile]\n"+patch), "/istio/overlay")
	spec := built["DaemonSet meshmeter-reconcile/meshmeter-reconcile"].(map[string]any)["spec"].(map[string]any)
	pod := spec["template"].(map[string]any)["spec"].(map[string]any)
	args := pod["containers"].([]any)[0].(map[string]any)["args"].([]any)
	want := []any{"/var/log/pods/$(PROXIES_NAMESPACE)_*/istio-proxy/*.log*", "/var/log/pods/models_*/istio-proxy/*.log*"}
	if have := args[len(args)-2:]; !reflect.DeepEqual(have, want) {
		t.Errorf("it reads %v", have)
	}
}

// A second release whose reconcile has a namespace and a token of its own leaves that of the first alone.
func TestASecondReconcileIsApartFromTheFirst(t *testing.T) {
	first := helm(t, Values{"reconcile": Values{"enabled": true}})
	own := Values{"enabled": true, "namespace": "meshmeter-reconcile-team-a"}
	second := helm(t, Values{"placement": "sidecar-client", "collector": Values{"enabled": false}, "reconcile": own})
	for id := range second {
		if first[id] != nil {
			t.Errorf("both releases have %s", id)
		}
	}
	if second["DaemonSet meshmeter-reconcile-team-a/meshmeter-reconcile"] == nil {
		t.Error("the second has no reconcile")
	}
}

// Istio with a revision: by Helm's value, and by the patch that istio/ADAPTING.md shows.
func TestThePatchForARevisionIsTheSameAsHelms(t *testing.T) {
	guide, err := os.ReadFile(istio + "/ADAPTING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(guide), "<!-- revision -->\n\n```yaml\n")
	patch, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatal("istio/ADAPTING.md shows no patch")
	}
	for _, placement := range []string{"egress-gateway", "sidecar-server", "sidecar-client"} {
		files := overlay(t, "resources: [../"+placement+"]\ncomponents: [../reconcile]\n"+patch)
		values := Values{"placement": placement, "revision": "canary", "reconcile": Values{"enabled": true}}
		made := helm(t, values)
		compare(t, kustomize(t, files, "/istio/overlay"), made)
		for id, object := range made {
			labels, _ := object.(map[string]any)["metadata"].(map[string]any)["labels"].(map[string]any)
			if strings.HasPrefix(id, "Namespace") && (labels["istio.io/rev"] != "canary" || labels["istio-injection"] != nil) {
				t.Errorf("%s has %v", id, labels)
			}
		}
	}
	waypoint := helm(t, Values{"placement": "waypoint", "revision": "canary"})["Namespace <nil>/istio-egress"]
	labels := waypoint.(map[string]any)["metadata"].(map[string]any)["labels"].(map[string]any)
	if labels["istio.io/rev"] != "canary" || labels["istio.io/dataplane-mode"] != "ambient" {
		t.Errorf("the waypoint's namespace has %v", labels)
	}
}

// What is deleted to take meshmeter out, as istio/README.md shows it: everything but the namespaces, and what is in them.
func TestNoNamespaceIsDeleted(t *testing.T) {
	guide, err := os.ReadFile(istio + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(guide), "<!-- uninstall -->\n\n")
	_, rest, _ = strings.Cut(rest, "```yaml\n")
	text, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatal("istio/README.md shows no overlay to delete")
	}
	text = strings.ReplaceAll(text, "../my-overlay", "../first")
	files := overlay(t, text)
	if err := files.WriteFile("/istio/first/kustomization.yaml", []byte("resources: [../egress-gateway]\ncomponents: [../reconcile]")); err != nil {
		t.Fatal(err)
	}
	want := helm(t, Values{"reconcile": Values{"enabled": true}})
	maps.DeleteFunc(want, func(id string, _ any) bool { return strings.HasPrefix(id, "Namespace ") })
	compare(t, kustomize(t, files, "/istio/overlay"), want)
}
