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
	"slices"
	"sort"
	"strings"
	"testing"

	extensions "istio.io/api/extensions/v1alpha1"
	meshconfig "istio.io/api/mesh/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"
	security "istio.io/api/security/v1beta1"
	"istio.io/istio/pkg/config/validation/agent"
	"istio.io/istio/pkg/util/protomarshal"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// The folders that `kubectl apply -k` is given, one for each placement.
var placements = []string{"egress-gateway", "waypoint", "sidecar-server", "sidecar-client"}

// serves says whether a host with that port is known to the mesh.
func (a applied) serves(host string, port uint32) bool {
	for _, service := range kind[corev1.Service](a, "Service") {
		for _, p := range service.Spec.Ports {
			if service.Name+"."+service.Namespace+".svc.cluster.local" == host && uint32(p.Port) == port {
				return true
			}
		}
	}
	for _, entry := range spec[*networking.ServiceEntry](a, "ServiceEntry") {
		for _, p := range entry.Ports {
			if slices.Contains(entry.Hosts, host) && p.Number == port {
				return true
			}
		}
	}
	return false
}

func TestRoutesLeadSomewhere(t *testing.T) {
	for _, name := range []string{"egress-gateway", "waypoint", "sidecar-client"} {
		t.Run(name, func(t *testing.T) {
			all := build(t, name)
			services := spec[*networking.VirtualService](all, "VirtualService")
			gateways := spec[*networking.Gateway](all, "Gateway")
			if len(services) == 0 {
				t.Fatal("no VirtualService")
			}
			for name, service := range services {
				for _, gateway := range service.Gateways {
					if gateway != "mesh" && gateways[gateway] == nil {
						t.Errorf("%s: gateways: no Gateway %s", name, gateway)
					}
				}
				for _, route := range service.Http {
					if route.Timeout != nil {
						t.Errorf("%s: http %s: timeout: must be absent, a response may stream for long", name, route.Name)
					}
					if route.Retries.GetRetryOn() != "connect-failure,refused-stream" {
						t.Errorf("%s: http %s: a call that was sent may be repeated", name, route.Name)
					}
					for _, way := range route.Route {
						if to := way.Destination; !all.serves(to.Host, to.Port.GetNumber()) {
							t.Errorf("%s: http %s: nothing serves %s:%d", name, route.Name, to.Host, to.Port.GetNumber())
						}
					}
				}
			}
			for name, rule := range spec[*networking.DestinationRule](all, "DestinationRule") {
				if !all.serves(rule.Host, 80) && !all.serves(rule.Host, 443) {
					t.Errorf("%s is for %s, which nothing serves", name, rule.Host)
				}
			}
		})
	}
}

// A provider's host must be reached through TLS to a certificate of its own name.
func TestEveryProviderIsReachedByTLS(t *testing.T) {
	for _, name := range []string{"egress-gateway", "waypoint", "sidecar-client"} {
		all := build(t, name)
		rules := map[string]*networking.DestinationRule{}
		elsewhere := map[string]*networking.DestinationRule{}
		for _, rule := range spec[*networking.DestinationRule](all, "DestinationRule") {
			if slices.Contains(rule.ExportTo, "*") {
				elsewhere[rule.Host] = rule
			} else {
				rules[rule.Host] = rule
			}
		}
		hosts := 0
		for _, entry := range spec[*networking.ServiceEntry](all, "ServiceEntry") {
			for _, host := range entry.Hosts {
				hosts++
				if rules[host] == nil || len(rules[host].TrafficPolicy.PortLevelSettings) != 1 {
					t.Errorf("%s: %s has no DestinationRule for its port", name, host)
					continue
				}
				port := rules[host].TrafficPolicy.PortLevelSettings[0]
				isItsOwn := port.Tls.GetSni() == host && port.Tls.CaCertificates == "system" && reflect.DeepEqual(port.Tls.SubjectAltNames, []string{host})
				// Sidecars without a route to the plugin's proxy speak TLS, too, to a name that no certificate has.
				if name != "sidecar-client" {
					label := rules[host].GetWorkloadSelector().GetMatchLabels()["istio"]
					tls := elsewhere[host].GetTrafficPolicy().GetPortLevelSettings()
					if label != all.metering().Labels["istio"] || len(tls) != 1 || tls[0].Port.Number != 80 ||
						tls[0].Tls.GetMode() != networking.ClientTLSSettings_SIMPLE || !strings.HasSuffix(tls[0].Tls.SubjectAltNames[0], ".invalid") {
						t.Errorf("%s: for the gateway %q, elsewhere %v", host, label, tls)
					}
				}
				if port.Port.Number != 80 || port.Tls.GetMode() != networking.ClientTLSSettings_SIMPLE || !isItsOwn {
					t.Errorf("%s: %s: port %d: tls is %v", name, host, port.Port.Number, port.Tls)
				}
			}
		}
		if hosts < 4 {
			t.Errorf("%s: only %d hosts", name, hosts)
		}
	}
}

// code is what a WasmPlugin and a TrafficExtension have in common.
type code struct {
	url, failStrategy string
	settings          map[string]any
	environment       []*extensions.EnvVar
	phase             extensions.PluginPhase
}

// plugin gives the one plugin of a placement, whichever its kind.
func (a applied) plugin() code {
	plugins := spec[*extensions.WasmPlugin](a, "WasmPlugin")
	others := spec[*extensions.TrafficExtension](a, "TrafficExtension")
	if len(plugins)+len(others) != 1 {
		a.t.Fatalf("%d WasmPlugins and %d TrafficExtensions, must be one of both", len(plugins), len(others))
	}
	for _, p := range plugins {
		return code{p.Url, p.FailStrategy.String(), p.PluginConfig.AsMap(), p.VmConfig.Env, p.Phase}
	}
	for _, p := range others {
		w := p.GetWasm()
		phase := extensions.PluginPhase(extensions.PluginPhase_value[p.Phase.String()])
		return code{w.Url, w.FailStrategy.String(), w.PluginConfig.AsMap(), w.VmConfig.Env, phase}
	}
	panic("unreachable")
}

// The plugin calls the collector by the name that istiod gives its cluster, with a token that its pod has.
func TestPluginFindsItsCollectorAndItsToken(t *testing.T) {
	for _, name := range everyForm() {
		t.Run(name, func(t *testing.T) {
			all := build(t, name)
			plugin := all.plugin()
			settings := plugin.settings["collector"].(map[string]any)
			var port uint32
			var host string
			// outbound|PORT|SUBSET|HOST, as istiod names clusters
			if _, err := fmt.Sscanf(settings["cluster"].(string), "outbound|%d||%s", &port, &host); err != nil {
				t.Fatalf("collector.cluster: %v: %v", settings["cluster"], err)
			}
			if !all.serves(host, port) {
				t.Errorf("collector.cluster: nothing serves %s:%d", host, port)
			}
			if settings["authority"] != host {
				t.Errorf("collector.authority is %v, the collector is %s", settings["authority"], host)
			}
			for _, service := range kind[corev1.Service](all, "Service") {
				if p := service.Spec.Ports[0]; service.Name == "meshmeter-collector" && (p.AppProtocol == nil || *p.AppProtocol != "http") {
					t.Errorf("the collector's port must have appProtocol: http")
				}
			}

			if plugin.phase != extensions.PluginPhase_STATS {
				t.Errorf("phase is %v: the claims of a JWT are not there yet", plugin.phase)
			}
			inVM := slices.ContainsFunc(plugin.environment, func(variable *extensions.EnvVar) bool {
				return variable.Name == settings["token_env"] && variable.ValueFrom == extensions.EnvValueSource_HOST
			})
			pod := all.metering()
			proxy := pod.Spec.Containers[slices.IndexFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == "istio-proxy" })]
			inPod := slices.ContainsFunc(proxy.Env, func(variable corev1.EnvVar) bool {
				return variable.Name == settings["token_env"] && variable.ValueFrom.SecretKeyRef.Name == "meshmeter-ingest"
			})
			if !inVM || !inPod {
				t.Errorf("collector.token_env %v: in vmConfig.env as HOST: %v, in the proxy's env from a Secret: %v", settings["token_env"], inVM, inPod)
			}
		})
	}
}

// everyForm lists the placements, each with a WasmPlugin and with a TrafficExtension.
func everyForm() []string {
	var forms []string
	for _, name := range placements {
		forms = append(forms, name, name+"/traffic-extension")
	}
	return forms
}

// One decision, made once: istio/README.md argues it.
func TestFailStrategyIsTheSameEverywhere(t *testing.T) {
	for _, name := range everyForm() {
		if strategy := build(t, name).plugin().failStrategy; strategy != "FAIL_OPEN" {
			t.Errorf("%s: failStrategy is %s", name, strategy)
		}
	}
}

// The collector's sidecar lets in the identity of the proxies that meter, and no other; reconcile's for what it needs.
func TestPoliciesNameTheIdentitiesThatExist(t *testing.T) {
	for _, name := range placements {
		all := build(t, name)
		pod := all.metering()
		found := false
		for id, policy := range spec[*security.AuthorizationPolicy](all, "AuthorizationPolicy") {
			if policy.Action != security.AuthorizationPolicy_ALLOW || policy.Selector.MatchLabels["app.kubernetes.io/name"] != "meshmeter-collector" {
				t.Errorf("%s: %s: must allow, at the collector", name, id)
			}
			for _, rule := range policy.Rules {
				operation := rule.To[0].Operation
				if !slices.Contains(operation.Paths, "/v1/events") {
					continue
				}
				want := []string{fmt.Sprintf("cluster.local/ns/%s/sa/%s", pod.Namespace, pod.Spec.ServiceAccountName)}
				if !reflect.DeepEqual(rule.From[0].Source.Principals, want) || !reflect.DeepEqual(operation.Methods, []string{"POST"}) {
					t.Errorf("%s: %s lets in %v by %v, must be %v", name, id, rule.From[0].Source.Principals, operation.Methods, want)
				}
				found = true
			}
		}
		if !found {
			t.Errorf("%s: nobody may send events", name)
		}
	}
}

// The offline check of the settings, by the code that the plugin itself runs.
func TestPluginConfigPassesMeshmeterCheck(t *testing.T) {
	meshmeter := os.Getenv("MESHMETER_COLLECTOR")
	if meshmeter == "" {
		t.Skip("MESHMETER_COLLECTOR, the path of the binary meshmeter, is not set")
	}
	check := func(settings map[string]any) (string, error) {
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
	for _, name := range everyForm() {
		settings := build(t, name).plugin().settings
		if said, err := check(settings); err != nil {
			t.Errorf("%s: %v: %s", name, err, said)
		}
		settings["colector"] = settings["collector"]
		if said, err := check(settings); err == nil || !strings.Contains(said, "colector") {
			t.Errorf("%s: a misspelt key passed: %v: %s", name, err, said)
		}
	}
}

func TestProxiesKnowEveryLabelAndDrain(t *testing.T) {
	for _, name := range placements {
		pod := build(t, name).metering()
		var proxy meshconfig.ProxyConfig
		if err := protomarshal.ApplyYAMLStrict(pod.Annotations["proxy.istio.io/config"], &proxy); err != nil {
			t.Fatal(err)
		}
		if said := agent.ValidateDrainDuration(proxy.TerminationDrainDuration); said != nil {
			t.Error(said)
		}
		if grace := pod.Spec.TerminationGracePeriodSeconds; grace == nil || *grace <= proxy.TerminationDrainDuration.Seconds {
			t.Errorf("%s: the pod is killed before its drain of %v ends", name, proxy.TerminationDrainDuration)
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
}

// Buckets are matched by the beginning of a name, and Istio ignores what is no JSON.
func TestHistogramsHaveTheirBuckets(t *testing.T) {
	documented, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	histograms := regexp.MustCompile("(?m)^\\| `gen_ai_[a-z_]+` \\| histogram \\|").FindAll(documented, -1)
	for _, name := range placements {
		var buckets map[string][]float64
		text := build(t, name).metering().Annotations["sidecar.istio.io/statsHistogramBuckets"]
		if err := json.Unmarshal([]byte(text), &buckets); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for metric, bounds := range buckets {
			row := "| `" + strings.TrimPrefix(metric, "wasmcustom.") + "` | histogram |"
			if !strings.Contains(string(documented), row) || !sort.Float64sAreSorted(bounds) {
				t.Errorf("%s: %s: %v", name, metric, bounds)
			}
		}
		if len(histograms) != len(buckets) {
			t.Errorf("%s: %d of %d histograms have buckets", name, len(buckets), len(histograms))
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
