package pool

import (
	"context"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// Acquire returns a lease of a live connection. It takes an idle one, the
// last used first as far as that costs nothing; else it joins the queue, which
// is served in order of arrival, and gets what comes first: a connection that
// is released, one that passed its check, or a new one. Dead connections on
// the way are discarded and the next is tried.
//
// It blocks until then, until ctx ends or AcquireTimeout passes, or until a
// Connect fails that began after it had joined the queue; the oldest callers
// first see whether a connection that is being checked will do. ctx bounds the
// wait alone: a Connect that is under way goes on, for the next caller. All
// errors are [*AcquireError].
//
// The lease must be ended by Release, Discard or Hijack.
func (p *Pool[C]) Acquire(ctx context.Context) (Lease[C], error) {
	if p.gate.Load() == 0 && ctx.Err() == nil {
		if l := p.claim(); l.slot != nil && l.ready() {
			return l, nil
		} else if l.slot != nil {
			return p.acquire(ctx, l)
		}
	}
	return p.acquire(ctx, Lease[C]{})
}

// TryAcquire is Acquire without the wait: it returns false if no connection is
// idle and known to be alive. It then starts what Acquire would start, a check
// or a Connect, so that a later call may succeed. It blocks as long as
// ResetSession and OnAcquire do.
func (p *Pool[C]) TryAcquire() (Lease[C], bool) {
	for p.gate.Load() == 0 {
		l := p.claim()
		if l.slot == nil {
			p.prompt()
			break
		}
		if l.ready() {
			return l, true
		}
		first := l.isFirst()
		err := p.prepare(context.Background(), l)
		if err == nil {
			return l, true
		}
		if first || !driver.IsBad(err) {
			break
		}
	}
	return Lease[C]{}, false
}

// claim takes an idle connection without any lock; a zero lease if it sees
// none. It tries the one last released on this CPU, which is warm and which
// nobody else is likely to want, and then the lowest, so that those not needed
// stay unused and grow old enough for MaxIdleTime.
func (p *Pool[C]) claim() Lease[C] {
	if s, ok := p.hint.Get().(*slot[C]); ok {
		if w, ok := s.claim(); ok {
			return Lease[C]{s, w, s.conn}
		}
	}
	slots := *p.slots.Load()
	for i := p.list.next(0); i >= 0 && i < len(slots); i = p.list.next(i + 1) {
		s := slots[i]
		if w, ok := s.claim(); ok {
			return Lease[C]{s, w, s.conn}
		}
	}
	return Lease[C]{}
}

// acquire is Acquire beyond the fast path. l is a connection claimed already,
// or zero.
func (p *Pool[C]) acquire(ctx context.Context, l Lease[C]) (Lease[C], error) {
	began := p.now()
	for again := false; ; again = true {
		if l.slot == nil {
			var err error
			if l, err = p.wait(ctx, began, again); err != nil {
				return Lease[C]{}, p.acquireError(ctx, err, began)
			}
		}
		first := l.isFirst()
		err := p.prepare(ctx, l)
		if err == nil {
			return l, nil
		}
		if first || !driver.IsBad(err) {
			e := p.acquireError(ctx, err, began)
			e.Connect = nil // has nothing to do with it
			return Lease[C]{}, e
		}
		l = Lease[C]{}
	}
}

// wait joins the queue and blocks until it is served. again says that the
// caller has been served before, with a dead connection: it keeps its place.
// The error is bare.
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
	w.began, w.joined = began, began
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

// joinLocked adds w to the queue and serves it at once if that can be done,
// or turns it away.
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
	p.serveLocked()
	if !w.queued {
		return nil
	}
	if err := p.turnAwayLocked(again); err != nil {
		p.dequeueLocked(w)
		return err
	}
	p.total.waits++
	p.armExpiryLocked()
	return nil
}

// turnAwayLocked says why the caller who has just joined must not wait, or nil.
// One who was served a dead connection had its place before MaxWaiters was full.
func (p *Pool[C]) turnAwayLocked(again bool) error {
	switch {
	case p.cfg.FailFast && p.max == 0:
		return ErrSuspended
	case p.hopelessLocked():
		return connectFailure{p.outage.err}
	case !again && p.cfg.MaxWaiters > 0 && p.queue.len-p.comingLocked()-p.pinging > p.cfg.MaxWaiters:
		p.total.rejected++
		return ErrTooManyWaiters
	}
	return nil
}

// leave takes w out of the queue because its context ended. If it has been
// served meanwhile, the connection goes on to the next.
func (p *Pool[C]) leave(w *waiter[C], err error) error {
	p.mu.Lock()
	queued := w.queued
	if queued {
		p.dequeueLocked(w)
		p.total.waited += p.now() - w.joined
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
	if _, ok := l.slot.grab(l.word); ok { // not by Release: no holder has had it
		p.mu.Lock()
		p.total.unserved++
		p.putBackLocked(l.slot, reason{}, true)
		p.mu.Unlock()
	}
	return err
}

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

// settleLocked takes w out of the queue and wakes it, with its lease or its
// error.
func (p *Pool[C]) settleLocked(w *waiter[C], l Lease[C], err error) {
	p.dequeueLocked(w)
	p.total.waited += p.now() - w.joined
	w.settle(l, err)
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
		p.settleLocked(w, Lease[C]{}, ErrTimeout)
	}
	p.armExpiryLocked()
}
