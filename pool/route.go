package pool

import "github.com/hotline-go/hotline/driver"

// release is Release beyond the fast path.
func (p *Pool[C]) release(l Lease[C]) {
	s := l.slot
	w, ok := s.grab(l.word)
	if !ok {
		return
	}
	why, proof := reason{cause: bad, err: errExited}, false // proof that new connections are of use
	defer func() {
		if why.cause == 0 && w.has(listed) && !w.has(retire) && p.simple.Load() && s.move(w, w.to(idle)) {
			p.hint.Put(s)
			return
		}
		p.mu.Lock()
		if proof {
			p.provedLocked(s)
		}
		p.putBackLocked(s, why, false)
		p.mu.Unlock()
	}()
	why = p.unfit(s, w)
	if why.cause == 0 && s.uses(w) == 1 {
		n, counted := received(s.raw)
		proof = n > 0 || !counted
	}
}

// unfit says why the connection of s must not be pooled again. It runs in the
// holder's goroutine, at the end of its lease.
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

// putBackLocked ends the pool's own hold on s, a slot that is held: it goes to
// the oldest waiter, becomes idle, or is closed for the reason given or for
// one that the pool has. fresh says that it comes from a Connect or a check
// that succeeded, and not from a holder.
func (p *Pool[C]) putBackLocked(s *slot[C], why reason, fresh bool) {
	if why.cause == 0 {
		why = because(p.surplusLocked(s))
	}
	if why.cause != 0 {
		if why.useless {
			why.useless = !s.load().has(retire) && p.wastedLocked(s, why.err)
		}
		if !fresh {
			p.keeper.leased = max(p.keeper.leased-1, 0)
		}
		p.closeLocked(s, why)
		p.serveLocked()
		return
	}
	unsure := p.cfg.checksEveryUse() && s.load().has(pings) && !fresh
	switch {
	case p.queue.len > 0 && unsure:
		p.checkLocked(s, true)
	case p.queue.len > 0:
		p.deliverLocked(s, s.load()) // nobody else changes its state now: flags come up under mu
	default:
		p.settleIdleLocked(s, unsure)
	}
}

// surplusLocked says why the pool does not want s any more.
func (p *Pool[C]) surplusLocked(s *slot[C]) cause {
	switch {
	case p.closed:
		return shutDown
	case s.load().has(retire):
		return s.why
	case p.maxIdle >= 0 && p.queue.len == 0 && p.countIdle() >= p.maxIdle:
		return tooManyIdle
	}
	return 0
}

// deliverLocked gives the connection of s to the oldest waiter, if s is still
// in the state from: idle, or held by the caller. Its holder gives it back
// through putBackLocked, because others may wait by then.
func (p *Pool[C]) deliverLocked(s *slot[C], from word) {
	to := from.next(leased) &^ listed
	if !s.move(from, to) {
		return
	}
	if from.has(listed) {
		p.list.remove(s.index)
	}
	p.settleLocked(p.queue.head, Lease[C]{s, to, s.conn}, nil)
}

// settleIdleLocked makes s, a slot that is held, idle. unsure says that it needs
// a check before its next use.
func (p *Pool[C]) settleIdleLocked(s *slot[C], unsure bool) {
	p.list.add(s.index)
	s.rested = true
	w := s.load()
	to := w.to(idle) | listed
	if unsure {
		to |= stale
	}
	s.move(w, to)
}
