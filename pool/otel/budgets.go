package otel

import (
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/internal/roster"
)

// budgetValues are the metrics of a budget, in addition to its times. They are read from
// a Snapshot that has one.
var budgetValues = []value{
	{"state", "{budget}", "1 for the current state of the grant, 0 for the other states.", false, "budget.state",
		func(s *pool.Snapshot, add func(int64, string)) {
			for _, state := range roster.BudgetStates {
				n := int64(0)
				if s.Budget.State == state {
					n = 1
				}
				add(n, state)
			}
		}},
	ofBudget("limit", "{connection}", "Limit of connections of all processes together.", false,
		func(b *pool.BudgetStats) int64 { return int64(b.Limit) }),
	ofBudget("granted", "{connection}", "Connections that this process may have.", false,
		func(b *pool.BudgetStats) int64 { return int64(b.Granted) }),
	ofBudget("target", "{connection}", "Connections that this process should come down to, because other processes need them.", false,
		func(b *pool.BudgetStats) int64 { return int64(b.Target) }),
	ofBudget("used", "{connection}", "Permits in use by this process, including those of connections closed a moment ago.", false,
		func(b *pool.BudgetStats) int64 { return int64(b.Used) }),
	ofBudget("pending_connects", "{connect}", "Connects of this process that wait for a permit.", false,
		func(b *pool.BudgetStats) int64 { return int64(b.Waiting) }),
	ofBudget("processes", "{process}", "Processes that have a part of the budget, as of the last renewal.", false,
		func(b *pool.BudgetStats) int64 { return int64(len(b.Owners)) }),
	ofBudget("renewals", "{call}", "Calls of the store that succeeded.", true,
		func(b *pool.BudgetStats) int64 { return b.Renewals }),
	ofBudget("failures", "{call}", "Calls of the store that failed.", true,
		func(b *pool.BudgetStats) int64 { return b.Failures }),
	ofBudget("conflicts", "{call}", "Calls of the store that were repeated, because another process wrote in between.", true,
		func(b *pool.BudgetStats) int64 { return b.Conflicts }),
	ofBudget("ended", "{grant}", "Grants that ended before the store renewed them.", true,
		func(b *pool.BudgetStats) int64 { return b.Ended }),
}

// ofBudget returns a value that has no attribute except the budget's name.
func ofBudget(name, unit, help string, counts bool, read func(*pool.BudgetStats) int64) value {
	return value{name, unit, help, counts, "", func(s *pool.Snapshot, add func(int64, string)) { add(read(s.Budget), "") }}
}

// budgetInstruments are the instruments of budgets.
type budgetInstruments struct {
	values           []metric.Int64Observable // in the order of budgetValues
	renewalAge, left metric.Float64ObservableGauge
}

// all returns the instruments for a callback.
func (i *budgetInstruments) all() (all []metric.Observable) {
	for _, v := range i.values {
		all = append(all, v)
	}
	return append(all, i.renewalAge, i.left)
}

// makeBudgetInstruments makes the instruments of budgets.
func (t *Telemetry) makeBudgetInstruments(m metric.Meter) error {
	var errs []error
	for _, v := range budgetValues {
		i, err := t.observable(m, v, "budget.")
		t.budgets.values, errs = append(t.budgets.values, i), append(errs, err)
	}
	seconds := func(name, help string) metric.Float64ObservableGauge {
		i, err := m.Float64ObservableGauge(string(t.key("budget."+name)), metric.WithUnit("s"), metric.WithDescription(help))
		errs = append(errs, err)
		return i
	}
	t.budgets.renewalAge = seconds("renewal_age", "Time since the last renewal of the grant.")
	t.budgets.left = seconds("left", "Time until the grant ends unless it is renewed; 0 if it has ended.")
	return errors.Join(errs...)
}

// observeBudgets reports the state of all budgets.
func (t *Telemetry) observeBudgets(o metric.Observer, all roster.Budgets) {
	for name, stats := range all.All() {
		budget := t.key("budget.name").String(name)
		for i, v := range budgetValues {
			v.read(&pool.Snapshot{Budget: stats}, func(n int64, what string) {
				attributes := []attribute.KeyValue{budget}
				if v.attribute != "" {
					attributes = append(attributes, t.key(v.attribute).String(what))
				}
				o.ObserveInt64(t.budgets.values[i], n, metric.WithAttributes(attributes...))
			})
		}
		if stats.Renewed > 0 {
			o.ObserveFloat64(t.budgets.renewalAge, stats.Renewed.Seconds(), metric.WithAttributes(budget))
		}
		o.ObserveFloat64(t.budgets.left, stats.Left.Seconds(), metric.WithAttributes(budget))
	}
}
