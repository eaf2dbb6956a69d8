package pool

import (
	"slices"
	"time"
)

// serveLocked serves the waiters as far as possible. It gives them the idle
// connections, oldest waiter first, checks the connections that need a check, fails the
// waiters that can't be served, and connects for the rest. It must be called after
// every change that adds a waiter, a connection, or room for a connection.
func (p *Pool[C]) serveLocked() {
	p.assignIdleLocked()
	p.giveUpLocked()
	p.fillLocked()
}

// assignIdleLocked gives idle connections to waiters, or has them checked.
func (p *Pool[C]) assignIdleLocked() {
	for p.queue.len > 0 {
		s, w := p.findIdleLocked()
		switch {
		case s != nil && w.is(idle):
			p.deliverLocked(s, w) // does nothing if the keeper or a fast path has just taken s; then the loop tries again
		case s != nil && p.queue.len > p.asked: // even if Connects are in progress, because a check is faster
			p.startCheckLocked(s, w)
		default:
			return
		}
	}
}

// findIdleLocked returns the lowest idle slot that needs no check, else the lowest
// idle slot, else nil. On the way, it takes slots in use off the list. So if it finds
// nothing for a waiter, their connections come back through putBackLocked.
func (p *Pool[C]) findIdleLocked() (found *slot[C], state word) {
	slots := *p.slots.Load()
	for i := p.list.next(0); i >= 0; i = p.list.next(i + 1) {
		s := slots[i]
		w := p.unlistLocked(s)
		if w.is(idle) {
			return s, w
		}
		if w.phase() == idle && found == nil {
			found, state = s, w
		}
	}
	return found, state
}

// unlistLocked takes s off the list unless it is idle, and returns its state.
func (p *Pool[C]) unlistLocked(s *slot[C]) word {
	for {
		w := s.load()
		if w.phase() == idle || !w.has(listed) {
			return w
		}
		if s.move(w, w&^listed) {
			p.list.remove(int(s.index))
			return w &^ listed
		}
	}
}

// fillLocked starts the Connects that are needed and allowed, and sets a timer to
// run again when more are allowed.
func (p *Pool[C]) fillLocked() {
	if p.closed {
		return
	}
	defer p.callOffLocked()
	for p.wantedLocked() > 0 {
		at, ok := p.connectsAtLocked()
		if !ok {
			return
		}
		if at > 0 && at > p.now() {
			p.retryAtLocked(at)
			return
		}
		p.startConnectLocked(nil)
	}
	if p.sparesAt > 0 && p.sparesAt > p.now() {
		p.retryAtLocked(p.sparesAt)
	}
}

// retryAtLocked sets the timer for the next attempt.
func (p *Pool[C]) retryAtLocked(at time.Duration) {
	pause := at - p.now()
	if p.retry == nil {
		p.retry = time.AfterFunc(pause, p.fill)
	} else {
		p.retry.Reset(pause)
	}
}

// fill runs fillLocked for the timer.
func (p *Pool[C]) fill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fillLocked()
}

// wantedLocked returns how many more Connects are needed: for waiters that no check or
// Connect in progress will serve, and for spare connections. After a permanent error,
// only callers count, and the outage allows one attempt a minute.
func (p *Pool[C]) wantedLocked() int {
	if p.outage.permanent {
		return p.queue.len + len(p.warm) - p.comingLocked()
	}
	missing := p.sparesLocked()
	for _, n := range p.warm {
		missing = max(missing, n-p.openLocked())
	}
	missing += p.keeper.owed
	if missing > 0 && p.now() < p.sparesAt {
		missing = 0 // the gate has no room for them
	}
	return p.queue.len - p.supplyLocked() + missing
}

// sparesLocked returns how many connections are missing for MinIdle.
func (p *Pool[C]) sparesLocked() int {
	if p.cfg.MinIdle == 0 {
		return 0
	}
	missing := max(p.keeper.leased+p.cfg.MinIdle-p.openLocked(), 0)
	if p.maxIdle >= 0 && missing > 0 {
		// The keeper's count may be old. If the pool connected more than are missing
		// now, MaxIdle would close them as soon as they are connected.
		missing = min(missing, max(p.cfg.MinIdle-p.countIdle(), 0))
	}
	return missing
}

// supplyLocked returns how many waiters the Connects and checks in progress should
// serve. Checks do not count while one has failed and nothing has succeeded since.
// Keepalives never count, because one may hang, and a later caller should not wait for
// it.
func (p *Pool[C]) supplyLocked() int {
	if p.suspicion.doubt {
		return p.comingLocked()
	}
	return p.comingLocked() + p.asked
}

// comingLocked returns the number of Connects in progress that waiters may count on.
func (p *Pool[C]) comingLocked() (n int) {
	if len(p.attempts) == 0 {
		return 0
	}
	now := p.now()
	for _, a := range p.attempts {
		if a.old == nil && a.epoch == p.epoch && !a.calledOff && !p.hangs(a, now) {
			n++
		}
	}
	return n
}

// mayConnectLocked reports whether a Connect may start now.
func (p *Pool[C]) mayConnectLocked() bool {
	at, ok := p.connectsAtLocked()
	return ok && (at == 0 || at <= p.now())
}

// connectsAtLocked returns when the next Connect may start; 0 means at once. ok is
// false if no Connect may start until something else changes.
func (p *Pool[C]) connectsAtLocked() (at time.Duration, ok bool) {
	occupied := p.occupiedLocked()
	beyondFull := p.outage.full && occupied >= p.outage.limit
	switch {
	case occupied >= p.max, beyondFull && p.probingLocked():
		return 0, false
	case (beyondFull || p.outage.pace.steps > 0) && p.gatedLocked() > 0: // only one of them would begin, but each may take a connection away from another pool
		return 0, false
	}
	beyond, ok := p.underMaxConnectingLocked()
	return max(p.outage.startsAt(occupied), beyond), ok
}

// probingLocked reports whether a Connect is probing a full server for room.
func (p *Pool[C]) probingLocked() bool {
	now := p.now()
	return slices.ContainsFunc(p.attempts, func(a *attempt[C]) bool { return a.probe && a.epoch == p.epoch && !p.hangs(a, now) })
}

// underMaxConnectingLocked reports whether MaxConnecting allows one more Connect,
// and from when on. If Connects hang, others may start beyond MaxConnecting, at the
// pace of the backoff, which steps when one has passed the gate.
func (p *Pool[C]) underMaxConnectingLocked() (at time.Duration, ok bool) {
	if len(p.attempts) < p.cfg.MaxConnecting {
		return 0, true
	}
	coming, hanging := p.connectingLocked()
	if coming+hanging < p.cfg.MaxConnecting {
		return 0, true
	}
	return p.beyond.until, coming < p.cfg.MaxConnecting && p.gatedLocked() == 0
}

// connectingLocked returns how many of the Connects in progress count against
// MaxConnecting: those that do not hang (coming) and those that do. Connects from
// before a Reset do not count, because they are ending, nor do attempts already
// reported as failed.
func (p *Pool[C]) connectingLocked() (coming, hanging int) {
	now := p.now()
	for _, a := range p.attempts {
		switch {
		case a.late || a.epoch != p.epoch:
		case p.hangs(a, now):
			hanging++
		default:
			coming++
		}
	}
	return coming, hanging
}

// occupiedLocked returns the number of connections that the server may count.
func (p *Pool[C]) occupiedLocked() int { return len(*p.slots.Load()) - len(p.free) }

// openLocked returns the number of connections that are idle, leased or held.
func (p *Pool[C]) openLocked() int { return p.occupiedLocked() - len(p.attempts) - p.closing }

// giveUpLocked fails waiters with the last connect error if no connection of the pool
// may serve them. It fails the waiters that joined before a failed attempt began, or
// all of them if callers should not wait for the next attempt.
func (p *Pool[C]) giveUpLocked() {
	o := &p.outage
	if o.err == nil || p.queue.len == 0 {
		return
	}
	if p.mayStillServeLocked() {
		p.wakeKeeperLocked() // so that it marks long leases as parked
		return
	}
	order := o.order
	if p.refusesLocked() {
		order = p.queue.arrivals
	}
	for w := p.queue.head; w != nil && w.order <= order; w = p.queue.head {
		p.total.failed++
		p.settleLocked(w, Lease[C]{}, connectFailure{o.err})
	}
}

// refusesLocked reports whether callers should fail rather than wait for the next
// attempt: after a permanent error, with FailFast if MaxOpen has room, or if a full
// server has asked for a pause much longer than the longest delay of the backoff.
func (p *Pool[C]) refusesLocked() bool {
	occupied := p.occupiedLocked()
	pause := p.outage.startsAt(occupied) - p.now()
	if pause <= 0 || p.comingLocked() > 0 {
		return false
	}
	return p.outage.permanent || p.cfg.FailFast && occupied < p.max || p.outage.full && pause > 2*p.cfg.Backoff.Max
}

// mayStillServeLocked reports whether the pool may serve a waiter without another
// attempt that would probably fail as the last one did: a connection is being pinged or
// on its way back, a lease is not old yet, or a full server has room to replace a lost
// connection. With FailFast, only connections being pinged count.
func (p *Pool[C]) mayStillServeLocked() bool {
	if p.pinging > 0 || p.cfg.FailFast {
		return p.pinging > 0
	}
	if p.outage.hasRoom(p.openLocked(), p.max) {
		return true
	}
	return slices.ContainsFunc(*p.slots.Load(), func(s *slot[C]) bool {
		w := s.load()
		return !w.has(retire) && (w.phase() == held || w.phase() == leased && !w.has(parked))
	})
}
