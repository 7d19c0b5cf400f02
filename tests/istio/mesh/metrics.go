package main

import (
	"fmt"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// metrics is a scrape, as Prometheus reads it.
type metrics map[string]*dto.MetricFamily

func parse(text string) (metrics, error) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	return parser.TextToMetricFamilies(strings.NewReader(text + "\n"))
}

// total sums the series of a counter or gauge that carry all of the labels.
func (m metrics) total(name string, labels map[string]string) int {
	family := m[name]
	if family == nil {
		return 0
	}
	var sum float64
	for _, series := range family.Metric {
		have := map[string]string{}
		for _, label := range series.Label {
			have[label.GetName()] = label.GetValue()
		}
		carries := true
		for key, value := range labels {
			carries = carries && have[key] == value
		}
		if carries {
			sum += series.GetCounter().GetValue() + series.GetGauge().GetValue() + series.GetUntyped().GetValue()
		}
	}
	return int(sum)
}

// labelled fails if a metric's series do not have exactly these labels.
func (m metrics) labelled(name string, wanted ...string) error {
	family := m[name]
	if family == nil || len(family.Metric) == 0 {
		return fmt.Errorf("%s is not in the scrape", name)
	}
	for _, series := range family.Metric {
		var have []string
		for _, label := range series.Label {
			have = append(have, label.GetName())
		}
		if len(have) != len(wanted) {
			return fmt.Errorf("%s has the labels %v, expected %v", name, have, wanted)
		}
		for _, label := range wanted {
			if !strings.Contains(" "+strings.Join(have, " ")+" ", " "+label+" ") {
				return fmt.Errorf("%s has the labels %v, expected %v", name, have, wanted)
			}
		}
	}
	return nil
}

func (p *pod) metrics() (metrics, error) {
	text, err := p.scrape()
	if err != nil {
		return nil, err
	}
	return parse(text)
}
