package pool

import "context"

// Acquire returns a lease of a live connection. It takes an idle connection if there
// is one, preferably the one released last. Otherwise it joins the queue, which is
// served in order of arrival, and gets the first connection that becomes available:
// one that is released, one that passed its check, or a new one. If the connection
// turns out to be dead, Acquire discards it and tries the next one.
//
// Acquire blocks until it has a connection, ctx ends, AcquireTimeout passes, or
// connecting fails and no connection of the pool may serve the caller; see "When
// connecting fails" in the package doc. ctx bounds only the wait: a Connect in
// progress continues, for the next caller. All errors are [*AcquireError].
//
// The caller must end the lease with Release, End, Discard or Hijack.
func (p *Pool[C]) Acquire(ctx context.Context) (Lease[C], error) {
	if p.gate.Load() != 0 || ctx.Err() != nil {
		return p.acquire(ctx, Lease[C]{})
	}
	l := p.claim()
	if l.slot != nil && p.ready(l) {
		return l, nil
	}
	return p.acquire(ctx, l)
}

// TryAcquire is Acquire without the wait. If no connection is idle and known to
// be alive, it returns [ErrNoneIdle], not wrapped. It also starts the check or the
// Connect that Acquire would start, so that a later call may succeed. All other
// errors are [*AcquireError]: the pool is closed or suspended, OnAcquire failed, or
// connecting failed and Acquire would return that error at once. TryAcquire blocks
// only while ResetSession and OnAcquire run.
func (p *Pool[C]) TryAcquire() (Lease[C], error) {
	for p.gate.Load() == 0 {
		l := p.claim()
		if l.slot == nil {
			break
		}
		if p.ready(l) {
			return l, nil
		}
		began := p.now()
		again, err := p.prepare(context.Background(), l)
		if err == nil {
			return p.watched(l), nil
		}
		if !again {
			return Lease[C]{}, p.prepareError(context.Background(), err, began)
		}
	}
	if err := p.prompt(); err != nil {
		return Lease[C]{}, p.acquireError(context.Background(), err, p.now())
	}
	return Lease[C]{}, ErrNoneIdle
}

// claim leases an idle connection without a lock. It returns the zero Lease if it sees
// none. It first tries the connection last released on this CPU, which is warm and
// probably not contended. Then it tries the slots from the lowest up, so that surplus
// connections stay unused until MaxIdleTime.
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

// acquire is the slow path of Acquire. l is the lease of a connection already claimed,
// or zero.
func (p *Pool[C]) acquire(ctx context.Context, l Lease[C]) (Lease[C], error) {
	began := p.now()
	for again := false; ; again = true {
		traced := ctx
		if l.slot == nil {
			var err error
			if l, traced, err = p.wait(ctx, began, again); err != nil {
				return Lease[C]{}, p.acquireError(ctx, err, began)
			}
		}
		more, err := p.prepare(traced, l)
		if err == nil {
			return p.watched(l), nil
		}
		if !more {
			return Lease[C]{}, p.prepareError(ctx, err, began)
		}
		l = Lease[C]{}
	}
}

// prompt starts a check of an idle connection or a Connect, for TryAcquire. It
// returns an error if Acquire would fail at once, or if the pool is suspended.
func (p *Pool[C]) prompt() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, w := p.findIdleLocked()
	switch {
	case p.closed:
		return ErrClosed
	case p.max == 0:
		return ErrSuspended
	case p.outage.err != nil && s == nil && !p.mayStillServeLocked() && p.refusesLocked():
		return connectFailure{p.outage.err}
	case s != nil && !w.is(idle) && p.asked == 0:
		p.startCheckLocked(s, w)
	case s == nil && p.maxIdle != 0 && p.supplyLocked() == 0 && p.mayConnectLocked():
		p.startConnectLocked(nil)
	}
	return nil
}
