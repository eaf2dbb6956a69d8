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
// A mail provider allows 15 connections for an account, a database 100 for a user,
// however many processes of yours there are. Processes with a [Gate] for the same
// budget in the same [Store] share that number. The store is memory, which is for
// tests, or package pool/fleet/redis, postgres or etcd. A DSN has the budget in
// pool_budget; see [Open].
//
// # Grants
//
// A store has one row for each process, its grant: how many connections the process
// may have, for how long. It has no row for a connection. The gate renews the grant
// every third of TTL, in the background, and hands out permits from it without
// asking the store: a Connect costs a call only where the grant is used up, and then
// all that wait share that call. Spare is how many permits to keep at hand for that.
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
//	held    permits up to the grant, or to the target, if that is lower
//	static  the same permits, and no more: nobody knows what the others do
//	over    Floor permits; all others are lost, and their connections closed
//
// Each renewal says how many connections the process wants: those in use, the
// callers that wait, and Spare. The limit is shared out by that, max-min fair. A
// process above its target closes idle connections, then connections that are released,
// and gives the room back at once. A process that gets less than it wants asks again
// every sixth of TTL. So a starved process has its share within TTL/2 and the longest
// use of a connection, and Grace.
//
// # The deadline
//
//	process   sent ─────────────────── TTL ──────────────────► over
//	store          written ─────────── TTL + Grace ─────────────────────► forgotten
//
// The process counts from before it sent the call whose answer it has, the store
// from when it wrote: so the process stops first, by at least Grace, whatever the
// network does. Both the monotonic and the wall clock count, because one of them
// stands still while a machine sleeps. A wall clock that is set forward by TTL ends
// a grant; that is safe, and costs connections.
//
// Grace is how late a server may see the end of a connection. A permit counts for
// that long after Close of its connection, a grant after its deadline, and what a
// process had after Close of its gate.
//
// # A store that lost its state
//
// A store that was flushed, or came back with old data, does not know who has
// connections. It is learned for TTL + Grace: processes that have connections say so
// and keep them, and nobody gets more. A new budget can't be told from a lost one,
// so its first process waits that long for its first connection, unless it has
// a Floor.
//
// # What holds
//
//   - The server counts at most Limit connections over all processes. Where more are
//     wanted, it counts at least Limit-1, except for those in their Grace. Both need
//     a store that keeps what was written or notices a loss, a Grace that is long
//     enough, and no process that stops for longer than TTL.
//   - A process that was killed has given back everything after TTL + Grace. One that
//     called Close: at once, or after Grace what it had open at that moment.
//   - While the store is gone, slow or cut off, connections stay, and none is added.
//     At the deadline they are closed: idle ones at once, those in use when they are
//     released, or under their holders if Strict is set. Floor of them stay.
//   - After a pause longer than TTL (SIGSTOP, a debugger, a sleeping machine) the
//     deadline is checked before a connection is made. If Strict is set, also before
//     each use of one.
//
// # What does not
//
//   - The server counts the connections of a process that is stopped for longer than
//     TTL: nobody can close them. Only the server's own timeout for silent clients ends
//     them. Where that is shorter than Grace (and the pool's KeepAlive shorter still),
//     the limit holds even so.
//   - A process may be stopped between the check of the deadline and the next
//     instruction. Only a server that knows grants could close that gap.
//   - Without Strict, a holder that does not release goes on beyond the deadline.
//     With a Floor, all processes together may have Floor each more.
//   - A hijacked connection is its holder's to close.
//   - If more processes than Limit are busy all the time, some get no connection.
//   - A store whose clock is stepped forward by more than Grace forgets rows too early.
//
// # Locks
//
// Gate.mu is taken before LocalGate.mu, and never under Pool.mu. No pool and no
// store is called under it. One goroutine, which ends by Close, makes all calls of
// the store, one at a time.
package fleet
