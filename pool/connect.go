package pool

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// grace is how long a Connect or a Ping may overrun its context before the pool
// goes on without it.
const grace = 100 * time.Millisecond

// attempt is one Connect under way.
type attempt[C any] struct {
	slot  *slot[C]
	began time.Duration
	order uint64 // waiters that came no later have waited through all of it
	epoch uint64 // Pool.epoch when it began

	ended bool // guarded by Pool.mu, as the next two
	told  bool // its failure, before its end
	aside bool // nobody counts on it

	// The connection that this one replaces, by slot and birth, or nil.
	old     *slot[C]
	oldBorn uint64
}

// startConnectLocked starts a Connect. old is the slot of the connection that
// the new one replaces, or nil.
func (p *Pool[C]) startConnectLocked(old *slot[C]) {
	a := &attempt[C]{slot: p.takeFreeLocked(), began: p.now(), order: p.arrivals, epoch: p.epoch, old: old}
	if old != nil {
		a.oldBorn = old.born
		p.setAsideLocked(a)
	}
	if d := &p.dial; d.failures > 0 {
		d.until = a.began + p.cfg.Backoff.delay(d.failures)
		if d.permanent {
			d.until = a.began + permanentPause
		}
		d.failures++
	}
	p.keeper.owed = max(p.keeper.owed-1, 0)
	p.connecting++
	ctx := p.dialing
	p.goLocked(func() { p.connect(ctx, a) })
}

// setAsideLocked takes an attempt out of those that callers count on. It may
// still serve one.
func (p *Pool[C]) setAsideLocked(a *attempt[C]) {
	if !a.aside && a.epoch == p.epoch {
		a.aside = true
		p.aside++
	}
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

// connectOverdue tells the failure of an attempt whose driver does not obey its
// context. Its slot stays taken, because the server may count the connection.
func (p *Pool[C]) connectOverdue(a *attempt[C]) {
	failed := classify(fmt.Errorf("the driver has not returned from Connect %v after the ConnectTimeout of %v: %w",
		grace, p.cfg.ConnectTimeout, context.DeadlineExceeded))
	p.mu.Lock()
	late := !a.ended && !p.closed
	if late {
		a.told = true
		p.told++
		p.setAsideLocked(a)
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
	a.ended = true
	p.connecting--
	if a.aside || a.epoch != p.epoch {
		p.aside--
	}
	if a.told {
		p.told--
	}
	p.total.connects++
	p.total.connecting += took
	ended := p.closed || a.epoch != p.epoch // by the pool
	if old := a.old; old != nil && old.born == a.oldBorn {
		if err == nil {
			p.retireLocked(old, ErrMaxLifetime) // first, so that the new one is not surplus to MaxIdle
		} else {
			old.expires.Store(int64(p.now())) // it lives on until another attempt succeeds
			p.wakeKeeperLocked()
		}
	}
	if err != nil {
		if !p.closed && !a.told {
			p.connectFailedLocked(a, failed)
		}
		p.refuseLocked(a.slot, raw, err)
	} else {
		p.openedLocked(a, raw, c)
	}
	p.serveLocked()
	p.mu.Unlock()
	switch {
	case err == nil:
		p.log.V(1).Info("connected", "took", took)
	case !ended:
		p.log.Error(err, "connect failed", append(stack(err), "took", took)...)
	}
}

// refuseLocked frees the slot of a failed attempt, once the connection is
// closed that it left, if any.
func (p *Pool[C]) refuseLocked(s *slot[C], raw driver.Conn, why error) {
	if raw == nil {
		p.freeLocked(s)
		return
	}
	s.raw = raw
	p.open++ // closeLocked takes it off again
	p.closeLocked(s, why)
}

// openedLocked takes a new connection into the pool.
func (p *Pool[C]) openedLocked(a *attempt[C], raw driver.Conn, c C) {
	s := a.slot
	p.total.opened++
	p.open++
	if a.epoch == p.epoch {
		p.dial = p.dial.succeeded(p.now())
		p.keeper.doubt = false
	}
	from := s.load()
	w := s.fill(raw, c)
	now := p.now()
	s.checkedAt.Store(int64(now))
	s.expires.Store(0)
	if life := p.cfg.lifetime(); life > 0 {
		s.expires.Store(int64(now + life))
	}
	s.rested = p.queue.len == 0
	s.move(from, w.next(checking))
	switch {
	case p.closed:
		p.closeLocked(s, ErrClosed)
	case a.epoch != p.epoch:
		p.closeLocked(s, ErrReset)
	case p.open > p.max:
		p.closeLocked(s, ErrResized)
	default:
		p.putBackLocked(s, nil, true)
		p.wakeKeeperLocked()
	}
}
