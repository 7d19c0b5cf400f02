package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshmeter/meshmeter/tests/istio/series"
)

// A second of the run is so long for the alerts: their windows are minutes.
const hastened = 60

// prometheus scrapes proxies and evaluates the alerts of the manifests by Prometheus' own engine.
type prometheus struct {
	mu     sync.Mutex
	series map[string]*series.Series
	began  time.Time
}

// target is what is scraped, with the labels that a PodMonitor adds.
type target struct {
	url    string
	labels map[string]string
}

// agentPort has the metrics of Envoy and of Istio's agent in one page.
const agentPort = 15020

func (p *pod) target() target {
	return target{
		fmt.Sprintf("http://%s:%d/stats/prometheus", p.ip, agentPort),
		map[string]string{"namespace": p.namespace, "pod": p.name, "container": "istio-proxy"},
	}
}

// watch scrapes until the context ends.
func watch(ctx context.Context, targets ...target) *prometheus {
	m := &prometheus{series: map[string]*series.Series{}, began: time.Now()}
	for _, from := range targets {
		go func() {
			for ctx.Err() == nil {
				// A page that cannot be read leaves a hole, as in Prometheus.
				if _, text, err := get(nil, from.url); err == nil {
					if found, err := parse(text); err == nil {
						m.add(from, found)
					}
				}
				time.Sleep(250 * time.Millisecond)
			}
		}()
	}
	return m
}

// now is the hastened time.
func (m *prometheus) now() time.Time { return m.began.Add(time.Since(m.began) * hastened) }

func (m *prometheus) add(from target, found metrics) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.now().UnixMilli()
	for name, family := range found {
		for _, metric := range family.Metric {
			value, ok := valueOf(metric)
			if !ok {
				continue
			}
			of := labels.NewBuilder(labels.FromMap(from.labels)).Set("__name__", name)
			for _, label := range metric.Label {
				of.Set(label.GetName(), label.GetValue())
			}
			whole := of.Labels()
			key := whole.String()
			if m.series[key] == nil {
				m.series[key] = &series.Series{Labels: whole}
			}
			m.series[key].Add(at, value)
		}
	}
}

// valueOf gives the value of a counter or gauge.
func valueOf(metric *dto.Metric) (float64, bool) {
	switch {
	case metric.Counter != nil:
		return metric.Counter.GetValue(), true
	case metric.Gauge != nil:
		return metric.Gauge.GetValue(), true
	case metric.Untyped != nil:
		return metric.Untyped.GetValue(), true
	}
	return 0, false
}

// fires evaluates an expression now. It gives the labels of what it finds.
func (m *prometheus) fires(ctx context.Context, expression string) ([]string, error) {
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 10_000_000, Timeout: patience, LookbackDelta: 5 * time.Minute,
	})
	query, err := engine.NewInstantQuery(ctx, series.Queryable(m.scraped), nil, expression, m.now())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expression, err)
	}
	defer query.Close()
	result := query.Exec(ctx)
	if result.Err != nil {
		return nil, fmt.Errorf("%s: %w", expression, result.Err)
	}
	vector, err := result.Vector()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, one := range vector {
		found = append(found, fmt.Sprintf("%s = %g", one.Metric, one.F))
	}
	return found, nil
}

// alert evaluates a rule of istio/monitoring by its name.
func (m *prometheus) alert(ctx context.Context, rules *manifests, name string) ([]string, error) {
	for _, rule := range rules.all("PrometheusRule") {
		groups, _, _ := unstructured.NestedSlice(rule.Object, "spec", "groups")
		for _, group := range groups {
			fields, _ := group.(map[string]any)
			rules, _ := fields["rules"].([]any)
			for _, rule := range rules {
				fields, _ := rule.(map[string]any)
				if expression, ok := fields["expr"].(string); ok && fields["alert"] == name {
					return m.fires(ctx, expression)
				}
			}
		}
	}
	return nil, fmt.Errorf("istio/monitoring has no alert %s", name)
}

// scraped gives what there is by now.
func (m *prometheus) scraped() []series.Series {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []series.Series
	for _, one := range m.series {
		all = append(all, *one)
	}
	return all
}
