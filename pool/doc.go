// Package pool keeps connections of any protocol open, alive and few.
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
// A driver makes the connections (package driver); the pool bounds their number,
// queues callers, checks a connection before it is used again, keeps idle ones
// alive, replaces old ones, and spaces out connect attempts while they fail.
// [Config] says what can be set, [Stats] what can be seen.
//
// # What holds
//
//  1. The server never counts more than MaxOpen connections of the pool: those
//     that connect and those that close count as well. A Close that takes more
//     than 5 seconds stops counting.
//  2. A connection has one holder at a time. A lease that has ended, and each
//     copy of it, can do nothing to the next holder.
//  3. No slot is lost, whatever is cancelled, times out, panics, exits, is
//     refused by a hook or is reset.
//  4. Waiters are served in order of arrival. None is left asleep while there is
//     something for it, none outlives a failed Connect that began after it had
//     joined (one from before a Reset aside, and but for the oldest, whom the
//     connections that are being checked may serve), and a waiter that has left
//     gets nothing.
//  5. Release does not dial, ping, close or block. No I/O, no logging and no hook
//     runs under a lock.
//  6. A connection whose lease ended by a panic, by Goexit or by its context, or
//     which the driver no longer calls valid, is not pooled again.
//  7. After an outage, MinIdle connections are there again within one backoff
//     step, without traffic. Attempts in the outage follow one backoff for the
//     whole pool.
//  8. A permanent connect error (driver.Permanent) reaches all waiters at once.
//     The pool then dials no more on its own, and for callers once a minute,
//     until a connect succeeds or Reset is called.
//  9. Close and Shutdown leave no goroutine and no connection behind.
//  10. No secret of the DSN is in an error, a log line, a counter or a panic of
//     the pool.
//
// # Slots
//
// Each connection has a slot. The state of a slot is one atomic word: phase,
// flags and a generation, which grows with each connection and with each lease.
//
//	free ──► connecting ──► checking ──► idle ──► leased
//	 ▲            │          ▲ │  ▲        │         │
//	 │            │          │ │  └────────┘         │
//	 │            │          │ └───────────► leased  │
//	 │            ▼          └───────────────────────┘
//	 └──────── closing ◄── checking, leased
//
// Where there is nothing to close, the way to free is shorter: from connecting
// after a Connect that failed, from checking at a Hijack.
//
//	phase        meaning                              who owns the connection
//	free         no connection                        nobody
//	connecting   Connect is under way                 the connecting goroutine
//	checking     pinged, or on its way back           whoever moved it there
//	idle         open, to be had                      nobody: claim it first
//	leased       in use                               the lease with that word
//	closing      Close is under way                   the closing goroutine
//
// All changes go through slot.move, a compare-and-swap, so a phase is entered by
// one goroutine alone, and a lease whose word is no longer the slot's has ended.
// Flags: stale on an idle slot keeps the fast path off it, because it wants a
// check first; retire on a leased or checking one says that it is to be closed
// when that ends.
//
// # The fast path
//
// Acquire claims an idle slot (idle to leased), Release publishes it (leased to
// idle): one compare-and-swap each, on a word that nobody else is writing, no
// lock, no allocation, no clock. The slot to try first comes from a sync.Pool,
// in effect a note per CPU of what was released there last.
//
// Both look at one shared word, the gate, which is zero while nobody waits and
// the pool is open. Otherwise they take the slow path, under Pool.mu.
//
// No wake-up is lost, because of the order of two steps on either side:
//
//	Release:  1. publish the slot as idle    2. read the gate; not zero: serve the queue
//	Acquire:  1. join, raise the gate        2. look for an idle slot; none: sleep
//
// Go's atomics are sequentially consistent, so at least one of the two sees what
// the other did. Joining and serving the queue happen under mu, so that a waiter
// that joins behind others need not look: whoever publishes after the first one
// has looked will see the gate (Pool.exhausted).
//
// No caller overtakes the queue: it claims only after it has read a gate of zero,
// which is its place in the order of arrival.
//
// Nothing is counted on this path. The number of leases is the sum of the
// generations, and how long a connection has been idle is told by the keeper, a
// sweep every now and then that remembers generations.
//
// # The slow path
//
// Pool.mu guards everything else: the queue, the free slots, the counts, the
// state of connecting. It is the only lock (boundedContext has one of its own,
// a leaf). I/O and hooks run in goroutines that the lock's holder starts, or
// after it has been given up. Those goroutines end with their Connect, Ping or
// Close, each of which is bounded; Close waits for them.
package pool
