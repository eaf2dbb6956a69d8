package prometheus

import (
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/internal/roster"
)

// metric is one of the metrics of a pool.
type metric struct {
	name, help string
	kind       prometheus.ValueType
	label      string                                               // in addition to the labels of the pool; may be empty
	values     func(s *pool.Snapshot, add func(float64, ...string)) // calls add with each value, and the value of label if there is one
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// singles are the metrics that are not histograms.
var singles = []metric{
	{"connections", "Connections by state. Idle and leased ones are open; all states together count against MaxOpen.",
		gauge, "state",
		func(s *pool.Snapshot, add func(float64, ...string)) {
			add(float64(s.Stats.Idle), "idle")
			add(float64(s.Stats.Leased), "leased")
			add(float64(s.Stats.Connecting), "connecting")
			add(float64(s.Stats.Gated), "gated")
			add(float64(s.Stats.Closing), "closing")
		}},
	one("max_open_connections", gauge, func(s *pool.Snapshot) float64 { return limit(s.Stats.MaxOpen) },
		"Limit of connections: MaxOpen, or what Resize set."),
	one("limit_connections", gauge, func(s *pool.Snapshot) float64 { return limit(s.Stats.Limit) },
		"Current limit of connections: less than max_open_connections while the server is full."),
	one("min_idle_connections", gauge, func(s *pool.Snapshot) float64 { return float64(s.MinIdle) },
		"Spare connections kept ready: MinIdle."),
	one("max_idle_connections", gauge, func(s *pool.Snapshot) float64 { return limit(roster.MaxIdle(s)) },
		"Idle connections kept: MaxIdle, or MaxOpen if it is not set."),
	one("waiting_callers", gauge, func(s *pool.Snapshot) float64 { return float64(s.Stats.Waiting) },
		"Callers in the queue."),
	one("oldest_wait_seconds", gauge, func(s *pool.Snapshot) float64 { return s.OldestWait.Seconds() },
		"How long the first caller in the queue has waited."),
	{"state", "1 for the current state of the pool, 0 for the other states.",
		gauge, "state",
		func(s *pool.Snapshot, add func(float64, ...string)) {
			for state := pool.Healthy; state <= pool.Closed; state++ {
				add(flag(s.State == state), state.String())
			}
		}},
	one("suspect_leases", gauge, func(s *pool.Snapshot) float64 { return float64(roster.Suspects(s)) },
		"Leases older than LeakAfter."),
	one("next_connect_seconds", gauge, func(s *pool.Snapshot) float64 { return s.NextConnect.Seconds() },
		"Time until the backoff allows the next Connect."),
	one("last_connect_failure_timestamp_seconds", gauge, func(s *pool.Snapshot) float64 { return unix(s.LastErrorAt) },
		"Time of the last failed Connect, in seconds since 1970; 0 if none has failed."),

	one("acquires_total", counter, func(s *pool.Snapshot) float64 { return float64(s.Stats.Acquires) },
		"Leases given."),
	one("release_waits_total", counter, func(s *pool.Snapshot) float64 { return float64(s.Stats.ReleaseWaits) },
		"Waits that only a release could end, because no more connections were allowed."),
	one("release_wait_seconds_total", counter, func(s *pool.Snapshot) float64 { return s.Stats.ReleaseWaitTime.Seconds() },
		"Duration of the waits that only a release could end."),
	{"acquire_failures_total", "Callers that got no connection: AcquireTimeout passed (timeout), their context ended (canceled), MaxWaiters turned them away (rejected), or connecting failed (connect).",
		counter, "reason",
		func(s *pool.Snapshot, add func(float64, ...string)) {
			for reason, n := range roster.Failures(&s.Stats) {
				add(float64(n), reason)
			}
		}},
	one("connect_failures_total", counter, func(s *pool.Snapshot) float64 { return float64(s.Stats.ConnectFailures) },
		"Connects that failed."),
	one("useless_connections_total", counter, func(s *pool.Snapshot) float64 { return float64(s.Stats.Useless) },
		"Connections that were dead at their first use and had received nothing."),
	one("pings_total", counter, func(s *pool.Snapshot) float64 { return float64(s.Stats.Pings) },
		"Checks of connections by the pool."),
	one("ping_failures_total", counter, func(s *pool.Snapshot) float64 { return float64(s.Stats.PingFailures) },
		"Checks that failed."),
	one("ping_seconds_total", counter, func(s *pool.Snapshot) float64 { return s.Stats.PingTime.Seconds() },
		"Duration of the checks."),
	{"closed_connections_total", "Closed connections by reason.",
		counter, "reason",
		func(s *pool.Snapshot, add func(float64, ...string)) {
			for reason, n := range roster.Closes(s.Stats.Closed) {
				add(float64(n), reason)
			}
		}},
	one("hijacked_connections_total", counter, func(s *pool.Snapshot) float64 { return float64(s.Stats.Hijacked) },
		"Connections taken out of the pool by Hijack."),
}

// one returns a metric with one value.
func one(name string, kind prometheus.ValueType, value func(*pool.Snapshot) float64, help string) metric {
	return metric{name, help, kind, "", func(s *pool.Snapshot, add func(float64, ...string)) { add(value(s)) }}
}

// limit returns n, or +Inf if n means no limit.
func limit(n int) float64 {
	if n == math.MaxInt {
		return math.Inf(1)
	}
	return float64(n)
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// metrics has the descriptions of the metrics of all pools.
type metrics struct {
	singles         []*prometheus.Desc // in the order of singles
	waits, connects *prometheus.Desc
}

// newMetrics returns metrics with these labels whose names begin with prefix.
func newMetrics(prefix string, labels ...string) metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prefix+name, help, labels, nil)
	}
	m := metrics{
		waits:    desc("wait_duration_seconds", "Duration of the waits in the queue, served or not. Most calls of Acquire do not queue.", labels...),
		connects: desc("connect_duration_seconds", "Duration of Connects, including failed ones.", labels...),
	}
	for _, s := range singles {
		all := labels
		if s.label != "" {
			all = append(slices.Clip(labels), s.label)
		}
		m.singles = append(m.singles, desc(s.name, s.help, all...))
	}
	return m
}

func (m *metrics) describe(ch chan<- *prometheus.Desc) {
	ch <- m.waits
	ch <- m.connects
	for _, d := range m.singles {
		ch <- d
	}
}

// collect sends the metrics of s with the values of the labels.
func (m *metrics) collect(ch chan<- prometheus.Metric, s *pool.Snapshot, labels ...string) {
	labels = slices.Clip(labels)
	for i, single := range singles {
		single.values(s, func(v float64, label ...string) {
			ch <- prometheus.MustNewConstMetric(m.singles[i], single.kind, v, append(labels, label...)...)
		})
	}
	ch <- histogram(m.waits, s.WaitTimes, labels)
	ch <- histogram(m.connects, s.ConnectTimes, labels)
}

// bounds are the bounds of a pool.Histogram, in seconds.
var bounds = roster.Bounds()

// histogram converts h for Prometheus, where each bucket includes the ones below it.
func histogram(desc *prometheus.Desc, h pool.Histogram, labels []string) prometheus.Metric {
	buckets, n := make(map[float64]uint64, len(bounds)), uint64(0)
	for i, bound := range bounds {
		n += uint64(h.Counts[i])
		buckets[bound] = n
	}
	return prometheus.MustNewConstHistogram(desc, uint64(h.Count()), h.Sum.Seconds(), buckets, labels...)
}
