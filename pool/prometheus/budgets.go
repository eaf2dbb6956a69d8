package prometheus

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/internal/roster"
)

// budgetMetrics are the metrics of a budget. They are read from a Snapshot that has one.
var budgetMetrics = []metric{
	{"state", "1 for the current state of the grant, 0 for the other states.",
		gauge, "state",
		func(s *pool.Snapshot, add func(float64, ...string)) {
			for _, state := range roster.BudgetStates {
				add(flag(s.Budget.State == state), state)
			}
		}},
	one("strict", gauge, func(s *pool.Snapshot) float64 { return flag(s.Budget.Strict) },
		"1 if connections in use are closed when the grant ends, 0 if they stay until they are released."),
	one("limit_connections", gauge, func(s *pool.Snapshot) float64 { return float64(s.Budget.Limit) },
		"Limit of connections of all processes together."),
	one("granted_connections", gauge, func(s *pool.Snapshot) float64 { return float64(s.Budget.Granted) },
		"Connections that this process may have."),
	one("target_connections", gauge, func(s *pool.Snapshot) float64 { return float64(s.Budget.Target) },
		"Connections that this process should come down to, because other processes need them."),
	one("used_connections", gauge, func(s *pool.Snapshot) float64 { return float64(s.Budget.Used) },
		"Permits in use by this process, including those of connections closed a moment ago."),
	one("waiting_connects", gauge, func(s *pool.Snapshot) float64 { return float64(s.Budget.Waiting) },
		"Connects of this process that wait for a permit."),
	one("processes", gauge, func(s *pool.Snapshot) float64 { return float64(len(s.Budget.Owners)) },
		"Processes that have a part of the budget, as of the last renewal."),
	one("renewal_age_seconds", gauge, func(s *pool.Snapshot) float64 { return s.Budget.Renewed.Seconds() },
		"Time since the last renewal of the grant; 0 if there was none."),
	one("left_seconds", gauge, func(s *pool.Snapshot) float64 { return s.Budget.Left.Seconds() },
		"Time until the grant ends unless it is renewed; 0 if it has ended."),
	one("renewals_total", counter, func(s *pool.Snapshot) float64 { return float64(s.Budget.Renewals) },
		"Calls of the store that succeeded."),
	one("store_failures_total", counter, func(s *pool.Snapshot) float64 { return float64(s.Budget.Failures) },
		"Calls of the store that failed."),
	one("conflicts_total", counter, func(s *pool.Snapshot) float64 { return float64(s.Budget.Conflicts) },
		"Calls of the store that were repeated, because another process wrote in between."),
	one("ended_grants_total", counter, func(s *pool.Snapshot) float64 { return float64(s.Budget.Ended) },
		"Grants that ended before the store renewed them."),
}

// budgets has the descriptions of budgetMetrics, in their order.
type budgets []*prometheus.Desc

func newBudgets() (b budgets) {
	for _, m := range budgetMetrics {
		labels := []string{"budget"}
		if m.label != "" {
			labels = append(labels, m.label)
		}
		b = append(b, prometheus.NewDesc("hotline_budget_"+m.name, m.help, labels, nil))
	}
	return b
}

func (b budgets) describe(ch chan<- *prometheus.Desc) {
	for _, d := range b {
		ch <- d
	}
}

// collect sends the metrics of all budgets.
func (b budgets) collect(ch chan<- prometheus.Metric, all roster.Budgets) {
	for name, stats := range all.All() {
		for i, m := range budgetMetrics {
			m.values(&pool.Snapshot{Budget: stats}, func(v float64, label ...string) {
				ch <- prometheus.MustNewConstMetric(b[i], m.kind, v, append([]string{name}, label...)...)
			})
		}
	}
}
