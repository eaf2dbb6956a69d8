package pool

import (
	"context"
	"time"
)

// wait joins the queue and blocks until the caller is served. again means that the
// caller has been served before, with a dead connection, so it gets its place back. wait
// also returns the context to use from then on: the one from Trace.Wait, or else ctx.
// Its error is not yet an AcquireError.
func (p *Pool[C]) wait(ctx context.Context, began time.Duration, again bool) (Lease[C], context.Context, error) {
	if err := ctx.Err(); err != nil {
		return Lease[C]{}, ctx, err
	}
	if limit := p.cfg.AcquireTimeout; again && limit >= 0 && p.now()-began >= limit {
		p.mu.Lock()
		p.total.timeouts++
		p.mu.Unlock()
		return Lease[C]{}, ctx, ErrTimeout
	}
	if p.cfg.Trace.Wait != nil {
		return p.traceWait(ctx, began, again)
	}
	l, err := p.queueUp(ctx, ctx, began, again)
	return l, ctx, err
}

// traceWait is queueUp with Trace.Wait.
func (p *Pool[C]) traceWait(ctx context.Context, began time.Duration, again bool) (l Lease[C], traced context.Context, err error) {
	others := p.gate.Load() % closedGate
	traced, end := begin(ctx, p.cfg.Trace.Wait, WaitStart{p.cfg.Name, int(others) + 1})
	joined := p.now()
	l, err = p.queueUp(ctx, traced, began, again)
	if end == nil {
		return l, traced, err
	}
	ended := false
	defer func() {
		if !ended && err == nil {
			p.mu.Lock()
			p.total.unserved++
			p.mu.Unlock()
			l.Discard(errExited)
		}
	}()
	end(WaitEnd{p.now() - joined, plainCause(ctx, err)})
	ended = true
	return l, traced, err
}

// queueUp is wait without Trace.Wait. A Connect for this caller gets the values of
// traced.
func (p *Pool[C]) queueUp(ctx, traced context.Context, began time.Duration, again bool) (Lease[C], error) {
	w, ok := p.waiters.Get().(*waiter[C])
	if !ok {
		w = &waiter[C]{ready: make(chan struct{}, 1)}
	}
	defer p.waiters.Put(w)
	w.counted, w.crowded = false, false
	w.ctx, w.began, w.joined, w.due, w.holds = traced, began, began, p.dueAt(ctx, began), 0
	if p.nests.Load() {
		w.holds = p.heldBy(ctx)
	}
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

// dueAt returns when a caller whose Acquire began at began gives up; zero means never.
func (p *Pool[C]) dueAt(ctx context.Context, began time.Duration) time.Time {
	due, ok := ctx.Deadline()
	if p.cfg.AcquireTimeout < 0 {
		return due
	}
	if limit := p.start.Add(began + p.cfg.AcquireTimeout); !ok || limit.Before(due) {
		return limit
	}
	return due
}

// joinLocked adds w to the queue and serves it at once if possible. It returns an
// error if w must not wait.
func (p *Pool[C]) joinLocked(w *waiter[C], again bool) error {
	if p.closed {
		return ErrClosed
	}
	if again {
		p.queue.insert(w)
		p.expirySet = false // the deadline of w may be earlier than that of the previous head
	} else {
		p.queue.pushBack(w)
	}
	p.setGateLocked()
	p.joining = w
	p.serveLocked()
	p.joining = nil
	if !w.queued {
		return nil
	}
	if err := p.turnAwayLocked(w, again); err != nil {
		p.dequeueLocked(w)
		return err
	}
	w.counted, w.crowded = true, p.crowdedOutLocked() > 0
	p.total.waiters++
	if w.crowded {
		p.total.releaseWaits++
	}
	p.armExpiryLocked()
	return nil
}

// turnAwayLocked returns why w, which has just joined, must not wait, or nil if it may.
// MaxWaiters does not apply to a caller that joins again after a dead connection.
func (p *Pool[C]) turnAwayLocked(w *waiter[C], again bool) error {
	switch {
	case p.cfg.FailFast && p.max == 0:
		return ErrSuspended
	case w.holds > 0 && w.holds >= p.max && p.max > 0:
		return ErrNested
	case !again && p.cfg.MaxWaiters != 0 && p.crowdedOutLocked() > max(p.cfg.MaxWaiters, 0):
		p.total.rejected++
		return ErrTooManyWaiters
	}
	return nil
}

// crowdedOutLocked returns how many waiters only a release can serve: there is neither
// room to connect for them nor a connection being pinged.
func (p *Pool[C]) crowdedOutLocked() int {
	room := p.outage.atMost(p.max) - p.openLocked()
	return p.queue.len - max(room, p.comingLocked(), 0) - p.pinging
}

// leave takes w out of the queue because its context has ended with err. If w has been
// served in the meantime, its connection goes to the next waiter.
func (p *Pool[C]) leave(w *waiter[C], err error) error {
	p.mu.Lock()
	queued := w.queued
	if queued {
		err = p.endOfWaitLocked(err)
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
	_, ok := l.slot.grab(l.word) // not Release, because no caller has held the lease
	p.mu.Lock()
	p.total.unserved++
	if ok {
		p.putBackLocked(l.slot, reason{}, fromPool)
	}
	p.mu.Unlock()
	l.endCut()
	return err
}

// setGateLocked sets gate from queue and closed.
func (p *Pool[C]) setGateLocked() {
	g := int32(min(p.queue.len, closedGate-1))
	if p.closed {
		g = closedGate
	}
	p.gate.Store(g)
}

// dequeueLocked takes w out of the queue and counts its wait. It does not settle w.
func (p *Pool[C]) dequeueLocked(w *waiter[C]) {
	p.queue.remove(w)
	p.setGateLocked()
	waited := p.now() - w.joined
	if w.counted {
		p.total.waits.add(waited)
	}
	if w.crowded {
		p.total.releaseWaited += waited
	}
	w.ctx = nil
	p.callOffLocked()
}

// settleLocked takes w out of the queue and wakes it with its lease or its error.
func (p *Pool[C]) settleLocked(w *waiter[C], l Lease[C], err error) {
	p.dequeueLocked(w)
	w.settle(l, err)
}

// armExpiryLocked sets the timer for the AcquireTimeout of the oldest waiter. One
// timer is enough, because the waiters are in the order of their deadlines.
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
		p.settleLocked(w, Lease[C]{}, p.endOfWaitLocked(ErrTimeout))
	}
	p.armExpiryLocked()
}
