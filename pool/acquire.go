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
	for _, s := range *p.slots.Load() {
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

// prepare makes a claimed connection ready for its holder: ResetSession unless
// it comes straight from Connect, then OnAcquire. It discards the connection if one of them fails,
// panics or exits.
func (p *Pool[C]) prepare(ctx context.Context, l Lease[C]) error {
	err := errExited
	defer func() {
		if err == nil {
			return
		}
		defer l.Discard(err) // also if a method of err panics

		dead := driver.IsBad(err) && ctx.Err() == nil // the end of ctx says nothing about the others
		p.mu.Lock()
		p.total.unserved++
		if dead {
			p.suspectLocked()
		}
		p.mu.Unlock()
	}()
	err = p.runReady(ctx, l)
	return err
}

// runReady is what prepare guards.
func (p *Pool[C]) runReady(ctx context.Context, l Lease[C]) error {
	raw := any(l.conn).(driver.Conn) // not slot.raw, which Shutdown may take away
	if l.word.has(resets) && !l.isFirst() {
		bounded := &boundedContext{Context: ctx, limit: p.cfg.PingTimeout}
		defer bounded.release()
		if err := raw.(driver.SessionResetter).ResetSession(bounded); err != nil {
			return err
		}
	}
	if p.cfg.OnAcquire != nil {
		return p.cfg.OnAcquire(ctx, raw)
	}
	return nil
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
	if err := p.joinLocked(w, again); err != nil {
		p.mu.Unlock()
		return Lease[C]{}, err
	}
	p.mu.Unlock()
	select {
	case <-w.ready:
		return w.take()
	case <-ctx.Done():
		return Lease[C]{}, p.leave(w, ctx.Err())
	}
}

// take empties a settled waiter, so that it keeps no connection alive.
func (w *waiter[C]) take() (Lease[C], error) {
	l, err := w.lease, w.err
	w.lease, w.err = Lease[C]{}, nil
	return l, err
}

// joinLocked adds w to the queue and serves it at once if that can be done,
// or refuses it.
func (p *Pool[C]) joinLocked(w *waiter[C], again bool) error {
	if p.closed {
		return ErrClosed
	}
	first := p.queue.len == 0
	p.arrivals++
	w.order = p.arrivals
	if first {
		p.exhausted = false
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
	if err := p.refusalLocked(again); err != nil {
		p.dequeueLocked(w)
		return err
	}
	p.total.waits++
	p.armExpiryLocked()
	return nil
}

// refusalLocked says why the caller who has just joined must not wait, or nil.
// One who was served a dead connection had its place before MaxWaiters was full.
func (p *Pool[C]) refusalLocked(again bool) error {
	switch {
	case p.cfg.FailFast && p.max == 0:
		return ErrSuspended
	case p.refusesLocked():
		return connectFailure{p.dial.lastErr}
	case !again && p.cfg.MaxWaiters > 0 && p.queue.len-p.hopefulLocked()-p.checking > p.cfg.MaxWaiters:
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
		p.putBackLocked(l.slot, nil, true)
		p.mu.Unlock()
	}
	return err
}
