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
// A driver makes the connections (package driver). The pool limits their number,
// queues callers, checks connections that have been idle before it lends them again,
// keeps idle ones alive, replaces old ones, and slows its Connects down while they
// fail.
//
//  1. The server never sees more than MaxOpen connections of the pool.
//     Connections that are being opened or closed count. A Close that takes
//     more than 5 seconds stops counting. With several servers (package
//     driver/endpoints), this holds for each of them. While a Connect tries two of
//     them at the same time, it counts as one connection, so all servers together
//     may see one more for each Connect in progress.
//  2. A connection has one holder at a time. A lease that has ended, and every
//     copy of it, can do nothing to the next holder.
//  3. No slot is lost, whatever is canceled, times out, panics, exits, is refused
//     by a hook or is reset.
//  4. Waiters are served in order of arrival. No waiter sleeps while it could be
//     served, and one that has left gets nothing. A connect error never fails a
//     caller that a connection of the pool may still serve; see "When connecting
//     fails".
//  5. Release does not connect, ping, close or block. No I/O, no logging and no
//     hook runs under a lock.
//  6. A connection is not pooled again if its lease ended by a panic, by Goexit or
//     by its context, or if the driver says that it is no longer valid. After an
//     error that neither the driver nor the pool knows, it is pinged before its next
//     use (Lease.End).
//  7. After an outage, MinIdle connections are back within one backoff step, even
//     without traffic. During an outage, all Connects of the pool follow one
//     backoff.
//  8. After a permanent connect error (driver.Permanent), the pool connects only
//     for callers, once a minute, until a Connect succeeds or Reset is called.
//     Callers that no connection of the pool may serve get the error at once.
//  9. Close and Shutdown leave no goroutine and no connection behind.
//  10. No secret of the DSN appears in an error, a log line, a counter, a panic,
//     a snapshot, a trace or a profile of the pool.
//  11. Every connection that the server may count holds exactly one permit of
//     Config.Gate, until its Close has returned. The holder of a hijacked connection
//     gives its permit back. A Connect that tries two servers has one permit.
//
// # When connecting fails
//
// A Connect can fail in four ways.
//
//	error         The waiters that joined before it began fail with its error,
//	              unless a connection of the pool may still serve them: one being
//	              pinged, or one leased for less than about 3 seconds. Longer leases,
//	              such as a Watch for mail, do not count. Waiters that stay in the
//	              queue get this error with their own timeout. With FailFast, only
//	              a connection being pinged counts.
//	full          The server has no room for another connection (driver.Full).
//	              Stats.Limit drops to the number of connections it has, and one
//	              Connect at a time probes for room beyond that, at the pace of the
//	              backoff or after the pause that the server asked for. Connects
//	              below the limit start at once.
//	hung          A Connect hangs if it takes a quarter of ConnectTimeout, or twice
//	              as long (at least 50 ms) as one that has succeeded meanwhile.
//	              Another is then started for its waiter. If MaxConnecting Connects
//	              hang, others start in addition, at the pace of the backoff and
//	              never beyond MaxOpen.
//	useless       Connect succeeds, but the connection is dead at its first use and
//	              has received nothing (driver.Receiver). From the second in a row,
//	              this counts as a failed Connect. New connections are then pinged
//	              before they are lent, and the outage ends when one passes its Ping
//	              or its first use.
//
// # The gate
//
// With a Config.Gate, an attempt enters the gate before it connects. ConnectTimeout
// starts after that. An attempt at the gate is canceled when its waiter is served or
// leaves. If no caller waits for the connection (MinIdle, Warm, Ready, TryAcquire, and
// the replacement of an old one), the pool takes a permit only if the gate has room,
// and otherwise tries again a quarter of a second later.
//
// A permit may be lost. The pool then ends its Connect, or closes its connection: at
// once if it is idle, otherwise when its lease ends. With a StrictGate, the pool closes
// it under its holder, as Shutdown does; the slot stays with the lease until the holder
// ends it. Package fleet is a gate for many processes.
//
// When other pools need a permit more, the gate recalls it. Yield closes idle
// connections. It also makes each connection in use ask the gate when its lease ends:
// if the gate recalls the permit, the connection is closed instead of becoming idle
// or going to the next caller. The gate weighs what the connection is worth
// ([Worth]), because closing one means connecting again later. A connection keeps its
// permit until it is closed, however long that takes.
//
// Reset gives up the pool's place in line at the gate.
//
// # Observing a pool
//
// [Pool.Snapshot] has the state of the pool, the reasons for it in words, all
// counters, a row for each connection and the last errors. [Config.Trace] has
// functions for spans and metrics. Neither slows the fast path, except Trace.Use.
//
// A lease that lasts for LeakAfter may be leaked. The keeper finds it by its
// generation, reports it once to the log and to Trace.Leak, and once more if it ends
// after all. From the first such lease until 10 times LeakAfter (10 hours at most)
// have passed without one, Acquire records the stack of its caller, which takes
// a few microseconds. [Pool.Holders] lists all leases; the pprof profile
// hotline.leases lists the leases with a stack, of all pools in the process. A Lease
// is a plain value, so the pool can't see that one was garbage collected: only its
// age gives it away.
//
// # Inside
//
// docs/design.md has the states of a slot, the path of Acquire and Release through the
// files, and why no wake-up is lost.
package pool
