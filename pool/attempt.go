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

// grace is how long a Connect or a Ping may overrun its context before the pool
// goes on without it.
const grace = 100 * time.Millisecond

// attempt is one Connect under way, a member of Pool.attempts. Guarded by
// Pool.mu.
type attempt[C any] struct {
	slot  *slot[C]
	began time.Duration
	order uint64 // waiters that came no later have waited through all of it
	epoch uint64 // Pool.epoch when it began
	late  bool   // its failure was reported before its end, because that did not come

	// The connection that this one replaces, by slot and birth, or nil.
	old     *slot[C]
	oldBorn uint64
}

// serves reports whether waiters may count on a, in the epoch given: it is no
// replacement, from no time before a Reset, and not late.
func (a *attempt[C]) serves(epoch uint64) bool { return a.old == nil && a.epoch == epoch && !a.late }

// startConnectLocked starts a Connect. old is the slot of the connection that
// the new one replaces, or nil.
func (p *Pool[C]) startConnectLocked(old *slot[C]) {
	a := &attempt[C]{slot: p.takeFreeLocked(), began: p.now(), order: p.queue.arrivals, epoch: p.epoch, old: old}
	if old != nil {
		a.oldBorn = old.born
	}
	p.outage.starting(a.began)
	p.keeper.owed = max(p.keeper.owed-1, 0)
	p.attempts = append(p.attempts, a)
	ctx := p.connects
	p.goLocked(func() { p.connect(ctx, a) })
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
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
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
		return c, driver.Permanent(fmt.Errorf("the driver's connection is a %T, which is no %v: open the pool for what the driver returns",
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
		p.fillLocked()
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
	i := slices.Index(p.attempts, a)
	p.attempts = slices.Delete(p.attempts, i, i+1)
	p.total.connects++
	p.total.connecting += took
	p.replacedLocked(a, err)
	called := p.closed || a.epoch != p.epoch // off, by the pool
	if err != nil {
		if !p.closed && !a.late {
			p.connectFailedLocked(a, failed)
		}
		p.abandonLocked(a.slot, raw, err)
	} else {
		p.openedLocked(a, raw, c)
	}
	p.serveLocked()
	p.mu.Unlock()
	switch {
	case err == nil:
		p.log.V(1).Info("connected", "took", took)
	case !called:
		p.log.Error(err, "connect failed", append(stack(err), "took", took)...)
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
	p.outage.failed(p.now(), a.order, f)
	p.failWaitersLocked(p.outage.permanent)
}

// abandonLocked frees the slot of a failed attempt, once the connection that it
// left, if any, is closed.
func (p *Pool[C]) abandonLocked(s *slot[C], raw driver.Conn, err error) {
	if raw == nil {
		p.freeLocked(s)
		return
	}
	s.raw = raw
	p.closeLocked(s, reason{bad, err})
}

// openedLocked takes a new connection into the pool.
func (p *Pool[C]) openedLocked(a *attempt[C], raw driver.Conn, c C) {
	s := a.slot
	p.total.opened++
	now := p.now()
	if a.epoch == p.epoch {
		p.outage.succeeded(now)
		p.suspicion.doubt = false
	}
	from := s.load()
	w := s.fill(raw, c)
	s.checkedAt.Store(int64(now))
	s.expires.Store(0)
	if life := p.cfg.lifetime(); life > 0 {
		s.expires.Store(int64(now + life))
	}
	s.rested = p.queue.len == 0
	s.move(from, w.next(held))
	var why cause
	switch {
	case a.epoch != p.epoch:
		why = outOfDate
	case p.openLocked() > p.max:
		why = tooMany
	}
	p.putBackLocked(s, because(why), true)
	p.wakeKeeperLocked()
}
