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
// A driver makes the connections (package driver). The pool limits their number,
// queues callers, checks a connection before it is used again, keeps idle ones
// alive, replaces old ones, and spaces out its Connects while they fail.
//
// [Pool.Do] and [Call] lend a connection to a function. [Pool.Acquire] and
// [Pool.TryAcquire] return a [Lease], which ends by Release, Discard or Hijack.
// [Pool.Ready] and [Pool.Warm] wait for connections, [Pool.Reset] and
// [Pool.Resize] replace and limit them, [Pool.Close] and [Pool.Shutdown] end the
// pool. [Config] has the settings, [Stats] what the pool has done.
//
// # What holds
//
//  1. The server never counts more than MaxOpen connections of the pool:
//     connections that are being opened or closed count too. A Close that takes
//     more than 5 seconds stops counting.
//  2. A connection has one holder at a time. A lease that has ended, and every
//     copy of it, can do nothing to the next holder.
//  3. No slot is lost, whatever is canceled, times out, panics, exits, is refused
//     by a hook or is reset.
//  4. Waiters are served in order of arrival. None sleeps while there is
//     something for it, and a waiter that has left gets nothing. A connect error
//     never fails a caller that a connection of the pool may still serve; see
//     "When connecting fails".
//  5. Release does not connect, ping, close or block. No I/O, no logging and no
//     hook runs under a lock.
//  6. A connection is not pooled again if its lease ended by a panic, by Goexit or
//     by its context, or if the driver says that it is no longer valid.
//  7. After an outage, MinIdle connections are back within one backoff step,
//     without traffic. Connects in an outage follow one backoff for the whole
//     pool.
//  8. After a permanent connect error (driver.Permanent) the pool connects only
//     for callers, once a minute, until a Connect succeeds or Reset is called.
//     Callers that no connection of the pool may serve get the error at once.
//  9. Close and Shutdown leave no goroutine and no connection behind.
//  10. No secret of the DSN appears in an error, a log line, a counter or a panic
//     of the pool.
//
// # When connecting fails
//
// A Connect can end in more ways than two.
//
//	it fails      A waiter that joined before it began fails with its error, unless
//	              a connection of the pool may still serve the waiter: one that is
//	              being pinged, or leased for less than about 3 seconds. Leases held
//	              for longer, such as a Watch for mail, do not count. A waiter that
//	              stays in line learns the error from its own timeout. With FailFast
//	              nobody stays.
//	it is full    driver.Full: the server has no room for one more. Stats.Limit
//	              drops to what is open, and one Connect at a time tries whether
//	              there is room again, at the pace of the backoff or when the server
//	              said. Below the limit, Connects are free.
//	it hangs      A Connect that takes a quarter of ConnectTimeout, or twice as
//	              long as one that has succeeded meanwhile (at least 50 ms), no
//	              longer counts as coming: another is started for its waiter. Where
//	              MaxConnecting hang, others start beyond it at the pace of the
//	              backoff, never beyond MaxOpen.
//	it is useless The connection comes up, and is dead at its first use with nothing
//	              received (driver.Receiver). From the second in a row on, that is a
//	              failed Connect. A new connection is then pinged before it is lent,
//	              and only one that was of use ends the outage.
//
// # The two paths
//
// Acquire to hand-over:
//
//	Acquire      claims an idle slot if nobody waits (acquire.go)
//	wait         else joins the queue and sleeps (wait.go)
//	serveLocked  gives it an idle slot, checks one, or connects (demand.go)
//	deliver      hands a slot to the oldest waiter (route.go)
//	prepare      resets the session and calls OnAcquire (prepare.go)
//
// Release to idle:
//
//	Release      publishes the slot as idle if it is listed (lease.go)
//	release      else takes it back and asks the hook and the driver (route.go)
//	putBack      decides: to a waiter, idle, or closed (route.go)
//	serveLocked  after a close, makes good for it (demand.go)
//
// # Slots
//
// Each connection has a slot. The state of a slot is one atomic word: phase,
// flags and a generation, which grows with each connection and with each lease.
//
//	free ──► connecting ──► held ──► idle ──► leased
//	 ▲            │          ▲ │ ▲     │        │
//	 │            │          │ │ └─────┘        │
//	 │            │          │ └────────► leased│
//	 │            ▼          └──────────────────┘
//	 └──────── closing ◄── held, leased
//
// If there is nothing to close, the way to free is shorter: from connecting after
// a Connect that failed, from held at a Hijack.
//
//	phase        meaning                              who owns the connection
//	free         no connection                        nobody
//	connecting   Connect is in progress               the connecting goroutine
//	held         pinged, or on its way back           whoever moved it there
//	idle         open and unused                      nobody: claim it first
//	leased       in use                               the lease with that word
//	closing      Close is in progress                 the closing goroutine
//
// All changes go through slot.move, a compare-and-swap: so only one goroutine
// enters a phase, and a lease whose word is no longer the slot's has ended. The
// flags of a word:
//
//	stale    on an idle slot: it needs a check, so the fast path leaves it alone
//	retire   on a leased or held one: close it when that ends
//	parked   on a leased one: it was leased so long ago that no waiter counts on it
//	listed   its bit in Pool.list is set
//
// What the pool needs to know besides is counted from the slots and the list of
// attempts: occupied slots are those that are not free, open ones those that are
// neither connecting nor closing.
//
// # The fast path
//
// Acquire claims an idle slot (idle to leased), Release publishes it (leased to
// idle): one compare-and-swap each, on a word that nobody else is writing, no
// lock, no allocation, no clock. The slot to try first comes from a sync.Pool,
// in effect a note per CPU of what was released there last.
//
// Acquire first reads the gate, which is zero while nobody waits and the pool is
// open: so no caller overtakes the queue. Release reads nothing that is shared.
// It need not, because of the list, a set of the slots that may be idle:
//
//   - an idle slot is always listed;
//   - Release takes the fast path only in the word that its lease began with, and
//     only if that says listed.
//
// Whoever joins the queue looks through the list under Pool.mu. It takes the idle
// slots, and takes all others off the list, which changes their words. If it finds
// nothing and sleeps, no slot in use is listed: each comes back through
// putBackLocked, under mu, which serves the queue. So no wake-up is lost. The same
// look when the pool is closed sends every lease that way. A slot that is
// delivered to a waiter is not listed, because others may wait.
//
// Nothing is counted on this path. The number of leases is the sum of the
// generations. How long a connection has been idle or leased is found by the
// keeper, a sweep every now and then that remembers generations.
//
// internal/poolmodel has this path as a model that is checked in all
// interleavings.
//
// # The slow path
//
// Pool.mu guards everything else: the queue, the free slots, the list, the
// attempts, the outage. It is the only lock (boundedContext has one of its own, a
// leaf). I/O and hooks run in goroutines that the lock's holder starts, or after
// it has been released. Those goroutines end with their Connect, Ping or Close,
// each of which is bounded; Close waits for them.
package pool
