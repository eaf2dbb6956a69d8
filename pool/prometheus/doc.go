// Package prometheus exports the metrics of pools to Prometheus: one [Collector] for any
// number of pools, which may come and go.
//
//	pools := prometheus.New()
//	registry.MustRegister(pools)
//
//	p, err := pool.Open[net.Conn]("tcp", dsn, pool.Config{Name: "gateway"})
//	...
//	pools.Add(p)
//
// A closed pool is removed by itself. Each scrape reads the [pool.Snapshot] of every
// pool; between scrapes, the Collector does nothing.
//
// # Metrics
//
// Every metric has the label pool, which is Config.Name. If several pools share a name,
// the second one is called name#2, the third one name#3. Names start with hotline_pool_:
//
//	state{state}                     1 for the current state: healthy, degraded, down, suspended or closed; else 0
//	connections{state}               idle, leased, connecting, gated, closing; idle and leased connections are open
//	max_open_connections             Config.MaxOpen, or what Resize set
//	limit_connections                less than max_open_connections while the server is full
//	min_idle_connections             Config.MinIdle
//	max_idle_connections             Config.MaxIdle
//	waiting_callers                  callers in the queue
//	oldest_wait_seconds              how long the first caller in the queue has waited
//	suspect_leases                   leases older than Config.LeakAfter
//	next_connect_seconds             time until the backoff allows the next Connect
//	last_connect_failure_timestamp_seconds
//	acquires_total                   leases given
//	acquire_failures_total{reason}   callers that got no connection: timeout, canceled, rejected (by MaxWaiters), connect (error)
//	wait_duration_seconds            histogram of the waits in the queue; most Acquires do not queue
//	release_waits_total              the part of the waits that only a release could end
//	release_wait_seconds_total       the duration of that part
//	connect_duration_seconds         histogram of Connects, including failed ones
//	connect_failures_total
//	useless_connections_total        connections that were dead at their first use
//	pings_total, ping_failures_total, ping_seconds_total
//	closed_connections_total{reason} bad, invalid, idle, lifetime, uses, reset, yielded, shutdown
//	hijacked_connections_total
//
// Each budget of package pool/fleet that pools of this process use has these metrics, once
// for all these pools, with the label budget, its name:
//
//	hotline_budget_state{state}               1 for the current state: none, held, learning, static or over; else 0
//	hotline_budget_strict                     1 if connections in use are closed when the grant ends
//	hotline_budget_limit_connections          of all processes together
//	hotline_budget_granted_connections        connections that this process may have
//	hotline_budget_target_connections         connections it should come down to, because other processes need them
//	hotline_budget_used_connections           permits in use
//	hotline_budget_waiting_connects           Connects that wait for a permit
//	hotline_budget_processes                  processes that have a part of the budget
//	hotline_budget_renewal_age_seconds        time since the last renewal; 0 if there was none
//	hotline_budget_left_seconds               time until the grant ends
//	hotline_budget_renewals_total             calls of the store that succeeded
//	hotline_budget_store_failures_total       calls of the store that failed
//	hotline_budget_conflicts_total            calls that were repeated
//	hotline_budget_ended_grants_total         grants that ended before they were renewed
//
// +Inf means no limit. [Collector.AddKeys] adds the same metrics for single keys of
// keyed pools; they start with hotline_key_ and have the label key.
//
// The folder of this package has a dashboard for Grafana (dashboard.json) and alert
// rules for Prometheus (alerts.yaml) with their tests (alerts_test.yaml).
package prometheus
