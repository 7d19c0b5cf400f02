package chart

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const (
	istio    = "../../istio"
	helmsOwn = istio + "/chart"
)

func TestTheManifestsAreWhatTheChartRenders(t *testing.T) {
	for _, m := range Manifests() {
		want, err := m.Text(helmsOwn)
		if err != nil {
			t.Fatal(err)
		}
		have, err := os.ReadFile(filepath.Join(istio, m.File))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, want) {
			t.Errorf("istio/%s is not what the chart renders: run `just manifests`", m.File)
		}
	}
}

func TestTheChartsRulesAreThoseOfTheCollector(t *testing.T) {
	want, err := rules(istio)
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile(filepath.Join(istio, Rules))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("istio/%s is another file: run `just manifests`", Rules)
	}
	// A link would lead out of istio/, which may be copied by itself.
	if about, err := os.Lstat(filepath.Join(istio, Rules)); err != nil || !about.Mode().IsRegular() {
		t.Errorf("istio/%s: %v %v", Rules, about.Mode(), err)
	}
}

func TestHelmFindsNothingWrongWithTheChart(t *testing.T) {
	for _, message := range lint.RunAll(helmsOwn, Values{}, "meshmeter").Messages {
		// An icon is a matter of taste.
		if message.Severity > support.InfoSev {
			t.Error(message)
		}
	}
}

// objects gives what a text of YAML documents holds, by kind, namespace and name.
func objects(t *testing.T, texts ...string) map[string]any {
	t.Helper()
	found := map[string]any{}
	for _, text := range texts {
		for _, document := range strings.Split("\n"+text, "\n---\n") {
			var object map[string]any
			// With the end of its last line, which a block of text keeps.
			if err := yaml.UnmarshalStrict([]byte(document+"\n"), &object); err != nil {
				t.Fatalf("%v in\n%s", err, document)
			}
			if object == nil {
				continue // comments only
			}
			metadata := object["metadata"].(map[string]any)
			id := fmt.Sprintf("%v %v/%v", object["kind"], metadata["namespace"], metadata["name"])
			if found[id] != nil {
				t.Fatalf("%s is there twice", id)
			}
			found[id] = object
		}
	}
	return found
}

func helm(t *testing.T, values Values) map[string]any {
	t.Helper()
	texts, err := Render(helmsOwn, values)
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, slices.Collect(maps.Values(texts))...)
}

func kustomize(t *testing.T, files filesys.FileSystem, folder string) map[string]any {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, folder)
	if err != nil {
		t.Fatal(err)
	}
	text, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, string(text))
}

// compare says which objects two ways of rendering differ in.
func compare(t *testing.T, kustomized, helmed map[string]any) {
	t.Helper()
	for id := range helmed {
		if kustomized[id] == nil {
			t.Errorf("%s: Helm brings it, kustomize does not", id)
		}
	}
	for id, object := range kustomized {
		if helmed[id] == nil {
			t.Errorf("%s: kustomize brings it, Helm does not", id)
		} else if !reflect.DeepEqual(object, helmed[id]) {
			have, _ := yaml.Marshal(object)
			want, _ := yaml.Marshal(helmed[id])
			t.Errorf("%s: by kustomize\n%s\nby Helm\n%s", id, have, want)
		}
	}
}

func TestKustomizeAndHelmBringTheSame(t *testing.T) {
	for _, folder := range []string{"egress-gateway", "waypoint", "sidecar-server", "sidecar-client"} {
		t.Run(folder, func(t *testing.T) {
			kustomized := kustomize(t, filesys.MakeFsOnDisk(), filepath.Join(istio, folder))
			compare(t, kustomized, helm(t, Values{"placement": folder}))

			files := overlay(t, "resources: [../"+folder+"]\ncomponents: [../traffic-extension]")
			extension := Values{"placement": folder, "plugin": Values{"kind": "TrafficExtension"}}
			compare(t, kustomize(t, files, "/istio/overlay"), helm(t, extension))
		})
	}
	compare(t, kustomize(t, filesys.MakeFsOnDisk(), filepath.Join(istio, "collector")), helm(t, Values{"placement": "none"}))
}

// The collector for Envoy Gateway: what Istio's has, without kinds that only Istio's definitions bring.
func TestTheCollectorWithoutIstioHasNoKindOfIstios(t *testing.T) {
	whole := kustomize(t, filesys.MakeFsOnDisk(), filepath.Join(istio, "collector"))
	plain := kustomize(t, filesys.MakeFsOnDisk(), istio+"/../envoy/gateway/collector")
	for id, object := range whole {
		version, _ := object.(map[string]any)["apiVersion"].(string)
		if isIstios := strings.Contains(version, ".istio.io/"); isIstios == (plain[id] != nil) {
			t.Errorf("%s of %s: is there: %v", id, version, plain[id] != nil)
		}
	}
	if len(plain) == 0 || len(plain) >= len(whole) {
		t.Errorf("%d objects of %d", len(plain), len(whole))
	}
}

// What is added to a placement: each folder with the value that turns the same on in the chart.
func TestAdditionsAreTheSameInKustomizeAndHelm(t *testing.T) {
	const base = "resources: [../egress-gateway]\n"
	for name, addition := range map[string]struct {
		kustomization string
		values        Values
	}{
		"postgresql": {base + "components: [../postgresql]", Values{"collector": Values{"database": "postgresql"}}},
		"https-seen": {base + "components: [../https-seen]", Values{"httpsSeen": Values{"enabled": true}}},
		"reconcile":  {base + "components: [../reconcile]", Values{"reconcile": Values{"enabled": true}}},
		"shadow":     {base + "components: [../shadow]", Values{"plugin": Values{"shadow": true}}},
		"monitoring": {"resources: [../egress-gateway, ../monitoring]", Values{"monitoring": Values{"enabled": true}}},
		"jwt":        {base + "components: [../jwt]", Values{"jwt": Values{"enabled": true}}},
	} {
		t.Run(name, func(t *testing.T) {
			files := overlay(t, addition.kustomization)
			compare(t, kustomize(t, files, "/istio/overlay"), helm(t, addition.values))
		})
	}
}

// A database outside the mesh: the entry that istio/postgresql shows in its comment is the one that Helm makes.
func TestTheDatabasesEntryIsTheSameInTheCommentAndHelm(t *testing.T) {
	text, err := os.ReadFile(istio + "/postgresql/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "of your overlay:\n#\n")
	entry, _, ended := strings.Cut(rest, "\n#\n")
	if !found || !ended {
		t.Fatal("istio/postgresql shows no ServiceEntry")
	}
	entry = strings.ReplaceAll(strings.ReplaceAll("\n"+entry, "\n#   ", "\n"), "HOST", "db.example.com")
	made := helm(t, Values{"collector": Values{"database": "postgresql", "databaseHost": "db.example.com"}})
	const id = "ServiceEntry meshmeter/meshmeter-database"
	if shown := objects(t, entry)[id]; shown == nil || !reflect.DeepEqual(shown, made[id]) {
		t.Errorf("shown as %v, made as %v", shown, made[id])
	}
}

// overlay is istio/ in memory, with a kustomization of a user's in /istio/overlay.
func overlay(t *testing.T, kustomization string) filesys.FileSystem {
	t.Helper()
	files := filesys.MakeFsInMemory()
	err := filepath.WalkDir(istio, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" || strings.Contains(path, "/chart/") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(istio, path)
		if err != nil {
			return err
		}
		return files.WriteFile(filepath.Join("/istio", below), text)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := files.WriteFile("/istio/overlay/kustomization.yaml", []byte(kustomization)); err != nil {
		t.Fatal(err)
	}
	return files
}

// The overlay that istio/ADAPTING.md shows: both images, by digest, in one place.
func TestImagesAreNamedInOnePlace(t *testing.T) {
	guide, err := os.ReadFile(istio + "/ADAPTING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(guide), "<!-- overlay -->\n\n```yaml\n")
	text, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatal("istio/ADAPTING.md shows no overlay")
	}
	// A user's overlay refers to a release by its address.
	text = strings.ReplaceAll(text, "github.com/meshmeter/meshmeter/istio/", "../")
	text = strings.ReplaceAll(text, "?ref=v0.1.0", "")
	built := kustomize(t, overlay(t, text), "/istio/overlay")

	var images []string
	for _, id := range []string{"StatefulSet meshmeter/meshmeter-collector", "WasmPlugin istio-egress/meshmeter"} {
		object := built[id].(map[string]any)
		spec := object["spec"].(map[string]any)
		if url, isPlugin := spec["url"].(string); isPlugin {
			images = append(images, url)
			continue
		}
		pod := spec["template"].(map[string]any)["spec"].(map[string]any)
		images = append(images, pod["containers"].([]any)[0].(map[string]any)["image"].(string))
	}
	want := []string{"registry.internal/meshmeter/meshmeter@sha256:", "oci://registry.internal/meshmeter/filter@sha256:"}
	for i, image := range images {
		if !strings.HasPrefix(image, want[i]) || strings.Count(image, "sha256:") != 1 {
			t.Errorf("%s does not begin with %s", image, want[i])
		}
	}
	for id := range built {
		if strings.HasPrefix(id, "ConfigMap") && strings.Contains(id, "images") {
			t.Errorf("%s would be applied", id)
		}
	}
}

// The plugin's configuration in the values is laid over that of the placement, which may have the same keys.
func TestTheConfigurationIsLaidOverThatOfThePlacement(t *testing.T) {
	tenant := []any{map[string]any{"from": "spiffe", "take": "namespace", "trust_domains": []any{"*"}}}
	given := Values{
		"tenant": tenant, "include_usage": true, "include_usage_else": "refuse",
		"collector": Values{"path": "/other"},
		// Empty, and yet it turns budgets on.
		"budgets": Values{},
	}
	for _, shadow := range []bool{false, true} {
		made := helm(t, Values{"plugin": Values{"config": given, "shadow": shadow}})
		spec := made["WasmPlugin istio-egress/meshmeter"].(map[string]any)["spec"].(map[string]any)
		config := spec["pluginConfig"].(map[string]any)
		if !reflect.DeepEqual(config["tenant"], any(tenant)) {
			t.Errorf("tenant is %v", config["tenant"])
		}
		// A shadow changes and refuses no call, whatever the values say.
		if budgets, isMap := config["budgets"].(map[string]any); isMap == shadow || len(budgets) != 0 {
			t.Errorf("budgets is %v, shadow is %v", config["budgets"], shadow)
		}
		if want := map[bool]string{true: "pass", false: "refuse"}[shadow]; config["include_usage_else"] != want {
			t.Errorf("include_usage_else is %v, shadow is %v", config["include_usage_else"], shadow)
		}
		collector := config["collector"].(map[string]any)
		if collector["path"] != "/other" || collector["token_env"] != "MESHMETER_INGEST_TOKEN" {
			t.Errorf("collector is %v", collector)
		}
		if config["include_usage"] != !shadow {
			t.Errorf("include_usage is %v, shadow is %v", config["include_usage"], shadow)
		}
	}
}

// A private registry: the pods of meshmeter's own image have its credentials.
func TestPodsHaveTheRegistrysCredentials(t *testing.T) {
	secrets := []any{map[string]any{"name": "registry"}}
	made := helm(t, Values{"imagePullSecrets": secrets, "reconcile": Values{"enabled": true}})
	for _, id := range []string{"StatefulSet meshmeter/meshmeter-collector", "DaemonSet meshmeter-reconcile/meshmeter-reconcile"} {
		spec := made[id].(map[string]any)["spec"].(map[string]any)
		pod := spec["template"].(map[string]any)["spec"].(map[string]any)
		if !reflect.DeepEqual(pod["imagePullSecrets"], any(secrets)) {
			t.Errorf("%s has %v", id, pod["imagePullSecrets"])
		}
	}
}
