// The alerts of istio/monitoring, by Prometheus' own parser and engine: each fires when it should, and not otherwise.
package istio

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/meshmeter/meshmeter/tests/istio/kubeapi"
	"github.com/meshmeter/meshmeter/tests/istio/series"
)

// alerts gives the rules of the PrometheusRules in a file of istio/monitoring, by their names.
func alerts(t *testing.T, name string) map[string]rulefmt.Rule {
	t.Helper()
	found, err := kubeapi.Objects(read(t, filepath.Join("monitoring", name)))
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]rulefmt.Rule{}
	for _, object := range found {
		spec, isRule, err := unstructured.NestedMap(object.Object, "spec")
		if err != nil || !isRule || object.GetKind() != "PrometheusRule" {
			continue
		}
		text, err := yaml.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		// As `promtool check rules`: expressions, templates of annotations, names, unknown fields.
		groups, wrong := rulefmt.Parse(text, false, model.UTF8Validation, parser.NewParser(parser.Options{}))
		for _, problem := range wrong {
			t.Errorf("%s: %v", name, problem)
		}
		for _, group := range groups.Groups {
			for _, rule := range group.Rules {
				if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" || rule.Annotations["runbook_url"] == "" || rule.Labels["severity"] == "" {
					t.Errorf("%s: %s says too little", name, rule.Alert)
				}
				rules[rule.Alert] = rule
			}
		}
	}
	return rules
}

// alertTest is a test in the form that `promtool test rules` takes.
type alertTest struct {
	Name        string `json:"name"`
	Interval    string `json:"interval"`
	InputSeries []struct {
		Series string `json:"series"`
		Values string `json:"values"`
	} `json:"input_series"`
	AlertRuleTest []struct {
		EvalTime  string `json:"eval_time"`
		AlertName string `json:"alertname"`
		ExpAlerts []struct {
			ExpLabels      map[string]string `json:"exp_labels"`
			ExpAnnotations map[string]string `json:"exp_annotations"`
		} `json:"exp_alerts"`
	} `json:"alert_rule_test"`
}

// alertTests are the tests of a file of alerts: those on the collector are in envoy/prometheus, as the alerts are, where
// promtool runs them too.
func alertTests(t *testing.T, name string) []alertTest {
	t.Helper()
	files := []string{filepath.Join("testdata/alerts", name)}
	if name == "collector.yaml" {
		files = []string{"../../envoy/prometheus/tests/collector.yaml", "../../envoy/prometheus/tests/spend.yaml"}
	}
	var all []alertTest
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var given struct {
			RuleFiles          []string    `json:"rule_files"`
			EvaluationInterval string      `json:"evaluation_interval"`
			Tests              []alertTest `json:"tests"`
		}
		if err := yaml.UnmarshalStrict(text, &given); err != nil {
			t.Fatal(err)
		}
		all = append(all, given.Tests...)
	}
	return all
}

// step is the time between two samples, and between two evaluations.
func (test alertTest) step(t *testing.T) time.Duration {
	t.Helper()
	if test.Interval == "" {
		return time.Minute
	}
	step, err := model.ParseDuration(test.Interval)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(step)
}

// written gives the series of a test.
func (test alertTest) written(t *testing.T) storage.Queryable {
	t.Helper()
	var all []series.Series
	for _, given := range test.InputSeries {
		of, values, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(given.Series + " " + given.Values)
		if err != nil {
			t.Fatal(err)
		}
		one := series.Series{Labels: of}
		for i, value := range values {
			if !value.Omitted {
				one.Add(int64(i)*test.step(t).Milliseconds(), value.Value)
			}
		}
		all = append(all, one)
	}
	return series.Queryable(func() []series.Series { return all })
}

// firing evaluates a rule at every step up to a time, and gives the labels of what fires then.
func firing(t *testing.T, rule rulefmt.Rule, written storage.Queryable, step, at time.Duration) []map[string]string {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute,
		EnableNegativeOffset: true, Parser: parser.NewParser(parser.Options{}),
	})
	defer engine.Close()
	since := map[string]time.Duration{}
	var found []map[string]string
	for now := time.Duration(0); now <= at; now += step {
		query, err := engine.NewInstantQuery(context.Background(), written, nil, rule.Expr, time.Unix(0, 0).Add(now))
		if err != nil {
			t.Fatal(err)
		}
		vector, err := query.Exec(context.Background()).Vector()
		if err != nil {
			t.Fatalf("%s: %v", rule.Alert, err)
		}
		active := map[string]time.Duration{}
		found = nil
		for _, sample := range vector {
			of := sample.Metric.DropReserved(func(name string) bool { return name == model.MetricNameLabel })
			begun, was := since[of.String()]
			if !was {
				begun = now
			}
			active[of.String()] = begun
			if now-begun >= time.Duration(rule.For) {
				found = append(found, of.Map())
			}
		}
		since = active
		query.Close()
	}
	slices.SortFunc(found, func(a, b map[string]string) int {
		return strings.Compare(labels.FromMap(a).String(), labels.FromMap(b).String())
	})
	return found
}

func TestAlertsFireWhenTheyShould(t *testing.T) {
	tested := map[string]bool{}
	for _, file := range []string{"collector.yaml", "egress-gateway.yaml", "sidecar-client.yaml"} {
		rules := alerts(t, file)
		fired := map[string]bool{}
		for _, test := range alertTests(t, file) {
			t.Run(test.Name, func(t *testing.T) {
				written := test.written(t)
				for _, expectation := range test.AlertRuleTest {
					rule, exists := rules[expectation.AlertName]
					if !exists {
						t.Fatalf("no alert %s", expectation.AlertName)
					}
					at, err := model.ParseDuration(expectation.EvalTime)
					if err != nil {
						t.Fatal(err)
					}
					var want []map[string]string
					for _, alert := range expectation.ExpAlerts {
						// promtool wants the labels that the rule adds as well.
						labels := map[string]string{}
						for name, value := range alert.ExpLabels {
							if rule.Labels[name] != value {
								labels[name] = value
							}
						}
						want = append(want, labels)
					}
					have := firing(t, rule, written, test.step(t), time.Duration(at))
					if !reflect.DeepEqual(have, want) {
						t.Errorf("%s fires at %s for %v, must for %v", rule.Alert, expectation.EvalTime, have, want)
					}
					key := rule.Alert
					fired[key] = fired[key] || len(want) > 0
					tested[key] = tested[key] || len(want) == 0
				}
			})
		}
		for name := range rules {
			// Of a sidecar only what differs from the gateway's is tested.
			if file != "sidecar-client.yaml" && (!fired[name] || !tested[name]) {
				t.Errorf("%s: no test says when it fires (%v) and when it does not (%v)", name, fired[name], tested[name])
			}
		}
	}
}

// The placements have the same alerts, for their own pods.
func TestEveryPlacementHasTheSameAlerts(t *testing.T) {
	want := slices.Sorted(maps.Keys(alerts(t, "egress-gateway.yaml")))
	for _, name := range []string{"waypoint", "sidecar-server", "sidecar-client"} {
		have := slices.Sorted(maps.Keys(alerts(t, name+".yaml")))
		if name != "waypoint" {
			have = append(have, "MeshmeterEncryptedEndToEnd")
			slices.Sort(have)
		}
		if !reflect.DeepEqual(have, want) {
			t.Errorf("%s: %v", name, have)
		}
	}
}

// The guide names no alert that does not exist.
func TestTheGuideNamesAlertsThatExist(t *testing.T) {
	all := alerts(t, "egress-gateway.yaml")
	maps.Copy(all, alerts(t, "collector.yaml"))
	for _, word := range strings.FieldsFunc(string(read(t, "README.md")), func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	}) {
		if _, exists := all[word]; strings.HasPrefix(word, "Meshmeter") && !exists {
			t.Errorf("README.md names the alert %s", word)
		}
	}
}

// An alert on a metric that nobody exports never fires. Ours are in the tables of docs/metrics.md, which are written from the
// code.
func TestAlertsAskForMetricsThatExist(t *testing.T) {
	documented, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"collector.yaml", "egress-gateway.yaml"} {
		for name, rule := range alerts(t, file) {
			expression, err := parser.NewParser(parser.Options{}).ParseExpr(rule.Expr)
			if err != nil {
				t.Fatal(err)
			}
			parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
				selector, isSelector := node.(*parser.VectorSelector)
				isOurs := isSelector && strings.HasPrefix(selector.Name, "meshmeter_")
				if isOurs && !strings.Contains(string(documented), "| `"+selector.Name+"` |") {
					t.Errorf("%s asks for %s", name, selector.Name)
				}
				return nil
			})
		}
	}
}
