package pool

import "context"

// Acquire returns a lease of a live connection. It takes an idle one, preferring
// the last used where that costs nothing; else it joins the queue, which is
// served in order of arrival, and gets what comes first: a connection that is
// released, one that passed its check, or a new one. It discards dead connections
// on the way and tries the next.
//
// It blocks until then, or until ctx ends, AcquireTimeout passes, or connecting
// fails and no connection of the pool may serve the caller; the package doc has
// the details. ctx bounds only the wait: a Connect in progress goes on, for the
// next caller. All errors are [*AcquireError].
//
// The lease must be ended by Release, Discard or Hijack.
func (p *Pool[C]) Acquire(ctx context.Context) (Lease[C], error) {
	if p.gate.Load() != 0 || ctx.Err() != nil {
		return p.acquire(ctx, Lease[C]{})
	}
	l := p.claim()
	if l.slot != nil && l.ready() {
		return l, nil
	}
	return p.acquire(ctx, l)
}

// TryAcquire is Acquire without the wait. If no connection is idle and known to
// be alive, it returns [ErrNoneIdle] as it is, and starts what Acquire would
// start, a check or a Connect, so that a later call may succeed. Other errors
// are [*AcquireError]: the pool is closed or suspended, OnAcquire failed, or
// connecting failed and Acquire would return that error at once. TryAcquire
// blocks as long as ResetSession and OnAcquire do.
func (p *Pool[C]) TryAcquire() (Lease[C], error) {
	for p.gate.Load() == 0 {
		l := p.claim()
		if l.slot == nil {
			break
		}
		if l.ready() {
			return l, nil
		}
		began := p.now()
		again, err := p.prepare(context.Background(), l)
		if err == nil {
			return l, nil
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
		more, err := p.prepare(ctx, l)
		if err == nil {
			return l, nil
		}
		if !more {
			return Lease[C]{}, p.prepareError(ctx, err, began)
		}
		l = Lease[C]{}
	}
}

// prompt starts a check of an idle connection or a Connect, for TryAcquire. It
// returns an error if Acquire would fail at once or, where the pool is suspended,
// could only wait.
func (p *Pool[C]) prompt() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, w := p.findIdleLocked()
	switch {
	case p.closed:
		return ErrClosed
	case p.max == 0:
		return ErrSuspended
	case p.outage.err != nil && s == nil && !p.hopeLocked() && p.refusesLocked():
		return connectFailure{p.outage.err}
	case s != nil && !w.is(idle) && p.asked == 0:
		p.startCheckLocked(s, w)
	case s == nil && p.maxIdle != 0 && p.supplyLocked() == 0 && p.mayConnectLocked():
		p.startConnectLocked(nil)
	}
	return nil
}
