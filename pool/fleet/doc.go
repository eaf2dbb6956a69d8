// Package fleet keeps one limit on connections over many processes.
//
//	gate, err := fleet.New(store, fleet.Config{Budget: "gmail-ada", Limit: 15})
//	if err != nil {
//		return err
//	}
//	defer gate.Close()
//
//	p, err := pool.Open[*imap.Conn]("imaps", dsn, pool.Config{Gate: gate})
//	if err != nil {
//		return err
//	}
//	defer p.Close() // runs before gate.Close, which gives everything back
//
// A mail provider allows 15 connections per account, a database 100 per user, however
// many processes you run. Processes that have a [Gate] for the same budget in the same
// [Store] share that number. Packages pool/fleet/redis, postgres and etcd are stores;
// [Memory] is one for tests. In a DSN, pool_budget names the budget; see [Open].
//
// # Grants
//
// A store has one row for each process, its grant: how many connections the process
// may have, and for how long. It has no rows for connections. The gate renews the grant
// every third of TTL, in the background, and hands out permits from it without calling
// the store. A Connect causes a call only when the grant is used up, and all callers
// that wait at that moment share the call. With Spare, the gate keeps unused permits
// ready, so that Connects need not wait for the store.
//
//	        Enter, and the store agrees
//	 none ───────────────────────────────► held ◄────────┐ renewed
//	  ▲                                     │  └─────────┘
//	  │ unused at the renewal, or Close     │ the store does not answer
//	  ├─────────────────────────────────── static ───────► held, when it does
//	  │                                     │ the deadline
//	  └──────────────────────────────────  over ─────────► held, when it does
//
//	none    no permits
//	held    permits up to the grant, or up to the target if that is lower
//	static  the same permits, and no more, because nothing is known of other processes
//	over    Floor permits; all others are lost, and their connections are closed
//
// Each renewal says how many connections the process wants: those in use, one for each
// waiting caller, and Spare. The limit is divided by these numbers, max-min fair. A
// process above its target closes idle connections, then connections that are released,
// and gives the room back at once. A process that gets less than it wants asks again
// every sixth of TTL. So a starved process has its share after at most TTL/2, plus the
// longest use of a connection, plus Grace.
//
// # The deadline
//
//	process   sent ─────────────────── TTL ──────────────────► over
//	store          written ─────────── TTL + Grace ─────────────────────► forgotten
//
// The process counts from just before it sent the renewal, the store from when it wrote
// the row. So the process stops first, by at least Grace, whatever the network does. The
// process uses the monotonic and the wall clock, whichever has gone further, because one
// of them stands still while the machine sleeps. If the wall clock is set forward by
// TTL, the grant ends early. That is safe, but closes connections.
//
// Grace is how late a server may notice the end of a connection. For that long, a permit
// still counts after the Close of its connection, a grant after its deadline, and the
// connections of a process after the Close of its gate.
//
// # A store that lost its state
//
// A store that was flushed, or came back with old data, does not know who has
// connections. It learns that for TTL + Grace: processes that have connections report
// and keep them, and no process gets more. A new budget looks the same as a lost one,
// so its first process waits that long for its first connection, unless it has
// a Floor.
//
// # Guarantees
//
//   - The server counts at most Limit connections over all processes. While more are
//     wanted, it counts at least Limit-1, except for those in their Grace. Both require
//     that the store keeps its data or notices a loss, that Grace is long enough, and
//     that no process stops for longer than TTL.
//   - The connections of a killed process are free for others after TTL + Grace. Close
//     frees them at once. Those that are still open at that moment are free after Grace.
//   - While the store is down, slow or unreachable, connections stay and none is added.
//     At the deadline, all but Floor of them are closed: idle ones at once, those in use
//     when they are released, or at once if Strict is set.
//   - After a pause longer than TTL (SIGSTOP, a debugger, a sleeping machine), the
//     deadline is checked before a connection is made and, if Strict is set, before
//     each use of one.
//
// # Limits
//
//   - A process that is stopped for longer than TTL can't close its connections. The
//     server counts them until its own timeout for silent clients. The limit still holds
//     if that timeout is shorter than Grace, and the pool's KeepAlive is shorter still.
//   - A process may be stopped between the check of the deadline and the next
//     instruction. Only a server that knows grants could close that gap.
//   - Without Strict, a holder that does not release keeps its connection beyond the
//     deadline. With a Floor, each process may have Floor connections more.
//   - Only its holder can close a hijacked connection.
//   - If more processes than Limit are busy all the time, some get no connection.
//   - A store whose clock is stepped forward by more than Grace forgets rows too early.
//
// # Locks
//
// Gate.mu is taken before LocalGate.mu, and never under Pool.mu. No pool and no store is
// called under it. One goroutine makes all calls of the store, one at a time, until Close.
package fleet
