package pool

import "time"

// A lease that lasts longer than LeakAfter may be leaked. The sweeps recognize it by its
// generation, at no cost to Acquire and Release. Only after that does the pool record
// stacks, for leases that begin later.

// stacksFor is how long stacks are recorded after the last suspicious lease, in units of
// LeakAfter or an hour, whichever is shorter. It is long enough to catch rare leaks.
const stacksFor = 10

// arm sets whether Acquire records stacks. It takes the slow path for that, as it does for
// OnAcquire and Trace.Use, and otherwise only if the session has to be reset.
func (p *Pool[C]) arm(on bool) {
	p.armed.Store(on)
	slow := resets
	if on || p.cfg.OnAcquire != nil || p.cfg.Trace.Use != nil {
		slow = ^word(0)
	}
	p.slow.Store(uint64(slow))
}

// armLocked makes Acquire record stacks while there are suspicious leases and for some
// time after.
func (p *Pool[C]) armLocked(r *round[C]) {
	k := &p.keeper
	if r.suspicious > 0 {
		k.armedUntil = r.now + stacksFor*min(p.cfg.LeakAfter, time.Hour)
	}
	if on := r.now < k.armedUntil; on != p.armed.Load() {
		p.arm(on)
	}
}

// lookAtLeak collects the lease of the slot s if it should be reported as a leak, and its
// last reported lease if that has ended. w is the state of s.
func (p *Pool[C]) lookAtLeak(r *round[C], s *slot[C], w word, v *seen) {
	same := w.phase() == leased && w.gen() == v.lease
	if v.suspect != nil && !same {
		v.suspect.Age = max(v.suspect.Age, p.keeper.last-v.leasedSince)
		r.cleared = append(r.cleared, v.suspect)
		v.suspect = nil
	}
	if same && p.suspicious(r.now-v.leasedSince) {
		r.suspicious++
		if v.suspect == nil {
			r.suspects = append(r.suspects, found[C]{s, w})
		}
	}
}

// reportLeaks reports the leaks that a sweep has found, while the sweep is still active.
func (p *Pool[C]) reportLeaks(r *round[C]) {
	for _, h := range r.cleared {
		p.reportLeak(LeakInfo{p.cfg.Name, *h, true}, "a lease that might have been leaked has ended")
	}
	for _, f := range r.suspects {
		if h, t := p.holder(f); h != nil {
			h.Stack = t.stack()
			p.keeper.seen[f.slot.index].suspect = h
			p.reportLeak(LeakInfo{p.cfg.Name, *h, false}, "a lease may be leaked: it has lasted for LeakAfter")
		}
	}
}

// holder is holderLocked for a lease that a sweep has found. It returns nil if the
// lease has ended since.
func (p *Pool[C]) holder(f found[C]) (*Holder, *watch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !f.slot.load().isLease(f.word) {
		return nil, nil
	}
	h, t := p.holderLocked(f.slot, f.word, p.now())
	return &h, t
}

// reportLeak reports a leak to the log and to Trace.
func (p *Pool[C]) reportLeak(l LeakInfo, message string) {
	defer p.logPanic("Trace.Leak failed")
	p.log.Info(message, "age", l.Age, "uses", l.Uses, "peer", l.Peer, "stack", l.Stack)
	if p.cfg.Trace.Leak != nil {
		p.cfg.Trace.Leak(l)
	}
}
