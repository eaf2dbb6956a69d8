package prometheus_test

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/prometheus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type conn = drivertest.FakeConn

// fixed is a pool in a state that the test sets.
type fixed pool.Snapshot

func (f fixed) Snapshot() pool.Snapshot { return pool.Snapshot(f) }

// gather returns the values of c by metric and labels, as in name{key=value}. It
// registers c with a pedantic registry.
func gather(t testing.TB, c prom.Collector) map[string]float64 {
	t.Helper()
	reg := prom.NewPedanticRegistry()
	require.NoError(t, reg.Register(c))
	families, err := reg.Gather()
	require.NoError(t, err)
	values := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			id := f.GetName() + "{" + strings.Join(labels, ",") + "}"
			switch f.GetType() {
			case dto.MetricType_GAUGE:
				values[id] = m.Gauge.GetValue()
			case dto.MetricType_COUNTER:
				values[id] = m.Counter.GetValue()
			case dto.MetricType_HISTOGRAM:
				values[id+"_sum"] = m.Histogram.GetSampleSum()
				values[id+"_count"] = float64(m.Histogram.GetSampleCount())
				for _, b := range m.Histogram.Bucket {
					values[fmt.Sprintf("%s_le_%g", id, b.GetUpperBound())] = float64(b.GetCumulativeCount())
				}
			}
		}
	}
	return values
}

// number sets the integers in v to 1001, 1002 and so on.
func number(v reflect.Value, last *int64) {
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Struct {
			number(f, last)
		} else {
			*last++
			f.SetInt(*last)
		}
	}
}

func TestEveryNumberOfStatsIsShown(t *testing.T) {
	var s pool.Snapshot
	last := int64(1000)
	number(reflect.ValueOf(&s.Stats).Elem(), &last)
	for _, d := range []*time.Duration{&s.Stats.ReleaseWaitTime, &s.Stats.PingTime} {
		*d *= time.Second
	}
	shown := make(map[float64]bool)
	for _, v := range gather(t, prometheus.New(fixed(s))) {
		shown[v] = true
	}
	elsewhere := map[string]string{
		"Open":  "idle and leased ones",
		"Waits": "wait_duration_seconds", "WaitTime": "wait_duration_seconds",
		"Connects": "connect_duration_seconds", "ConnectTime": "connect_duration_seconds",
	}
	for _, f := range reflect.VisibleFields(reflect.TypeOf(s.Stats)) {
		v := reflect.ValueOf(s.Stats).FieldByIndex(f.Index)
		if v.Kind() == reflect.Struct || elsewhere[f.Name] != "" {
			continue
		}
		n := v.Int()
		if f.Type == reflect.TypeFor[time.Duration]() {
			n /= int64(time.Second)
		}
		assert.True(t, shown[float64(n)], "Stats.%s is in no metric", f.Name)
	}
	for i := range reflect.TypeFor[pool.Closes]().NumField() {
		assert.True(t, shown[float64(reflect.ValueOf(s.Stats.Closed).Field(i).Int())], "Closed.%s is in no metric", reflect.TypeFor[pool.Closes]().Field(i).Name)
	}
}

func TestTheOtherFieldsOfASnapshotAreShown(t *testing.T) {
	s := fixed{
		Pool: "p", State: pool.Down, MinIdle: 2, MaxIdle: -1, OldestWait: 1500 * time.Millisecond, NextConnect: 3 * time.Second,
		LastErrorAt: time.UnixMilli(1_700_000_000_500),
		Conns:       []pool.ConnInfo{{Suspect: true}, {}, {Suspect: true}},
		Stats:       pool.Stats{Gauges: pool.Gauges{MaxOpen: math.MaxInt, Limit: 4}},
	}
	s.WaitTimes.Counts[0], s.WaitTimes.Counts[2], s.WaitTimes.Counts[20], s.WaitTimes.Sum = 3, 2, 1, time.Minute
	got := gather(t, prometheus.New(s))
	for id, want := range map[string]float64{
		"state{pool=p,state=down}":                       1,
		"state{pool=p,state=healthy}":                    0,
		"min_idle_connections{pool=p}":                   2,
		"max_idle_connections{pool=p}":                   math.Inf(1),
		"max_open_connections{pool=p}":                   math.Inf(1),
		"limit_connections{pool=p}":                      4,
		"oldest_wait_seconds{pool=p}":                    1.5,
		"next_connect_seconds{pool=p}":                   3,
		"last_connect_failure_timestamp_seconds{pool=p}": 1_700_000_000.5,
		"suspect_leases{pool=p}":                         2,
		"wait_duration_seconds{pool=p}_le_0.0001":        3,
		"wait_duration_seconds{pool=p}_le_0.0002":        3,
		"wait_duration_seconds{pool=p}_le_0.0004":        5,
		"wait_duration_seconds{pool=p}_le_52.4288":       5,
		"wait_duration_seconds{pool=p}_count":            6,
		"wait_duration_seconds{pool=p}_sum":              60,
		"connect_duration_seconds{pool=p}_count":         0,
	} {
		v, ok := got["hotline_pool_"+id]
		assert.True(t, ok, "no metric %s", id)
		assert.Equal(t, want, v, id)
	}
	assert.Zero(t, gather(t, prometheus.New(fixed{Pool: "p"}))["hotline_pool_last_connect_failure_timestamp_seconds{pool=p}"])
}

func TestMetricsPassTheLinterOfPrometheus(t *testing.T) {
	c := prometheus.New(fixed{Pool: "a"}, fixed{Pool: "a"}, fixed{Pool: "\xff"})
	c.AddKeys(keyedPools{"x": {Pool: "x", ID: 1}}, 1)
	problems, err := testutil.CollectAndLint(c)
	require.NoError(t, err)
	assert.Empty(t, problems)
}
