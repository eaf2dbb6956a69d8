package pool

import (
	"context"
	"fmt"
	"time"

	"github.com/hotline-go/hotline/driver"
)

const (
	// suspicionPause is the shortest time between two calls of suspectLocked that mark
	// connections. Without it, a peer that drops one connection after another would
	// keep the pool pinging all the others.
	suspicionPause = time.Second

	// maxSuspects limits the checks that one failed check starts at once.
	maxSuspects = 64
)

// suspicion records that dead connections have cast doubt on the others. Guarded by
// Pool.mu.
type suspicion struct {
	doubt bool          // a check failed, and no check or Connect has succeeded since
	last  time.Duration // when suspectLocked last marked connections; 0 = never
}

// due reports whether suspectLocked may mark connections again.
func (s *suspicion) due(now time.Duration) bool { return s.last == 0 || now-s.last >= suspicionPause }

// startCheckLocked checks an idle connection for the waiters.
func (p *Pool[C]) startCheckLocked(s *slot[C], w word) {
	if s.move(w, w.to(held)) {
		p.checkLocked(s, true, fromPool)
	}
}

// checkLocked pings the connection of s, which is held, in the background. asked
// means that it is for a waiter.
func (p *Pool[C]) checkLocked(s *slot[C], asked bool, from origin) {
	p.pinging++
	if asked {
		p.asked++
	}
	c := &checkup[C]{slot: s, raw: s.raw, asked: asked, began: p.now()}
	if n := s.uses(s.load()); n == 0 || n == 1 && from == fromFailure {
		c.birth = s.birth
	}
	ctx, cancel := p.contextLocked(p.ctx, asked)
	if s.pass != nil {
		s.pass.endPing = cancel
	}
	p.goLocked(func() {
		defer cancel()
		p.check(ctx, c)
	})
}

// check runs one Ping, in its own goroutine, and asks the driver whether the
// connection is still valid. It ends when Ping does, which is soon after PingTimeout
// or the end of the pool.
func (p *Pool[C]) check(ctx context.Context, c *checkup[C]) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.PingTimeout)
	defer cancel()
	overdue := time.AfterFunc(p.cfg.PingTimeout+grace, func() {
		p.checked(c, fmt.Errorf("the driver has not returned from Ping %v after the PingTimeout of %v: %w", grace, p.cfg.PingTimeout, context.DeadlineExceeded))
	})
	defer overdue.Stop()
	err := errExited
	defer func() { p.checked(c, err) }()
	defer recovered(&err)
	ctx, end := begin(ctx, p.cfg.Trace.Ping, PingStart{p.cfg.Name})
	if end != nil {
		defer func() { end(PingEnd{p.now() - c.began, err}) }()
	}
	defer recovered(&err)
	err = c.raw.(driver.Pinger).Ping(ctx)
	if v, ok := c.raw.(driver.Validator); ok && err == nil && !v.IsValid() {
		err = ErrInvalid
	}
}

// checkup is one check. It is settled when Ping returns or is overdue.
type checkup[C any] struct {
	slot    *slot[C]
	raw     driver.Conn // of slot; once the check is settled, the slot may have another connection
	birth   *birth      // of raw; nil if it is known to have been used successfully
	asked   bool        // it is for a waiter
	began   time.Duration
	settled bool // guarded by Pool.mu
}

// checked ends a check. If the check failed, it closes the connection, which
// unblocks a Ping that ignores the end of its context.
func (p *Pool[C]) checked(c *checkup[C], err error) {
	why := reason{cause: bad, err: &checkError{err}}
	why.useless = err != nil && c.birth != nil && p.looksUseless(c.raw, c.birth, true)
	p.mu.Lock()
	if c.settled {
		p.mu.Unlock()
		return
	}
	c.settled = true
	s := c.slot
	if s.pass != nil {
		s.pass.endPing = nil
	}
	now := p.now()
	p.pinging--
	if c.asked {
		p.asked--
	}
	p.total.pings++
	p.total.pinging += now - c.began
	switch {
	case p.closed:
		p.closeLocked(s, because(shutDown))
	case s.pass.isLost(): // that has ended the Ping, so err says nothing
		p.closeLocked(s, because(permitLost))
		p.serveLocked()
	case err != nil:
		p.total.pingFailures++
		why.counts = why.useless && p.wastedLocked(s, why.err)
		p.closeLocked(s, why)
		p.doubtLocked(c.began)
		p.serveLocked()
	default:
		p.suspicion.doubt = false
		p.aliveLocked(s, now)
		if c.birth != nil {
			p.provedLocked(s)
		}
		p.putBackLocked(s, reason{}, fromPool) // closes it if it was retired during the check
		p.wakeKeeperLocked()
	}
	p.mu.Unlock()
	if log := p.log.V(2); log.Enabled() { // a big pool sends many keepalives
		if err != nil {
			log.Info("connection failed its check", append(stack(err), "error", err, "took", now-c.began)...)
		} else {
			log.Info("connection passed its check", "took", now-c.began)
		}
	}
}

// aliveLocked records that the connection of s is alive at the time now.
func (p *Pool[C]) aliveLocked(s *slot[C], now time.Duration) {
	s.checkedAt.Store(int64(now))
	s.pingAt.Store(int64(now + p.cfg.keepAlive()))
}

// checkError is the reason for a close after a failed check.
type checkError struct{ err error }

func (e *checkError) Error() string { return "pool: check failed: " + e.err.Error() }
func (e *checkError) Unwrap() error { return e.err }

// doubtLocked reacts to a failed check that began at the time since. Whatever
// killed that connection has probably killed others, so it checks the idle ones that
// have neither been connected nor passed a check since then. In the meantime, the pool
// connects for its waiters.
func (p *Pool[C]) doubtLocked(since time.Duration) {
	if p.suspicion.doubt {
		return
	}
	p.suspicion.doubt = true
	n := maxSuspects
	for _, s := range *p.slots.Load() {
		w := s.load()
		if w.phase() != idle || !w.has(pings) || time.Duration(s.checkedAt.Load()) > since {
			continue
		}
		if n > 0 && s.move(w, w.to(held)) {
			n--
			p.checkLocked(s, false, fromPool)
		} else {
			s.flag(w, stale)
		}
	}
}

// suspectLocked reacts to a connection that its holder found dead: the idle
// connections need a check before their next use.
func (p *Pool[C]) suspectLocked() {
	now := p.now()
	if !p.suspicion.due(now) {
		return
	}
	p.suspicion.last = now
	for _, s := range *p.slots.Load() {
		if w := s.load(); w.phase() == idle && w.has(pings) {
			s.flag(w, stale)
		}
	}
}

// Ping acquires a connection and pings its peer, if the connection is
// a driver.Pinger. If the connection is dead but not new, that says nothing about the
// server: Ping discards it and tries the next one. Ping blocks as Acquire does, and
// then for at most PingTimeout per connection. It returns an [*AcquireError] or the
// error of the driver, wrapped.
func (p *Pool[C]) Ping(ctx context.Context) error {
	for {
		l, err := p.Acquire(ctx)
		if err != nil {
			return err
		}
		first := l.isFresh()
		err = p.pingLease(ctx, l)
		if err == nil {
			return nil
		}
		if first || !driver.IsBad(err) || ctx.Err() != nil {
			return fmt.Errorf("pool %q: ping: %w", p.cfg.Name, err)
		}
	}
}

// pingLease pings the connection of l and ends the lease.
func (p *Pool[C]) pingLease(ctx context.Context, l Lease[C]) error {
	err := errExited
	defer func() {
		if err != nil {
			l.Discard(err)
		} else {
			l.Release()
		}
	}()
	pinger, ok := l.slot.raw.(driver.Pinger)
	if !ok {
		err = nil
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.PingTimeout)
	defer cancel()
	err = pinger.Ping(ctx)
	return err
}
