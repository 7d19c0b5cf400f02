// Package series holds time series in memory, for Prometheus' engine to query.
package series

import (
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// Series is one time series.
type Series struct {
	Labels  labels.Labels
	samples []chunks.Sample
}

// Add adds a value, later than all before; the time is in milliseconds since 1970.
func (s *Series) Add(at int64, value float64) {
	s.samples = append(s.samples, sample{at, value})
}

// Queryable is asked for series at every query, and picks those that match.
func Queryable(all func() []Series) storage.Queryable {
	find := func(_ bool, _ *storage.SelectHints, wanted ...*labels.Matcher) storage.SeriesSet {
		found := &set{at: -1}
		for _, one := range all() {
			differs := func(matcher *labels.Matcher) bool { return !matcher.Matches(one.Labels.Get(matcher.Name)) }
			if !slices.ContainsFunc(wanted, differs) {
				found.series = append(found.series, storage.NewListSeries(one.Labels, one.samples))
			}
		}
		return found
	}
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{SelectMockFunction: find}}
}

// set is what a selector found.
type set struct {
	series []storage.Series
	at     int
}

func (s *set) Next() bool                        { s.at++; return s.at < len(s.series) }
func (s *set) At() storage.Series                { return s.series[s.at] }
func (s *set) Err() error                        { return nil }
func (s *set) Warnings() annotations.Annotations { return nil }

// sample is a number at a time.
type sample struct {
	at    int64
	value float64
}

func (s sample) T() int64                      { return s.at }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.value }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }
