package pool

import (
	"slices"

	"github.com/hotline-go/hotline/driver"
)

// trackLocked makes t track the connections of the pool until the pool is closed.
func (p *Pool[C]) trackLocked(t driver.Tracker) {
	p.tracked, p.forget = t.Ended, t.Forget
	p.goLocked(func() { // ends soon after the pool is closed
		defer p.logPanic("the connector failed to track its connections")
		t.Track(p.ctx, p.replaceIf)
	})
}

// ended reports to the connector that raw is closed. It must not be called under mu.
func (p *Pool[C]) ended(raw driver.Conn, useless bool) {
	if p.tracked == nil {
		return
	}
	defer p.logPanic("the connector failed to record the end of a connection")
	p.tracked(raw, useless)
}

// forgetFailures makes the connector forget failures. It must not be called under mu.
func (p *Pool[C]) forgetFailures() {
	if p.forget == nil {
		return
	}
	defer p.logPanic("the connector failed to forget failures")
	p.forget()
}

// replaceIf ends the lifetime of the connections for which match returns true, so
// that the keeper replaces them. It calls match without a lock.
func (p *Pool[C]) replaceIf(match func(driver.Conn) bool) {
	hits := p.matching(func(o opened[C]) bool { return match(o.raw) })
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range hits {
		s := o.slot
		if o.isThereLocked() && !s.load().has(retire) && !p.beingReplacedLocked(s) {
			s.why = outOfDate
			s.expires.Store(int64(max(p.now(), 1))) // 0 means never
		}
	}
	p.sweepAtLocked(p.now())
}

// beingReplacedLocked reports whether an attempt will replace the connection of s.
func (p *Pool[C]) beingReplacedLocked(s *slot[C]) bool {
	return slices.ContainsFunc(p.attempts, func(a *attempt[C]) bool { return a.old == s && a.oldBorn == s.born })
}
