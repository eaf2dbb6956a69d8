package pool

import (
	"context"
	"time"
)

// wait joins the queue and blocks until it is served. again says that the caller
// has already been served, with a dead connection: it gets its place back. The
// error is not yet an AcquireError.
func (p *Pool[C]) wait(ctx context.Context, began time.Duration, again bool) (Lease[C], error) {
	if err := ctx.Err(); err != nil {
		return Lease[C]{}, err
	}
	if limit := p.cfg.AcquireTimeout; again && limit >= 0 && p.now()-began >= limit {
		p.mu.Lock()
		p.total.timeouts++
		p.mu.Unlock()
		return Lease[C]{}, ErrTimeout
	}
	w, ok := p.waiters.Get().(*waiter[C])
	if !ok {
		w = &waiter[C]{ready: make(chan struct{}, 1)}
	}
	defer p.waiters.Put(w)
	w.crowded = false
	w.ctx, w.began, w.joined = ctx, began, began
	if again {
		w.joined = p.now()
	}
	p.mu.Lock()
	err := p.joinLocked(w, again)
	p.mu.Unlock()
	if err != nil {
		return Lease[C]{}, err
	}
	select {
	case <-w.ready:
		return w.take()
	case <-ctx.Done():
		return Lease[C]{}, p.leave(w, ctx.Err())
	}
}

// joinLocked adds w to the queue and serves it at once if possible. It returns an
// error if w must not wait.
func (p *Pool[C]) joinLocked(w *waiter[C], again bool) error {
	if p.closed {
		return ErrClosed
	}
	if again {
		p.queue.insert(w)
		p.expirySet = false // its deadline may come before that of the head until now
	} else {
		p.queue.pushBack(w)
	}
	p.gateLocked()
	p.joining = w
	p.serveLocked()
	p.joining = nil
	if !w.queued {
		return nil
	}
	if err := p.turnAwayLocked(again); err != nil {
		p.dequeueLocked(w)
		return err
	}
	w.crowded = p.crowdedOutLocked() > 0
	p.total.waits++
	if w.crowded {
		p.total.releaseWaits++
	}
	p.armExpiryLocked()
	return nil
}

// turnAwayLocked returns why the caller that has just joined must not wait, or
// nil. MaxWaiters does not apply again to a caller that got a dead connection.
func (p *Pool[C]) turnAwayLocked(again bool) error {
	switch {
	case p.cfg.FailFast && p.max == 0:
		return ErrSuspended
	case !again && p.cfg.MaxWaiters != 0 && p.crowdedOutLocked() > max(p.cfg.MaxWaiters, 0):
		p.total.rejected++
		return ErrTooManyWaiters
	}
	return nil
}

// crowdedOutLocked returns how many waiters only a release can serve: those for
// which there is neither room to connect nor a connection being pinged.
func (p *Pool[C]) crowdedOutLocked() int {
	room := p.outage.atMost(p.max) - p.openLocked()
	return p.queue.len - max(room, p.comingLocked(), 0) - p.pinging
}

// leave takes w out of the queue because its context ended. If w has been served
// in the meantime, its connection goes to the next waiter.
func (p *Pool[C]) leave(w *waiter[C], err error) error {
	p.mu.Lock()
	queued := w.queued
	if queued {
		p.dequeueLocked(w)
		p.total.canceled++
	}
	p.mu.Unlock()
	if queued {
		return err
	}
	<-w.ready
	l, late := w.take()
	if late != nil {
		return late
	}
	if _, ok := l.slot.grab(l.word); ok { // not by Release, because it never had a holder
		p.mu.Lock()
		p.total.unserved++
		p.putBackLocked(l.slot, reason{}, true)
		p.mu.Unlock()
	}
	return err
}

// gateLocked sets the gate from the queue and closed.
func (p *Pool[C]) gateLocked() {
	g := int32(min(p.queue.len, closedGate-1))
	if p.closed {
		g = closedGate
	}
	p.gate.Store(g)
}

// dequeueLocked takes w out of the queue and counts its wait. The caller settles
// w.
func (p *Pool[C]) dequeueLocked(w *waiter[C]) {
	p.queue.remove(w)
	p.gateLocked()
	waited := p.now() - w.joined
	p.total.waited += waited
	if w.crowded {
		p.total.releaseWaited += waited
	}
	w.ctx = nil
}

// settleLocked takes w out of the queue and wakes it with its lease or its error.
func (p *Pool[C]) settleLocked(w *waiter[C], l Lease[C], err error) {
	p.dequeueLocked(w)
	w.settle(l, err)
}

// armExpiryLocked sets the timer for the AcquireTimeout of the oldest waiter. One
// timer is enough, because the queue is in the order of the deadlines.
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
		p.settleLocked(w, Lease[C]{}, ErrTimeout)
	}
	p.armExpiryLocked()
}
