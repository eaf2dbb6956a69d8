package pool

import (
	"context"

	"github.com/hotline-go/hotline/driver"
)

// Reset closes every connection, without blocking: idle ones now, leased ones when
// they are released. It cancels the Connects in progress and forgets connect failures,
// including those of single servers (package driver/endpoints), so new Connects start
// at once. Waiters stay in the queue; with a Gate, the Connects for them line up again.
// Use Reset after credentials have changed or a server has moved.
func (p *Pool[C]) Reset() {
	p.forgetFailures()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.epoch++
	p.endConnects()
	p.connects, p.endConnects = context.WithCancel(p.ctx)
	p.outage, p.beyond, p.keeper.owed = outage{backoff: p.cfg.Backoff}, pace{}, 0
	p.simplifyLocked()
	for _, s := range *p.slots.Load() {
		p.retireLocked(s, outOfDate)
	}
	p.serveLocked()
}

// ResetIf closes the connections for which match returns true, without blocking:
// idle ones now, leased ones when they are released. It returns their number. Other
// connections, waiters, Connects in progress and the backoff stay as they are. Use
// ResetIf when one of several servers (package driver/endpoints) turns out to be unfit,
// such as a demoted primary.
//
// match is called once for each open connection, in the calling goroutine and
// without a lock. The connection may be in use, so match should read only data that
// does not change, such as an address.
func (p *Pool[C]) ResetIf(match func(C) bool) (n int) {
	hits := p.matching(func(o opened[C]) bool { return match(o.conn) })
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range hits {
		if o.isThereLocked() && p.retireLocked(o.slot, outOfDate) {
			n++
		}
	}
	p.serveLocked()
	return n
}

// opened is an open connection of the pool, with its slot.
type opened[C any] struct {
	slot *slot[C]
	born uint64 // slot.born of the connection
	conn C
	raw  driver.Conn
}

// isThereLocked reports whether the connection is still in the slot.
func (o opened[C]) isThereLocked() bool { return o.slot.born == o.born }

// matching returns the open connections for which match, called without mu, returns
// true.
func (p *Pool[C]) matching(match func(opened[C]) bool) (hits []opened[C]) {
	var all []opened[C]
	p.mu.Lock()
	for _, s := range *p.slots.Load() {
		if ph := s.load().phase(); ph == idle || ph == leased || ph == held {
			all = append(all, opened[C]{s, s.born, s.conn, s.raw})
		}
	}
	p.mu.Unlock()
	for _, o := range all {
		if match(o) {
			hits = append(hits, o)
		}
	}
	return hits
}
