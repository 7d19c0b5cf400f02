// What no schema sees: that the manifests name each other, the plugin's settings and the metrics' labels rightly.
package istio

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"sort"
	"strings"
	"testing"

	extensions "istio.io/api/extensions/v1alpha1"
	meshconfig "istio.io/api/mesh/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/resource"
	"istio.io/istio/pkg/config/validation/agent"
	"istio.io/istio/pkg/util/protomarshal"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// applied is every object that `kubectl apply -k` would bring, by what the checks below ask of it.
type applied struct {
	services        map[string]*corev1.Service // by host
	deployments     map[string]*appsv1.Deployment
	plugin          *extensions.WasmPlugin
	gateways        map[string]*networking.Gateway // namespace/name
	entries         []*networking.ServiceEntry
	rules           map[string][]*networking.DestinationRule // by host
	virtualServices map[string]*networking.VirtualService
}

func load(t *testing.T) applied {
	t.Helper()
	all := applied{
		services: map[string]*corev1.Service{}, deployments: map[string]*appsv1.Deployment{},
		gateways: map[string]*networking.Gateway{}, rules: map[string][]*networking.DestinationRule{},
		virtualServices: map[string]*networking.VirtualService{},
	}
	for _, name := range []string{"collector.yaml", "gateway.yaml", "egress.yaml", "wasmplugin.yaml"} {
		found, err := objects(read(t, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range found {
			into := func(typed any) {
				if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, typed); err != nil {
					t.Fatal(err)
				}
			}
			gvk := object.GroupVersionKind()
			switch object.GetKind() {
			case "Service":
				service := &corev1.Service{}
				into(service)
				all.services[service.Name+"."+service.Namespace+".svc.cluster.local"] = service
			case "Deployment":
				deployment := &appsv1.Deployment{}
				into(deployment)
				all.deployments[deployment.Name] = deployment
			}
			schema, ok := collections.All.FindByGroupVersionAliasesKind(resource.FromKubernetesGVK(&gvk))
			if !ok || !strings.HasSuffix(gvk.Group, ".istio.io") {
				continue
			}
			raw, err := object.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			converted, err := judge(schema, raw)
			if err != nil {
				t.Fatal(err)
			}
			switch spec := converted.Spec.(type) {
			case *extensions.WasmPlugin:
				all.plugin = spec
			case *networking.Gateway:
				all.gateways[object.GetNamespace()+"/"+object.GetName()] = spec
			case *networking.ServiceEntry:
				all.entries = append(all.entries, spec)
			case *networking.DestinationRule:
				all.rules[spec.Host] = append(all.rules[spec.Host], spec)
			case *networking.VirtualService:
				all.virtualServices[object.GetName()] = spec
			}
		}
	}
	return all
}

// serves says whether a host with that port is known to the mesh.
func (all applied) serves(host string, port uint32) bool {
	if service, ok := all.services[host]; ok {
		for _, p := range service.Spec.Ports {
			if uint32(p.Port) == port {
				return true
			}
		}
	}
	for _, entry := range all.entries {
		for _, h := range entry.Hosts {
			for _, p := range entry.Ports {
				if h == host && p.Number == port {
					return true
				}
			}
		}
	}
	return false
}

func (all applied) hasSubset(host, subset string) bool {
	for _, rule := range all.rules[host] {
		for _, s := range rule.Subsets {
			if s.Name == subset {
				return true
			}
		}
	}
	return subset == ""
}

func TestRoutesLeadSomewhere(t *testing.T) {
	all := load(t)
	if len(all.virtualServices) == 0 {
		t.Fatal("no VirtualService")
	}
	for name, vs := range all.virtualServices {
		for _, gateway := range vs.Gateways {
			if gateway != "mesh" && all.gateways[gateway] == nil {
				t.Errorf("%s: gateways: no Gateway %s", name, gateway)
			}
		}
		for _, route := range vs.Http {
			if route.Timeout != nil {
				t.Errorf("%s: http %s: timeout: must be absent, a response may stream for long", name, route.Name)
			}
			for _, way := range route.Route {
				to := way.Destination
				if !all.serves(to.Host, to.Port.GetNumber()) {
					t.Errorf("%s: http %s: nothing serves %s:%d", name, route.Name, to.Host, to.Port.GetNumber())
				}
				if !all.hasSubset(to.Host, to.Subset) {
					t.Errorf("%s: http %s: %s has no subset %s", name, route.Name, to.Host, to.Subset)
				}
			}
		}
	}
	for host := range all.rules {
		if !all.serves(host, 80) && !all.serves(host, 443) {
			t.Errorf("a DestinationRule is for %s, which nothing serves", host)
		}
	}
}

// A host that the gateway takes must leave it through TLS to a certificate of its own name.
func TestEveryProviderIsReachedByTLS(t *testing.T) {
	all := load(t)
	hosts := 0
	for _, gateway := range all.gateways {
		for _, server := range gateway.Servers {
			for _, host := range server.Hosts {
				hosts++
				if len(all.rules[host]) != 1 {
					t.Errorf("%s: %d DestinationRules, must be 1", host, len(all.rules[host]))
					continue
				}
				for _, port := range all.rules[host][0].TrafficPolicy.PortLevelSettings {
					tls := port.Tls
					if tls.GetMode() != networking.ClientTLSSettings_SIMPLE || tls.Sni != host || !reflect.DeepEqual(tls.SubjectAltNames, []string{host}) {
						t.Errorf("%s: port %d: tls is %v", host, port.Port.Number, tls)
					}
				}
			}
		}
	}
	if hosts == 0 {
		t.Error("the gateway serves no host")
	}
}

func TestPluginFindsItsCollectorAndItsGateway(t *testing.T) {
	all := load(t)
	settings := all.plugin.PluginConfig.AsMap()["collector"].(map[string]any)
	var port uint32
	var host string
	// outbound|PORT|SUBSET|HOST, as istiod names clusters
	if _, err := fmt.Sscanf(settings["cluster"].(string), "outbound|%d||%s", &port, &host); err != nil {
		t.Fatalf("collector.cluster: %v: %v", settings["cluster"], err)
	}
	if !all.serves(host, port) {
		t.Errorf("collector.cluster: nothing serves %s:%d", host, port)
	}
	if all.services[host] == nil || all.services[host].Spec.Ports[0].AppProtocol == nil || *all.services[host].Spec.Ports[0].AppProtocol != "http" {
		t.Errorf("the collector's port must have appProtocol: http")
	}
	if settings["authority"] != host {
		t.Errorf("collector.authority is %v, the collector is %s", settings["authority"], host)
	}

	deployment := all.deployments["istio-egressgateway"]
	for key, value := range all.plugin.Selector.MatchLabels {
		if deployment.Spec.Template.Labels[key] != value {
			t.Errorf("the plugin selects %s=%s, the gateway's pods have %v", key, value, deployment.Spec.Template.Labels)
		}
	}
	// The token's name is one in three places: the settings, the VM's environment, the container's.
	inVM, inContainer := false, false
	for _, variable := range all.plugin.VmConfig.Env {
		inVM = inVM || variable.Name == settings["token_env"] && variable.ValueFrom == extensions.EnvValueSource_HOST
	}
	for _, variable := range deployment.Spec.Template.Spec.Containers[0].Env {
		inContainer = inContainer || variable.Name == settings["token_env"] && variable.ValueFrom.SecretKeyRef != nil
	}
	if !inVM || !inContainer {
		t.Errorf("collector.token_env %v: in vmConfig.env as HOST: %v, in the gateway's env from a Secret: %v", settings["token_env"], inVM, inContainer)
	}
}

// The offline check of the settings, by the code that the filter itself runs.
func TestPluginConfigPassesMeshmeterCheck(t *testing.T) {
	meshmeter := os.Getenv("MESHMETER_COLLECTOR")
	if meshmeter == "" {
		t.Skip("MESHMETER_COLLECTOR, the path of the binary meshmeter, is not set")
	}
	settings := load(t).plugin.PluginConfig.AsMap()
	check := func() (string, error) {
		text, err := json.Marshal(settings)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "plugin.json")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		said, err := exec.Command(meshmeter, "check", file).CombinedOutput()
		return string(said), err
	}
	if said, err := check(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
	settings["colector"] = settings["collector"]
	if said, err := check(); err == nil || !strings.Contains(said, "colector") {
		t.Errorf("a misspelt key passed: %v: %s", err, said)
	}
}

func TestEveryLabelIsInExtraStatTags(t *testing.T) {
	annotation := load(t).deployments["istio-egressgateway"].Spec.Template.Annotations["proxy.istio.io/config"]
	var proxy meshconfig.ProxyConfig
	if err := protomarshal.ApplyYAMLStrict(annotation, &proxy); err != nil {
		t.Fatal(err)
	}
	if said := agent.ValidateDrainDuration(proxy.TerminationDrainDuration); said != nil {
		t.Error(said)
	}

	configured := sorted(proxy.ExtraStatTags)
	if labels := sorted(metricsLabels(t)); !reflect.DeepEqual(configured, labels) {
		t.Errorf("extraStatTags are %v, the metrics' labels are %v", configured, labels)
	}
	if labels := sorted(standaloneLabels(t)); !reflect.DeepEqual(configured, labels) {
		t.Errorf("extraStatTags are %v, envoy.yaml has %v", configured, labels)
	}
	// Istio matches `LABEL=.=` anywhere in a name, so a label that ends another would take its value too.
	for _, label := range configured {
		for _, other := range configured {
			if label != other && strings.HasSuffix(other, label) {
				t.Errorf("label %s ends %s", label, other)
			}
		}
	}
}

func sorted(list []string) []string {
	list = append([]string{}, list...)
	sort.Strings(list)
	return list
}

// metricsLabels are the labels in the table of metrics in docs/metrics.md, which is written from the catalogue in the code.
func metricsLabels(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "<!-- table: metrics -->")
	table, _, ended := strings.Cut(table, "<!-- end of table -->")
	if !found || !ended {
		t.Fatal("docs/metrics.md has no table of metrics")
	}
	seen := map[string]bool{}
	var labels []string
	for _, row := range strings.Split(table, "\n") {
		columns := strings.Split(row, "|") // "", metric, kind, labels, meaning, ""
		if len(columns) < 5 || !strings.Contains(columns[1], "`") {
			continue // the head
		}
		for _, word := range strings.Fields(columns[3]) {
			if label := strings.Trim(word, "`"); !seen[label] {
				seen[label] = true
				labels = append(labels, label)
			}
		}
	}
	return labels
}

// standaloneLabels are the labels as envoy/envoy.yaml has them.
func standaloneLabels(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../envoy/envoy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var bootstrap struct {
		StatsConfig struct {
			StatsTags []struct {
				TagName string `json:"tag_name"`
				Regex   string `json:"regex"`
			} `json:"stats_tags"`
		} `json:"stats_config"`
	}
	if err := yaml.Unmarshal(text, &bootstrap); err != nil {
		t.Fatal(err)
	}
	var labels []string
	for _, tag := range bootstrap.StatsConfig.StatsTags {
		// Istio makes this very pattern of each entry of extraStatTags.
		if want := "(" + regexp.QuoteMeta(tag.TagName) + `=\.=(.*?);\.;)`; tag.Regex != want {
			t.Errorf("envoy.yaml: stats tag %s: regex is %s, must be %s", tag.TagName, tag.Regex, want)
		}
		labels = append(labels, tag.TagName)
	}
	if len(labels) == 0 {
		t.Fatal("envoy.yaml has no stats_tags")
	}
	return labels
}
