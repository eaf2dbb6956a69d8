package pool

import (
	"slices"
	"time"
)

// serveLocked does what can be done for the waiters: it gives them, oldest
// first, the connections that are idle, checks those that need a check, fails
// the waiters that nothing can serve, and connects for the rest. It follows
// everything that makes a waiter, a connection, or room for one.
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
			p.deliverLocked(s, w) // or has lost it to the keeper or a late fast path: look again
		case s != nil && p.queue.len > p.asked: // whatever is connecting: a check is done sooner
			p.startCheckLocked(s, w)
		default:
			return
		}
	}
}

// findIdleLocked returns the lowest idle slot that needs no check, else the
// lowest that does, else nil. It takes every other slot off the list: so if a
// waiter gets none, the connections in use come back through putBackLocked.
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
			p.list.remove(s.index)
			return w &^ listed
		}
	}
}

// fillLocked starts the Connects that are wanted and allowed, and sees to it
// that it is called again when time allows more.
func (p *Pool[C]) fillLocked() {
	if p.closed {
		return
	}
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

// fill is fillLocked for the timer.
func (p *Pool[C]) fill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fillLocked()
}

// wantedLocked is how many more Connects would be of use: for waiters that
// nothing under way will serve, and for the spare connections. After a
// permanent error only waiters count, and one attempt is enough for all.
func (p *Pool[C]) wantedLocked() int {
	if p.outage.permanent {
		return min(p.queue.len+len(p.warm), 1) - p.comingLocked()
	}
	missing := p.sparesLocked()
	for _, n := range p.warm {
		missing = max(missing, min(n, p.max)-p.openLocked())
	}
	return p.queue.len + p.keeper.owed - p.supplyLocked() + missing
}

// sparesLocked is how many connections are missing to MinIdle.
func (p *Pool[C]) sparesLocked() int {
	if p.cfg.MinIdle == 0 {
		return 0
	}
	missing := max(p.keeper.leased+p.cfg.MinIdle-p.openLocked(), 0)
	if p.maxIdle >= 0 && missing > 0 {
		// The keeper's count may be old: ask for no more than are missing now, or
		// MaxIdle would close each one as soon as it is there.
		missing = min(missing, max(p.cfg.MinIdle-p.countIdle(), 0))
	}
	return missing
}

// supplyLocked is how many waiters are going to be served by what is under way.
// In doubt, after a failed check, a check counts for nothing; a keepalive never
// counts, because it may hang, and nobody who came later need wait for it.
func (p *Pool[C]) supplyLocked() int {
	if p.suspicion.doubt {
		return p.comingLocked()
	}
	return p.comingLocked() + p.asked
}

// comingLocked is the number of Connects under way that waiters may count on.
func (p *Pool[C]) comingLocked() (n int) {
	if len(p.attempts) == 0 {
		return 0
	}
	now := p.now()
	for _, a := range p.attempts {
		if a.old == nil && a.epoch == p.epoch && !p.hangs(a, now) {
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

// connectsAtLocked returns when the next Connect may start; 0 is at once. ok is
// false if time alone will not allow one.
func (p *Pool[C]) connectsAtLocked() (at time.Duration, ok bool) {
	occupied := p.occupiedLocked()
	if occupied >= p.max || p.outage.full && occupied >= p.outage.limit && p.probingLocked() {
		return 0, false
	}
	beyond, ok := p.underMaxConnectingLocked()
	return max(p.outage.startsAt(occupied), beyond), ok
}

// probingLocked reports whether a Connect finds out just now if a full server has
// room again.
func (p *Pool[C]) probingLocked() bool {
	now := p.now()
	return slices.ContainsFunc(p.attempts, func(a *attempt[C]) bool { return a.probe && a.epoch == p.epoch && !p.hangs(a, now) })
}

// underMaxConnectingLocked reports whether MaxConnecting allows one more Connect,
// and from when on. Where Connects hang, others start beyond MaxConnecting, at the
// pace of the backoff.
func (p *Pool[C]) underMaxConnectingLocked() (at time.Duration, ok bool) {
	if len(p.attempts) < p.cfg.MaxConnecting {
		return 0, true
	}
	coming, hanging := p.connectingLocked()
	if coming+hanging < p.cfg.MaxConnecting {
		return 0, true
	}
	return p.beyond.until, coming < p.cfg.MaxConnecting
}

// connectingLocked counts the Connects under way that count against
// MaxConnecting: not those from before a Reset, which are ending, nor those whose
// failure was reported.
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

// occupiedLocked is the number of connections as the server may count them.
func (p *Pool[C]) occupiedLocked() int { return len(*p.slots.Load()) - len(p.free) }

// openLocked is the number of connections that are idle, leased or held.
func (p *Pool[C]) openLocked() int { return p.occupiedLocked() - len(p.attempts) - p.closing }

// giveUpLocked gives the last connect error to the waiters that nothing can serve:
// those that have waited through a failed attempt and, if callers are not to wait
// for the next attempt, all.
func (p *Pool[C]) giveUpLocked() {
	o := &p.outage
	if o.err == nil || p.queue.len == 0 {
		return
	}
	if p.hopeLocked() {
		p.wakeKeeperLocked() // which sees when a lease gets old
		return
	}
	order := o.order
	if p.refusesLocked() {
		order = p.queue.arrivals
	}
	for w := p.queue.head; w != nil && w.order <= order; w = p.queue.head {
		p.settleLocked(w, Lease[C]{}, connectFailure{o.err})
	}
}

// refusesLocked reports whether callers are not to wait for the next attempt:
// after a permanent error, with FailFast if MaxOpen has room, or if a full server
// has asked for a pause longer than any of the backoff.
func (p *Pool[C]) refusesLocked() bool {
	occupied := p.occupiedLocked()
	pause := p.outage.startsAt(occupied) - p.now()
	if pause <= 0 || p.comingLocked() > 0 {
		return false
	}
	return p.outage.permanent || p.cfg.FailFast && occupied < p.max || p.outage.full && pause > 2*p.cfg.Backoff.Max
}

// hopeLocked reports whether the pool may still serve a waiter without an attempt
// that may fail as the last one did: a connection is pinged, on its way back, or
// leased to a holder who has not had it for long, or a full server has room for
// one that was lost. With FailFast only the pinged ones count.
func (p *Pool[C]) hopeLocked() bool {
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
