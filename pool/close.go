package pool

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// closeTimeout is how long the driver's Close may keep a slot, and how long the pool's
// Close and Shutdown wait for driver calls in progress. After that the pool goes on
// as if they had returned. A driver needs less to say goodbye to a dead peer.
const closeTimeout = 5 * time.Second

// retireLocked closes the connection of s because of why: now if it is idle, else
// when its lease or its check ends. It reports whether s had a connection to close.
func (p *Pool[C]) retireLocked(s *slot[C], why cause) bool {
	for {
		switch w := s.load(); w.phase() {
		case idle:
			if s.move(w, w.to(held)) {
				p.closeLocked(s, because(why))
				return true
			}
		case leased, held:
			if w.has(retire) {
				return true
			}
			s.why = why
			if s.flag(w, retire) {
				return true
			}
		default:
			return false
		}
	}
}

// closeLocked closes the connection of s, which the caller owns, in the
// background. Until the driver's Close returns, the slot counts against MaxOpen.
func (p *Pool[C]) closeLocked(s *slot[C], why reason) {
	s.settle(closing)
	p.closeOwnedLocked(s, why)
}

// closeOwnedLocked is closeLocked for a slot that is already closing.
func (p *Pool[C]) closeOwnedLocked(s *slot[C], why reason) {
	p.closing++
	p.changedLocked() // Shutdown may be waiting for this
	*causes[why.cause].counter(&p.total.closes)++
	info := CloseInfo{Pool: p.cfg.Name, Cause: why.cause.String(), Reason: why.err}
	if s.birth != nil {
		info.Age, info.Uses = p.now()-s.birth.at, s.uses(s.load())
	}
	raw, permit := s.raw, s.takePass()
	p.goLocked(func() { p.close(s, raw, permit, why, info) })
}

// close closes one connection, in a goroutine of its own. It ends when OnClose,
// the driver's Close and Trace.Close have returned.
func (p *Pool[C]) close(s *slot[C], raw driver.Conn, permit *pass, why reason, info CloseInfo) {
	var freed bool // guarded by mu
	done := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if freed {
			return
		}
		freed = true
		p.closing--
		p.freeLocked(s)
		p.serveLocked()
		p.changedLocked()
	}
	overdue := time.AfterFunc(closeTimeout, done)
	p.note(why)
	if why.counts {
		p.log.Error(&uselessError{why.err}, "useless connection")
	}
	err := errExited
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v, debug.Stack()}
		}
		overdue.Stop()
		if err != nil {
			p.log.V(1).Info("closed", append(stack(err), "reason", fmt.Sprint(why.err), "error", err)...) // fmt survives an Error that panics
		} else {
			p.log.V(1).Info("closed", "reason", fmt.Sprint(why.err))
		}
		defer done() // deferred, in case the connector or the gate exits this goroutine
		defer p.leaveGate(permit)
		p.ended(raw, why.useless)
	}()
	began := p.now()
	defer func() {
		info.Took = p.now() - began
		p.traceClose(info)
	}()
	defer func() { err = raw.Close() }() // deferred, in case OnClose panics
	if p.cfg.OnClose != nil {
		p.cfg.OnClose(raw, why.err)
	}
}

// traceClose calls Trace.Close.
func (p *Pool[C]) traceClose(info CloseInfo) {
	if p.cfg.Trace.Close != nil {
		defer p.logPanic("Trace.Close failed")
		p.cfg.Trace.Close(info)
	}
}

// Close closes the pool. All callers of Acquire, including those that are waiting,
// fail with ErrClosed. Close closes idle connections now and leased ones when they are
// released, and cancels Connects in progress. It waits for all of that except the
// leases. It returns an error if the driver keeps it waiting for more than 5 seconds.
// After the last lease has ended, no goroutine and no connection is left. Closing
// a closed pool is not an error.
//
// If this is the last pool with its pool_budget, Close also gives the budget back: it
// waits for the store, and returns its error.
func (p *Pool[C]) Close() error {
	p.beginClose()
	p.forgetStacks()
	if n := p.count(leased); n > 0 {
		p.log.Info("closed while connections are in use", "leased", n)
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if p.await(ctx, func() bool { return p.running == 0 }) != nil {
		return errors.Join(p.stuck(), p.leaveBudget())
	}
	return p.leaveBudget()
}

// Shutdown closes the pool as Close does, and also waits for the leases to end. If ctx
// ends before they do, Shutdown closes their connections while they are in use, so that
// the holders' I/O fails, and returns an error that wraps the error of ctx. Either way,
// it then waits up to 5 seconds for the driver, as Close does.
func (p *Pool[C]) Shutdown(ctx context.Context) error {
	p.beginClose()
	err := p.await(ctx, func() bool { return p.openLocked() == 0 })
	if err == nil {
		return p.Close()
	}
	if n := p.sever(); n > 0 {
		err = fmt.Errorf("pool %q: shutdown closed %s: %w", p.cfg.Name, count(n, "connection in use", "connections in use"), err)
	} else {
		err = fmt.Errorf("pool %q: shutdown: %w", p.cfg.Name, err)
	}
	if stuck := p.Close(); stuck != nil {
		err = fmt.Errorf("%w; %w", err, stuck)
	}
	return err
}

// stuck returns the error of a Close whose driver calls have not returned.
func (p *Pool[C]) stuck() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Errorf("pool %q: the driver is still running after %v: %d Connect, %d Ping or Close",
		p.cfg.Name, closeTimeout, len(p.attempts), p.running-len(p.attempts))
}

// beginClose closes the pool without waiting. It does nothing if the pool is closed.
func (p *Pool[C]) beginClose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	for p.queue.head != nil {
		p.settleLocked(p.queue.head, Lease[C]{}, ErrClosed)
	}
	p.setGateLocked()
	for _, s := range *p.slots.Load() {
		if w := p.unlistLocked(s); w.phase() == idle { // putBackLocked closes the others
			p.retireLocked(s, shutDown)
		}
	}
	for _, t := range []*time.Timer{p.expiry, p.retry, p.keeper.timer} {
		if t != nil {
			t.Stop()
		}
	}
	p.cancel()
	p.changedLocked()
}

// sever closes the leased connections while they are in use, and returns their number.
func (p *Pool[C]) sever() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range *p.slots.Load() {
		if p.severLocked(s, shutDown) {
			n++
		}
	}
	return n
}

// severLocked closes the connection of s while it is in use. It reports false if s is not
// leased.
func (p *Pool[C]) severLocked(s *slot[C], why cause) bool {
	for w := s.load(); w.phase() == leased; w = s.load() {
		if s.move(w, w.to(closing)|cut) {
			p.closeOwnedLocked(s, because(why))
			return true
		}
	}
	return false
}
