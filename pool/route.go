package pool

import (
	"time"

	"github.com/hotline-go/hotline/driver"
)

// origin is where a connection given to putBackLocked comes from.
type origin uint8

const (
	fromPool    origin = iota // a Connect or a check that succeeded, or a waiter that left
	fromHolder                // the end of a lease
	fromFailure               // the end of a lease, after an unknown error
)

// release is the slow path of Release.
func (p *Pool[C]) release(l Lease[C], from origin) {
	s := l.slot
	w, ok := s.grab(l.word)
	if !ok {
		l.endCut()
		return
	}
	defer p.used(s.takeWatch())
	why, proof := reason{cause: bad, err: errExited}, false // proof means that a new connection proved useful
	defer func() {
		if from == fromHolder && why.cause == 0 && w.has(listed) && !w.has(retire) && p.simple.Load() && s.move(w, w.to(idle)) {
			p.hint.Put(s)
			return
		}
		p.mu.Lock()
		if proof {
			p.provedLocked(s)
		}
		p.putBackLocked(s, why, from)
		p.mu.Unlock()
	}()
	why = p.unfit(s, w)
	if from == fromHolder && why.cause == 0 && s.uses(w) == 1 {
		n, counted := received(s.raw)
		proof = n > 0 || !counted
	}
}

// unfit returns why the connection of s must not return to the pool, or the zero
// reason. It runs in the holder's goroutine, at the end of the lease.
func (p *Pool[C]) unfit(s *slot[C], w word) reason {
	if p.cfg.OnRelease != nil {
		if err := p.cfg.OnRelease(s.raw); err != nil {
			return reason{cause: bad, err: err}
		}
	}
	if w.has(validates) && !s.raw.(driver.Validator).IsValid() {
		why := because(invalid)
		why.useless = s.uses(w) == 1 && p.looksUseless(s.raw, s.birth, false)
		return why
	}
	if p.cfg.MaxUses > 0 && s.uses(w) >= p.cfg.MaxUses {
		return because(usedUp)
	}
	return reason{}
}

// putBackLocked decides what happens to s, a slot that is held. Its connection goes to
// the oldest waiter, becomes idle, is pinged first, or is closed. It is closed for the
// reason why, or for one that the pool finds.
func (p *Pool[C]) putBackLocked(s *slot[C], why reason, from origin) {
	if why.cause == 0 {
		why = p.surplusLocked(s, from)
	}
	if why.cause != 0 {
		why.counts = why.useless && !s.load().has(retire) && p.wastedLocked(s, why.err)
		if from != fromPool {
			p.keeper.leased = max(p.keeper.leased-1, 0)
		}
		p.closeLocked(s, why)
		p.serveLocked()
		return
	}
	unsure := from != fromPool && p.cfg.checksEveryUse() && s.load().has(pings)
	switch {
	case p.queue.len > 0 && unsure, from == fromFailure, from == fromHolder && p.pingsNowLocked(s):
		p.keeper.leased = max(p.keeper.leased-1, 0)
		p.checkLocked(s, p.queue.len > 0, from)
	case p.queue.len > 0:
		p.deliverLocked(s, s.load()) // the state of a held slot changes only under mu
	default:
		p.settleIdleLocked(s, unsure)
	}
}

// pingsNowLocked reports whether the keepalive of s, which comes from its holder, is
// due and may start now. It leaves half of the open connections to callers.
func (p *Pool[C]) pingsNowLocked(s *slot[C]) bool {
	return p.cfg.KeepAlive > 0 && s.load().has(pings) && p.pinging < max(p.openLocked()/2, 1) && time.Duration(s.pingAt.Load()) <= p.now()
}

// surplusLocked returns why the pool should close the connection of s, or the zero
// reason.
func (p *Pool[C]) surplusLocked(s *slot[C], from origin) reason {
	switch {
	case p.closed:
		return because(shutDown)
	case s.load().has(retire):
		return because(s.why)
	}
	if s.pass != nil && (p.queue.len == 0 || from != fromPool) { // a connection fromPool serves a waiter first
		if why := p.recalledLocked(s); why.cause != 0 {
			return why
		}
	}
	if p.maxIdle >= 0 && p.queue.len == 0 && p.countIdle() >= p.maxIdle {
		return because(tooManyIdle)
	}
	return reason{}
}

// deliverLocked gives the connection of s to the oldest waiter, if s is still in the
// state from, which is idle, or held by the caller. It unlists s, so that the lease ends
// through putBackLocked: others may be waiting by then.
func (p *Pool[C]) deliverLocked(s *slot[C], from word) {
	to := from.next(leased) &^ listed
	if !s.move(from, to) {
		return
	}
	if from.has(listed) {
		p.list.remove(int(s.index))
	}
	p.settleLocked(p.queue.head, Lease[C]{s, to, s.conn}, nil)
}

// settleIdleLocked makes s, a slot that is held, idle. unsure means that it needs
// a check before its next use.
func (p *Pool[C]) settleIdleLocked(s *slot[C], unsure bool) {
	p.list.add(int(s.index))
	s.rested = true
	w := s.load()
	to := w.to(idle) | listed
	if unsure {
		to |= stale
	}
	s.move(w, to)
}
