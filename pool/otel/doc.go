// Package otel exports metrics and spans of pools to OpenTelemetry.
//
//	telemetry, err := otel.New(otel.Options{}) // once for all pools
//	...
//	observer := telemetry.Observer() // one for each pool
//	p, err := pool.Open[net.Conn]("tcp", dsn, pool.Config{
//		Name:  "gateway",
//		Trace: observer.Trace(pool.Trace{}),
//	})
//	...
//	observer.Observe(p)
//
// A closed pool is removed by itself. A keyed.Pool needs one Observer: set its Trace for
// every key in PerKey, and call Observe with the keyed.Pool before its first use. All
// metrics are then sums over the keys, and no attribute names a key.
//
// # Metrics
//
// Names and units follow the semantic conventions for connection pools
// (db.client.connection.*), with the prefix hotline.client.connection or Options.Prefix.
// For database pools, set it to db.client.connection.
//
//	count{state}      idle or used
//	max               Config.MaxOpen, or what Resize set
//	idle.min          Config.MinIdle
//	idle.max          Config.MaxIdle
//	pending_requests  callers in the queue
//	timeouts          waits that AcquireTimeout ended
//	wait_time         histogram of the waits in the queue; most Acquires do not queue
//	create_time       histogram of Connects
//	use_time          histogram of leases, if Options.UseEvery is set
//
// These are not in the conventions:
//
//	limit             less than max while the server is full
//	oldest_wait_time  how long the first caller in the queue has waited
//	ping_time         histogram of checks of connections
//	failures{reason}  callers that got no connection: timeout, canceled, rejected (by
//	                  MaxWaiters), connect (error)
//	suspects          leases older than Config.LeakAfter
//	closed{reason}    bad, invalid, idle, lifetime, uses, reset, yielded, shutdown
//
// Each budget of package pool/fleet that pools of this process use has these metrics, once
// for all these pools, with the attribute budget.name instead of pool.name:
//
//	budget.state{budget.state}  1 for the current state: none, held, learning, static or over; else 0
//	budget.limit                of all processes together
//	budget.granted              connections that this process may have
//	budget.target               connections it should come down to, because other processes need them
//	budget.used                 permits in use
//	budget.pending_connects     Connects that wait for a permit
//	budget.processes            processes that have a part of the budget
//	budget.renewal_age          time since the last renewal; absent if there was none
//	budget.left                 time until the grant ends
//	budget.renewals, budget.failures, budget.conflicts, budget.ended
//
// Without a limit, max, limit and idle.max are absent. Every metric has the attribute
// pool.name with the same prefix; its value is Config.Name. If several pools share
// a name, the second one is called name#2, the third one name#3. Failed waits, Connects
// and checks have error.type: timeout, canceled, permanent, full, throttled, or _OTHER.
//
// # Spans
//
// If the caller of Acquire or Do has a span, a wait in the queue is a child span,
// hotline.wait. A Connect or a check for this caller is a child of that one:
// hotline.connect or hotline.ping. Both continue if the caller leaves, so they may end
// after their parent. A failed span has the error text, quoted and cut off at 1,000
// bytes. Background work of the pool, such as keepalives, has no span.
package otel
