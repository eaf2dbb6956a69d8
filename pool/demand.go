package pool

import "time"

// serveLocked gives the waiters, oldest first, the connections that are idle,
// checks those that need a check, and connects for the rest.
func (p *Pool[C]) serveLocked() {
	for p.queue.len > 0 {
		s, w := p.findIdleLocked()
		switch {
		case s != nil && w.is(idle):
			p.deliverLocked(s, w) // or has lost it to the keeper or a late fast path: look again
			continue
		case s != nil && p.queue.len > p.asked: // whatever is connecting: a check is done sooner
			p.startCheckLocked(s, w)
			continue
		}
		break
	}
	p.fillLocked()
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

// prompt starts a check of an idle connection or a Connect, for TryAcquire.
func (p *Pool[C]) prompt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	s, w := p.findIdleLocked()
	switch {
	case s != nil && !w.is(idle) && p.asked == 0:
		p.startCheckLocked(s, w)
	case s == nil && p.supplyLocked() == 0 && p.mayConnectLocked():
		p.startConnectLocked(nil)
	}
}

// fillLocked starts the Connects that are wanted and allowed, and sees to it
// that it is called again when the outage allows more.
func (p *Pool[C]) fillLocked() {
	if p.closed {
		return
	}
	for p.wantedLocked() > 0 {
		if !p.mayConnectLocked() {
			p.retryLocked()
			return
		}
		p.startConnectLocked(nil)
	}
}

// retryLocked sets the timer for the next attempt, if that has to wait.
func (p *Pool[C]) retryLocked() {
	at := p.outage.startsAt()
	if at == 0 {
		return
	}
	if pause := at - p.now(); pause > 0 {
		if p.retry == nil {
			p.retry = time.AfterFunc(pause, p.fill)
		} else {
			p.retry.Reset(pause)
		}
	}
}

// fill is fillLocked for the timer.
func (p *Pool[C]) fill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fillLocked()
}

// wantedLocked is how many more Connects would be of use: for waiters whom
// nothing under way will serve, and for the spare connections. After a
// permanent error only waiters count, and one attempt is enough for all.
func (p *Pool[C]) wantedLocked() int {
	if p.outage.permanent {
		return min(p.queue.len, 1) - p.comingLocked()
	}
	return p.queue.len + p.keeper.owed - p.supplyLocked() + p.sparesLocked()
}

// sparesLocked is how many connections are missing to MinIdle.
func (p *Pool[C]) sparesLocked() int {
	if p.cfg.MinIdle == 0 {
		return 0
	}
	missing := max(p.keeper.leased+p.cfg.MinIdle-p.openLocked(), 0)
	if p.cfg.MaxIdle > 0 && missing > 0 {
		// The keeper's count may be old: ask for no more than are missing now, or
		// MaxIdle would close each one as soon as it is there.
		missing = min(missing, max(p.cfg.MinIdle-p.idleLocked(), 0))
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
	for _, a := range p.attempts {
		if a.serves(p.epoch) {
			n++
		}
	}
	return n
}

// mayConnectLocked reports whether a Connect may start now.
func (p *Pool[C]) mayConnectLocked() bool {
	if p.occupiedLocked() >= p.max || p.connectingLocked() >= p.cfg.MaxConnecting {
		return false
	}
	at := p.outage.startsAt()
	return at == 0 || p.now() >= at
}

// connectingLocked is the number of Connects that count against MaxConnecting.
func (p *Pool[C]) connectingLocked() (n int) {
	for _, a := range p.attempts {
		if !a.late {
			n++
		}
	}
	return n
}

// occupiedLocked is the number of connections as the server may count them.
func (p *Pool[C]) occupiedLocked() int { return len(*p.slots.Load()) - len(p.free) }

// openLocked is the number of connections that are idle, leased or held.
func (p *Pool[C]) openLocked() int { return p.occupiedLocked() - len(p.attempts) - p.closing }

// hopelessLocked reports whether nothing can serve a waiter before an attempt
// that it is not to wait for.
func (p *Pool[C]) hopelessLocked() bool {
	failFast := p.cfg.FailFast && p.occupiedLocked() < p.max // else it waits for a release, not for the backoff
	return p.outage.err != nil && p.comingLocked()+p.pinging == 0 && p.outage.refuses(p.now(), failFast)
}

// failWaitersLocked gives the last connect error to the waiters who have waited
// through a failed attempt, but for the oldest that checks under way may serve;
// or to all.
func (p *Pool[C]) failWaitersLocked(all bool) {
	o := &p.outage
	if o.err == nil {
		return
	}
	w := p.queue.head
	for n := p.pinging; w != nil && n > 0 && !all; n-- {
		w = w.next
	}
	for w != nil && (w.order <= o.order || all) {
		next := w.next
		p.settleLocked(w, Lease[C]{}, connectFailure{o.err})
		w = next
	}
}
