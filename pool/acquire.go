package pool

import (
	"context"
	"fmt"
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
// Connect fails that began after it had joined the queue. ctx bounds the wait
// alone: a Connect that is under way goes on, for the next caller. All errors
// are [*AcquireError].
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
		if l.ready() || p.prepare(context.Background(), l) == nil {
			return l, true
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
		used := l.uses() > 1
		err := p.prepare(ctx, l)
		if err == nil {
			return l, nil
		}
		if !used || !driver.IsBad(err) || ctx.Err() != nil {
			return Lease[C]{}, p.acquireError(ctx, err, began)
		}
		l = Lease[C]{}
	}
}

// prepare makes a claimed connection ready for its holder: ResetSession unless
// it is new, then OnAcquire. It discards the connection if one of them fails,
// panics or exits.
func (p *Pool[C]) prepare(ctx context.Context, l Lease[C]) error {
	err := errExited
	defer func() {
		if err != nil {
			p.mu.Lock()
			p.total.unserved++
			p.mu.Unlock()
			l.Discard(err)
		}
	}()
	err = p.runReady(ctx, l)
	return err
}

// runReady is what prepare guards.
func (p *Pool[C]) runReady(ctx context.Context, l Lease[C]) error {
	raw := any(l.conn).(driver.Conn) // not slot.raw, which Shutdown may take away
	if l.word.has(resets) && l.uses() > 1 {
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
// caller has been served before, with a dead connection: it goes to the front.
// The error is bare.
func (p *Pool[C]) wait(ctx context.Context, began time.Duration, again bool) (Lease[C], error) {
	if err := ctx.Err(); err != nil {
		return Lease[C]{}, err
	}
	w, ok := p.waiters.Get().(*waiter[C])
	if !ok {
		w = &waiter[C]{ready: make(chan struct{}, 1)}
	}
	defer p.waiters.Put(w)
	w.joined = began
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
	if again && !first {
		w.order = p.queue.head.order
		p.queue.pushFront(w)
		p.expirySet = false // its deadline comes before that of the head until now
	} else {
		p.queue.pushBack(w)
	}
	p.gateLocked()
	p.serveLocked()
	if !w.queued {
		return nil
	}
	if err := p.refusalLocked(); err != nil {
		p.dequeueLocked(w)
		return err
	}
	p.total.waits++
	p.armExpiryLocked()
	return nil
}

// refusalLocked says why the caller who has just joined must not wait, or nil.
func (p *Pool[C]) refusalLocked() error {
	switch {
	case p.cfg.FailFast && p.max == 0:
		return ErrSuspended
	case p.dial.refuses(p.now(), p.cfg.FailFast) && p.connecting+p.checking == 0:
		return connectFailure{p.dial.lastErr}
	case p.cfg.MaxWaiters > 0 && p.queue.len-p.connecting-p.checking > p.cfg.MaxWaiters:
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
	p.mu.Lock()
	p.total.unserved++
	p.mu.Unlock()
	l.Release()
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

// deliverLocked gives the connection of s to the oldest waiter. The caller
// owns s.
func (p *Pool[C]) deliverLocked(s *slot[C], from word) bool {
	to := from.next(leased)
	if !s.move(from, to) {
		return false
	}
	w := p.queue.head
	w.lease = Lease[C]{s, to, s.conn}
	p.settledLocked(w)
	return true
}

// failLocked gives err to w.
func (p *Pool[C]) failLocked(w *waiter[C], err error) {
	w.err = err
	p.settledLocked(w)
}

// settledLocked wakes w, which has its lease or its error.
func (p *Pool[C]) settledLocked(w *waiter[C]) {
	p.dequeueLocked(w)
	p.total.waited += p.now() - w.joined
	w.ready <- struct{}{} // holds one, so this never blocks
}

// match serves the waiters after a connection became idle without mu. Whoever
// publishes one so looks at the gate afterwards, and a waiter looks for idle
// ones after it has raised the gate: one of the two sees the other.
func (p *Pool[C]) match() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		p.evictIdleLocked(ErrClosed)
		return
	}
	p.exhausted = false
	p.serveLocked()
}

// serveLocked gives the waiters, oldest first, what is idle, checks what needs
// a check, and connects for the rest.
func (p *Pool[C]) serveLocked() {
	for p.queue.len > 0 && !p.exhausted {
		s, w := p.findIdleLocked()
		switch {
		case s == nil:
			p.exhausted = true
		case w.is(idle):
			p.deliverLocked(s, w) // lost to the keeper or a late fast path: look again
		case p.queue.len > p.checking: // whatever is connecting: a check is sooner done
			p.startCheckLocked(s, w)
		default:
			p.fillLocked()
			return // enough checks are under way
		}
	}
	p.fillLocked()
}

// supplyLocked is how many waiters are going to be served by what is under way.
// In doubt, after a failed check, a check counts for nothing.
func (p *Pool[C]) supplyLocked() int {
	if p.keeper.doubt {
		return p.connecting
	}
	return p.connecting + p.checking
}

// findIdleLocked returns the lowest idle slot that needs no check, else the
// lowest that does, else nil.
func (p *Pool[C]) findIdleLocked() (*slot[C], word) {
	var found *slot[C]
	var state word
	for _, s := range *p.slots.Load() {
		w := s.load()
		if w.phase() != idle {
			continue
		}
		if w.is(idle) {
			return s, w
		}
		if found == nil {
			found, state = s, w
		}
	}
	return found, state
}

// prompt starts a check of an idle connection or a Connect, for TryAcquire.
func (p *Pool[C]) prompt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	s, w := p.findIdleLocked()
	switch {
	case s != nil && !w.is(idle) && p.checking == 0:
		p.startCheckLocked(s, w)
	case s == nil && p.supplyLocked() == 0 && p.mayConnectLocked():
		p.startConnectLocked(nil)
	}
}

// acquireError is the error of an Acquire that began at began.
func (p *Pool[C]) acquireError(ctx context.Context, cause error, began time.Duration) error {
	p.mu.Lock()
	e := &AcquireError{
		Pool: p.cfg.Name, Cause: cause, Connect: p.dial.lastErr, Waited: p.now() - began,
		MaxOpen: p.max, Open: p.open, Connecting: p.connecting, Closing: p.closing, Waiting: p.queue.len,
	}
	p.mu.Unlock()
	e.Leased = min(p.count(leased), e.Open)
	e.Idle = e.Open - e.Leased
	if failed, ok := cause.(connectFailure); ok {
		e.Cause, e.Connect = failed.error, failed.error
	}
	if cause == ctx.Err() && context.Cause(ctx) != cause {
		e.Cause = fmt.Errorf("%w: %w", cause, context.Cause(ctx))
	}
	return e
}

// armExpiryLocked sees to it that somebody looks at the oldest waiter when its
// AcquireTimeout passes. One timer does for all: the queue is in the order of
// the deadlines.
func (p *Pool[C]) armExpiryLocked() {
	if p.cfg.AcquireTimeout < 0 || p.expirySet || p.queue.head == nil {
		return
	}
	p.expirySet = true
	d := p.queue.head.joined + p.cfg.AcquireTimeout - p.now()
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
	for w := p.queue.head; w != nil && p.now()-w.joined >= p.cfg.AcquireTimeout; w = p.queue.head {
		p.total.timeouts++
		p.failLocked(w, ErrTimeout)
	}
	p.armExpiryLocked()
}
