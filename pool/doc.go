// Package pool is a connection pool for any protocol.
//
//	p, err := pool.Open[net.Conn]("tcp", "tcp://127.0.0.1:2485", pool.Config{MaxOpen: 20})
//	if err != nil {
//		return err
//	}
//	defer p.Close()
//
//	err = p.Do(ctx, func(ctx context.Context, c net.Conn) error {
//		_, err := io.WriteString(c, "hello\n")
//		return err
//	})
//
// [Pool.Do] and [Call] lend a connection to a function. [Pool.Acquire] and
// [Pool.TryAcquire] return a [Lease], which Release, End, Discard or Hijack ends.
// [Pool.Ready] and [Pool.Warm] wait for connections. [Pool.Reset] and [Pool.ResetIf]
// replace them, and [Pool.Resize] changes their limit. [Pool.Close] and
// [Pool.Shutdown] end the pool. [Config] has the settings, [Stats] the counters.
//
// A driver makes the connections; see package driver. The pool limits their number,
// queues callers, checks connections that have been idle before it lends them again,
// keeps idle ones alive, replaces old ones, and backs off while connecting fails.
//
// The pool guarantees:
//
//  1. The server never sees more than MaxOpen connections of the pool. That includes
//     connections being opened or closed, except a Close that has taken more than
//     5 seconds. With several servers (package driver/endpoints), this holds for
//     each of them. A Connect that tries two of them at the same time counts as one
//     connection, so all servers together may see one more for each Connect in
//     progress.
//  2. A connection has one holder at a time. A lease that has ended, or a copy of
//     it, cannot affect the next holder.
//  3. No slot (the room for one connection) is ever lost, whatever happens:
//     a cancellation, a timeout, a panic, Goexit, a hook that refuses, or a Reset.
//  4. Waiters are served in order of arrival. No waiter sleeps while it could be
//     served, and a waiter that has left gets nothing. A connect error never fails
//     a caller while a connection of the pool may still serve it; see "When
//     connecting fails".
//  5. Release does not connect, ping, close or block. No I/O, logging or hook runs
//     under a lock.
//  6. A connection does not return to the pool if its lease was ended by a panic, by
//     Goexit or by its context, or if the driver says that it is no longer valid.
//     After an error that neither the driver nor the pool knows, the pool pings it
//     before its next use (Lease.End).
//  7. After an outage, MinIdle connections are back within one backoff step, even
//     without traffic. During an outage, all Connects of the pool share one backoff.
//  8. After a permanent connect error (driver.Permanent), the pool connects only
//     for callers, once a minute, until a Connect succeeds or Reset is called.
//     Callers get the error at once, unless a connection of the pool may still serve
//     them.
//  9. Close and Shutdown leave no goroutine and no connection behind.
//  10. No secret in the DSN appears in any error, log line, counter, panic, snapshot,
//     trace or profile of the pool.
//  11. Every connection that the server may count holds exactly one permit of
//     Config.Gate until its Close has returned. The holder of a hijacked connection
//     gives its permit back. A Connect that tries two servers has one permit.
//
// # When connecting fails
//
// A Connect can fail in four ways.
//
//	error         The waiters that joined before it began fail with its error,
//	              unless a connection of the pool may still serve them: one being
//	              pinged, or one leased for less than about 3 seconds. Longer leases,
//	              such as a Watch for mail, do not count. If a waiter that stays in
//	              the queue times out, its error includes this one. With FailFast,
//	              only a connection being pinged counts.
//	full          The server has no room for another connection (driver.Full).
//	              Stats.Limit drops to the number of connections that the pool has.
//	              One Connect at a time probes for room beyond that, at the pace of
//	              the backoff or after the pause that the server asked for. Connects
//	              below the limit start at once.
//	hung          A Connect counts as hung after a quarter of ConnectTimeout, or
//	              once it has taken twice as long (at least 50 ms) as one that has
//	              succeeded since it began. The pool then starts another for its
//	              waiter. If MaxConnecting Connects hang, others start in addition, at
//	              the pace of the backoff and never beyond MaxOpen.
//	useless       Connect succeeds, but the connection is dead at its first use and
//	              has received nothing (driver.Receiver). From the second in a row
//	              on, each counts as a failed Connect. The pool then pings new
//	              connections before it lends them. The outage ends when one passes
//	              its Ping or its first use.
//
// # The gate
//
// With a Config.Gate, the pool enters the gate before each Connect. ConnectTimeout
// starts after that. The pool cancels a Connect waiting at the gate when its waiter is
// served or leaves. If no caller waits for the connection (MinIdle, Warm, Ready,
// TryAcquire, and the replacement of an old one), the pool takes a permit only if the
// gate has room. Otherwise it tries again a quarter of a second later.
//
// A permit can be lost. The pool then ends its Connect, or closes its connection: at
// once if it is idle, otherwise when its lease ends. With a StrictGate, the pool closes
// it even while it is in use, as Shutdown does; the slot stays with the lease until the
// holder ends it. Package fleet is a gate for many processes.
//
// When other pools need a permit more, the gate recalls it. It first calls Yield,
// which closes idle connections. The pool also asks the gate about each connection
// that is in use at that time, when its lease ends. If the gate recalls its permit, the
// pool closes the connection instead of keeping it or passing it to the next caller.
// The gate weighs the [Worth] of the connection, because closing it means connecting
// again later.
// A connection keeps its permit until it is closed, however long that takes.
//
// Reset gives up the pool's place in line at the gate.
//
// # Observing a pool
//
// [Pool.Snapshot] returns the state of the pool, the reasons for it in words, all
// counters, a row for each connection and the last errors. [Config.Trace] has
// functions for spans and metrics. Neither slows the fast path, unless Trace.Use is set.
//
// A lease that lasts for LeakAfter may be leaked. The pool reports it once, to the log
// and to Trace.Leak, and once more if it ends after all. From the first such lease on,
// Acquire records the stack of its caller, which takes a few microseconds. That stops
// when there has been no such lease for 10 times LeakAfter (at most 10 hours).
//
// [Pool.Holders] lists all leases. The pprof profile hotline.leases lists the leases
// of all pools in the process for which a stack was recorded. A Lease is a plain
// value, so the pool can't see that one was garbage collected: only its age gives it
// away.
//
// # Inside
//
// docs/design.md has the states of a slot, the path of Acquire and Release through the
// files, and why no wake-up is lost.
package pool
