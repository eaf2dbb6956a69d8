package pool

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"time"

	"github.com/hotline-go/hotline/driver"
)

const (
	// grace is how long a Connect or a Ping may overrun its context before the
	// pool goes on without it.
	grace = 100 * time.Millisecond

	// leastHang is the least time after which a Connect may count as hanging:
	// between quick ones, twice as long means nothing.
	leastHang = 50 * time.Millisecond
)

// attempt is one Connect under way, a member of Pool.attempts. Guarded by
// Pool.mu.
type attempt[C any] struct {
	slot  *slot[C]
	began time.Duration
	seq   uint64 // of its start
	order uint64 // waiters that came no later have waited through all of it
	epoch uint64 // Pool.epoch when it began
	probe bool   // it tries whether a full server has room again
	late  bool   // its failure was reported before its end, because that did not come

	// The connection that this one replaces, by slot and birth, or nil.
	old     *slot[C]
	oldBorn uint64
}

// success is the last Connect that worked.
type success struct {
	took    time.Duration
	started uint64 // Pool.started at its end
}

// hangsAt is when a counts as hanging, so that others are started in its place:
// when it has taken a quarter of ConnectTimeout, or twice as long as a Connect
// that has succeeded since a began.
func (p *Pool[C]) hangsAt(a *attempt[C]) time.Duration {
	after := p.cfg.ConnectTimeout / 4
	if a.seq <= p.lastSuccess.started {
		after = min(after, max(2*p.lastSuccess.took, leastHang))
	}
	return a.began + after
}

// hangs reports whether a hangs at the time now.
func (p *Pool[C]) hangs(a *attempt[C], now time.Duration) bool { return now >= p.hangsAt(a) }

// startConnectLocked starts a Connect. old is the slot of the connection that
// the new one replaces, or nil.
func (p *Pool[C]) startConnectLocked(old *slot[C]) {
	now := p.now()
	probe := p.outage.starting(now, p.occupiedLocked())
	p.stepBeyondLocked(now)
	p.started++
	a := &attempt[C]{
		slot: p.takeFreeLocked(), began: now, seq: p.started, order: p.queue.arrivals, epoch: p.epoch, probe: probe, old: old,
	}
	if old != nil {
		a.oldBorn = old.born
	}
	p.attempts = append(p.attempts, a)
	p.sweepAtLocked(p.hangsAt(a))
	ctx, cancel := p.connectContextLocked(old == nil)
	p.goLocked(func() {
		defer cancel()
		p.connect(ctx, a)
	})
}

// connectContextLocked returns the context of one Connect. It has the values of
// the Acquire that it is for, if any: of the caller who has just joined the
// queue, else of the oldest in it.
func (p *Pool[C]) connectContextLocked(forWaiter bool) (context.Context, context.CancelFunc) {
	w := p.joining
	if w == nil || !w.queued {
		w = p.queue.head
	}
	if w == nil || !forWaiter {
		return context.WithTimeout(p.connects, p.cfg.ConnectTimeout)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), p.cfg.ConnectTimeout)
	stop := context.AfterFunc(p.connects, cancel)
	return ctx, func() { stop(); cancel() }
}

// stepBeyondLocked takes a step of the pace beyond MaxConnecting, or ends it.
func (p *Pool[C]) stepBeyondLocked(now time.Duration) {
	if coming, hanging := p.connectingLocked(); coming+hanging < p.cfg.MaxConnecting {
		p.beyond = pace{}
		return
	}
	p.beyond.step(now, p.cfg.Backoff)
}

// takeFreeLocked returns a slot that is connecting from now on.
func (p *Pool[C]) takeFreeLocked() *slot[C] {
	var s *slot[C]
	if n := len(p.free); n > 0 {
		s, p.free[n-1], p.free = p.free[n-1], nil, p.free[:n-1]
	} else {
		all := *p.slots.Load()
		s = &slot[C]{pool: p, index: len(all)}
		all = append(all, s) // beyond the length that readers have
		p.slots.Store(&all)
		p.list.grow(len(all))
	}
	s.settle(connecting)
	return s
}

// freeLocked takes s, which the caller owns, out of use.
func (p *Pool[C]) freeLocked(s *slot[C]) {
	if !s.load().has(cut) { // else its holder may be reading it
		s.empty()
	}
	s.settle(free)
	p.unlistLocked(s)
	p.free = append(p.free, s)
}

// connect runs one attempt, in a goroutine of its own. It ends when Connect
// and OnConnect do, which is soon after ConnectTimeout or the end of ctx.
func (p *Pool[C]) connect(ctx context.Context, a *attempt[C]) {
	timeout := p.cfg.ConnectTimeout
	overdue := time.AfterFunc(timeout+grace, func() { p.connectOverdue(a) })
	defer overdue.Stop()
	var raw driver.Conn
	var c C
	err := errExited
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v, debug.Stack()}
		}
		if err != nil && ctx.Err() == context.DeadlineExceeded {
			err = fmt.Errorf("ConnectTimeout of %v passed: %w", timeout, err)
		}
		p.connected(a, raw, c, err)
	}()
	raw, err = p.newConn(ctx)
	if err == nil {
		c, err = as[C](raw)
	}
	if err == nil && p.cfg.OnConnect != nil {
		err = errExited
		err = p.cfg.OnConnect(ctx, raw)
	}
}

// as returns raw as a C.
func as[C any](raw driver.Conn) (C, error) {
	c, ok := raw.(C)
	if raw == nil {
		return c, driver.Permanent(errors.New("the driver returned neither a connection nor an error"))
	}
	if !ok {
		return c, driver.Permanent(fmt.Errorf("the driver's connection is a %T, not a %v: open the pool for the type that the driver returns",
			raw, reflect.TypeFor[C]()))
	}
	return c, nil
}

// connectOverdue reports the failure of an attempt whose driver does not obey
// its context. Its slot stays taken, because the server may count the connection.
func (p *Pool[C]) connectOverdue(a *attempt[C]) {
	failed := classify(fmt.Errorf("the driver has not returned from Connect %v after the ConnectTimeout of %v: %w",
		grace, p.cfg.ConnectTimeout, context.DeadlineExceeded))
	p.mu.Lock()
	late := slices.Contains(p.attempts, a) && !p.closed
	if late {
		a.late = true
		p.connectFailedLocked(a, failed)
		p.serveLocked()
	}
	p.mu.Unlock()
	if late {
		p.log.Error(failed.err, "connect failed", "took", p.cfg.ConnectTimeout+grace)
	}
}

// connected ends an attempt.
func (p *Pool[C]) connected(a *attempt[C], raw driver.Conn, c C, err error) {
	took := p.now() - a.began
	failed := classify(err)
	err = failed.err
	p.mu.Lock()
	p.total.connects++
	p.total.connecting += took
	p.replacedLocked(a, err)
	called := p.closed || a.epoch != p.epoch // off, by the pool
	limit := p.outage.atMost(p.max)
	if err != nil && !p.closed && !a.late {
		p.connectFailedLocked(a, failed)
	}
	i := slices.Index(p.attempts, a)
	p.attempts = slices.Delete(p.attempts, i, i+1)
	if err != nil {
		p.abandonLocked(a.slot, raw, err)
	} else {
		p.openedLocked(a, raw, c)
	}
	changed := p.outage.atMost(p.max)
	p.serveLocked()
	p.mu.Unlock()
	switch {
	case err == nil:
		p.log.V(1).Info("connected", "took", took)
		if changed != limit {
			p.log.Info("the server takes more connections again", "limit", changed)
		}
	case called:
	case !failed.full:
		p.log.Error(err, "connect failed", append(stack(err), "took", took)...)
	case changed != limit:
		p.log.Info("the server is full", "limit", changed, "error", err)
	}
}

// replacedLocked retires the connection that a was to replace, or keeps it for
// longer where a failed.
func (p *Pool[C]) replacedLocked(a *attempt[C], err error) {
	old := a.old
	if old == nil || old.born != a.oldBorn {
		return
	}
	if err == nil {
		p.retireLocked(old, tooOld) // before the new one comes, which must not be surplus to MaxIdle
		return
	}
	old.expires.Store(int64(p.now())) // it lives on until another attempt succeeds
	p.wakeKeeperLocked()
}

// connectFailedLocked tells the outage and the waiters of a failed attempt.
func (p *Pool[C]) connectFailedLocked(a *attempt[C], f failure) {
	p.total.connectFailures++
	if a.epoch != p.epoch {
		return // it tried what Reset has made an end of
	}
	p.outage.failed(p.now(), a.order, f, p.openLocked()+p.closing)
	p.simplifyLocked() // the server was down, so no connection was useless
}

// abandonLocked frees the slot of a failed attempt, once the connection that it
// left, if any, is closed.
func (p *Pool[C]) abandonLocked(s *slot[C], raw driver.Conn, err error) {
	if raw == nil {
		p.freeLocked(s)
		return
	}
	s.raw = raw
	p.closeLocked(s, reason{cause: bad, err: err})
}

// openedLocked takes a new connection into the pool.
func (p *Pool[C]) openedLocked(a *attempt[C], raw driver.Conn, c C) {
	s := a.slot
	p.total.opened++
	now := p.now()
	if a.epoch == p.epoch {
		p.succeededLocked(a, now)
	}
	from := s.load()
	w := s.install(raw, c)
	s.birth = &birth{now, a.seq, a.order}
	s.checkedAt.Store(int64(now))
	s.expires.Store(0)
	if life := p.cfg.lifetime(); life > 0 {
		s.expires.Store(int64(now + life))
	}
	s.rested = false
	s.move(from, w.next(held))
	var why cause
	switch {
	case a.epoch != p.epoch:
		why = outOfDate
	case p.openLocked() > p.max:
		why = tooMany
	}
	if why == 0 && p.outage.useless > 1 && w.has(pings) && !p.closed {
		p.checkLocked(s, p.queue.len > 0) // before it is given to anybody
	} else {
		p.putBackLocked(s, because(why), true)
	}
	p.wakeKeeperLocked()
	if p.keeper.behind {
		p.sweepAtLocked(now + busyPause)
	}
}

// succeededLocked tells the outage of an attempt that worked, and finds those
// that hang.
func (p *Pool[C]) succeededLocked(a *attempt[C], now time.Duration) {
	p.outage.succeeded(now, p.openLocked(), p.max, a.probe)
	p.suspicion.doubt = false
	if a.old == nil {
		p.keeper.owed = max(p.keeper.owed-1, 0)
	}
	p.lastSuccess = success{now - a.began, p.started}
	p.beyond = pace{}
	for _, b := range p.attempts {
		p.sweepAtLocked(p.hangsAt(b)) // which fills the pool
	}
}
