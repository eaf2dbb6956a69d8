package pool

import "time"

// gateLocked sets the gate to what the queue and closed say.
func (p *Pool[C]) gateLocked() {
	g := int32(min(p.queue.len, closedGate-1))
	if p.closed {
		g = closedGate
	}
	p.gate.Store(g)
}

// dequeueLocked takes w out of the queue. The caller settles w.
func (p *Pool[C]) dequeueLocked(w *waiter[C]) {
	p.queue.remove(w)
	p.gateLocked()
}

// deliverLocked gives the connection of s to the oldest waiter. The caller
// owns s.
func (p *Pool[C]) deliverLocked(s *slot[C], from word) bool {
	to := from.next(leased)
	if !s.move(from, to) {
		return false
	}
	w := p.queue.head
	w.lease = Lease[C]{s, to, s.conn}
	p.settledLocked(w)
	return true
}

// failLocked gives err to w.
func (p *Pool[C]) failLocked(w *waiter[C], err error) {
	w.err = err
	p.settledLocked(w)
}

// settledLocked wakes w, which has its lease or its error.
func (p *Pool[C]) settledLocked(w *waiter[C]) {
	p.dequeueLocked(w)
	p.total.waited += p.now() - w.joined
	w.ready <- struct{}{} // holds one, so this never blocks
}

// match serves the waiters after a connection became idle without mu. Whoever
// publishes one so looks at the gate afterwards, and a waiter looks for idle
// ones after it has raised the gate: one of the two sees the other.
func (p *Pool[C]) match() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		p.evictIdleLocked(ErrClosed)
		return
	}
	p.exhausted = false
	p.serveLocked()
}

// serveLocked gives the waiters, oldest first, what is idle, checks what needs
// a check, and connects for the rest.
func (p *Pool[C]) serveLocked() {
	for p.queue.len > 0 && !p.exhausted {
		s, w := p.findIdleLocked()
		switch {
		case s == nil:
			p.exhausted = true
		case w.is(idle):
			p.deliverLocked(s, w) // lost to the keeper or a late fast path: look again
		case p.queue.len > p.asked: // whatever is connecting: a check is sooner done
			p.startCheckLocked(s, w)
		default:
			p.fillLocked()
			return // enough checks are under way
		}
	}
	p.fillLocked()
}

// supplyLocked is how many waiters are going to be served by what is under way.
// In doubt, after a failed check, a check counts for nothing; a keepalive never
// counts, because it may hang, and nobody who came later need wait for it.
func (p *Pool[C]) supplyLocked() int {
	if p.keeper.doubt {
		return p.hopefulLocked()
	}
	return p.hopefulLocked() + p.asked
}

// findIdleLocked returns the lowest idle slot that needs no check, else the
// lowest that does, else nil.
func (p *Pool[C]) findIdleLocked() (*slot[C], word) {
	var found *slot[C]
	var state word
	for _, s := range *p.slots.Load() {
		w := s.load()
		if w.phase() != idle {
			continue
		}
		if w.is(idle) {
			return s, w
		}
		if found == nil {
			found, state = s, w
		}
	}
	return found, state
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

// armExpiryLocked sees to it that somebody looks at the oldest waiter when its
// AcquireTimeout passes. One timer does for all: the queue is in the order of
// the deadlines.
func (p *Pool[C]) armExpiryLocked() {
	if p.cfg.AcquireTimeout < 0 || p.expirySet || p.queue.head == nil {
		return
	}
	p.expirySet = true
	d := p.queue.head.began + p.cfg.AcquireTimeout - p.now()
	if p.expiry == nil {
		p.expiry = time.AfterFunc(d, p.expireWaiters)
	} else {
		p.expiry.Reset(d)
	}
}

// expireWaiters fails the waiters whose AcquireTimeout has passed.
func (p *Pool[C]) expireWaiters() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expirySet = false
	for w := p.queue.head; w != nil && p.now()-w.began >= p.cfg.AcquireTimeout; w = p.queue.head {
		p.total.timeouts++
		p.failLocked(w, ErrTimeout)
	}
	p.armExpiryLocked()
}
