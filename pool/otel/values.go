package otel

import (
	"context"
	"errors"
	"math"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/internal/roster"
)

// value is a metric that is read from a Snapshot.
type value struct {
	name, unit, help string
	counts           bool   // it never decreases
	attribute        string // in addition to pool.name; may be empty
	read             func(s *pool.Snapshot, add func(n int64, attribute string))
}

// values has all such metrics except the oldest wait, which is not an integer.
var values = []value{
	{"count", "{connection}", "Open connections by state.", false, "state",
		func(s *pool.Snapshot, add func(int64, string)) {
			add(int64(s.Stats.Idle), "idle")
			add(int64(s.Stats.Leased), "used")
		}},
	{"max", "{connection}", "Limit of connections: MaxOpen.", false, "",
		func(s *pool.Snapshot, add func(int64, string)) { limit(s.Stats.MaxOpen, add) }},
	{"limit", "{connection}", "Current limit of connections: less than max while the server is full.", false, "",
		func(s *pool.Snapshot, add func(int64, string)) { limit(s.Stats.Limit, add) }},
	{"idle.min", "{connection}", "Spare connections kept ready: MinIdle.", false, "",
		func(s *pool.Snapshot, add func(int64, string)) { add(int64(s.MinIdle), "") }},
	{"idle.max", "{connection}", "Idle connections kept: MaxIdle, or MaxOpen if it is not set.", false, "",
		func(s *pool.Snapshot, add func(int64, string)) { limit(roster.MaxIdle(s), add) }},
	{"pending_requests", "{request}", "Callers in the queue.", false, "",
		func(s *pool.Snapshot, add func(int64, string)) { add(int64(s.Stats.Waiting), "") }},
	{"suspects", "{lease}", "Leases older than LeakAfter.", false, "",
		func(s *pool.Snapshot, add func(int64, string)) { add(int64(roster.Suspects(s)), "") }},
	{"timeouts", "{timeout}", "Waits that AcquireTimeout ended.", true, "",
		func(s *pool.Snapshot, add func(int64, string)) { add(s.Stats.Timeouts, "") }},
	{"failures", "{request}", "Callers that got no connection, by reason.", true, "reason",
		func(s *pool.Snapshot, add func(int64, string)) {
			for reason, n := range roster.Failures(&s.Stats) {
				add(n, reason)
			}
		}},
	{"closed", "{connection}", "Closed connections by reason.", true, "reason",
		func(s *pool.Snapshot, add func(int64, string)) {
			for reason, n := range roster.Closes(s.Stats.Closed) {
				add(n, reason)
			}
		}},
}

// limit adds n, unless n means no limit.
func limit(n int, add func(int64, string)) {
	if n < math.MaxInt {
		add(int64(n), "")
	}
}

// observable returns an instrument for v, whose name begins with the prefix and group.
func (t *Telemetry) observable(m metric.Meter, v value, group string) (metric.Int64Observable, error) {
	name := string(t.key(group + v.name))
	if v.counts {
		return m.Int64ObservableCounter(name, metric.WithUnit(v.unit), metric.WithDescription(v.help))
	}
	return m.Int64ObservableUpDownCounter(name, metric.WithUnit(v.unit), metric.WithDescription(v.help))
}

// makeInstruments makes the instruments and registers observe.
func (t *Telemetry) makeInstruments(m metric.Meter) error {
	var errs []error
	name := func(s string) string { return string(t.key(s)) }
	for _, v := range values {
		i, err := t.observable(m, v, "")
		t.values, errs = append(t.values, i), append(errs, err)
	}
	times := func(h *metric.Float64Histogram, s, help string) {
		var err error
		*h, err = m.Float64Histogram(name(s), metric.WithUnit("s"), metric.WithDescription(help), metric.WithExplicitBucketBoundaries(roster.Bounds()...))
		errs = append(errs, err)
	}
	times(&t.wait, "wait_time", "Duration of the waits in the queue, served or not.")
	times(&t.create, "create_time", "Duration of Connects, including failed ones.")
	times(&t.ping, "ping_time", "Duration of the checks of connections, including failed ones.")
	times(&t.use, "use_time", "Duration of leases.")
	var err error
	t.oldestWait, err = m.Float64ObservableGauge(name("oldest_wait_time"), metric.WithUnit("s"), metric.WithDescription("How long the first caller in the queue has waited."))
	errs = append(errs, err)
	errs = append(errs, t.makeBudgetInstruments(m))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	all := append([]metric.Observable{t.oldestWait}, t.budgets.all()...)
	for _, i := range t.values {
		all = append(all, i)
	}
	t.registration, err = m.RegisterCallback(t.observe, all...)
	return err
}

// observe reports the state of all pools.
func (t *Telemetry) observe(_ context.Context, o metric.Observer) error {
	shared := make(roster.Budgets)
	for m, s := range t.roster.All() {
		shared.Add(&s)
		name := t.poolName(m)
		for i, v := range values {
			v.read(&s, func(n int64, what string) {
				attributes := []attribute.KeyValue{name}
				if v.attribute != "" {
					attributes = append(attributes, t.key(v.attribute).String(what))
				}
				o.ObserveInt64(t.values[i], n, metric.WithAttributes(attributes...))
			})
		}
		o.ObserveFloat64(t.oldestWait, s.OldestWait.Seconds(), metric.WithAttributes(name))
	}
	t.observeBudgets(o, shared)
	return nil
}
