package pool

import (
	"context"
	"errors"

	"github.com/hotline-go/hotline/driver"
)

// Lease is one holder's right to use a connection, from Acquire until Release,
// Discard or Hijack ends it. It is a small value. Copies are the same lease: once
// one of them is ended, all are, and none can reach the connection's next holder.
// The zero Lease has ended.
//
// Only one goroutine may use a lease at a time.
type Lease[C any] struct {
	slot *slot[C]
	word word // slot.state when the lease began; until it ends, only loose flags change
	conn C
}

// Conn returns the connection. It panics after the end of the lease, because
// somebody else may have the connection by then.
func (l Lease[C]) Conn() C {
	if s := l.slot; s != nil && (s.load().isLease(l.word) || l.wasCut()) {
		return l.conn
	}
	panic("pool: Lease.Conn after the lease was ended by Release, Discard or Hijack")
}

// Release ends the lease and gives the connection back, to the oldest waiter if
// there is one. The connection is closed instead, in the background, if it says
// that it is no longer valid (driver.Validator), if OnRelease returns an error, or
// if a limit such as MaxLifetime or MaxUses is reached. Release does no I/O and
// does not block. On a lease that has ended, it does nothing.
func (l Lease[C]) Release() {
	s := l.slot
	if s == nil {
		return
	}
	p := s.pool
	if l.word&(validates|listed) == listed && p.simple.Load() && s.move(l.word, l.word.to(idle)) {
		p.hint.Put(s)
		return
	}
	p.release(l)
}

// Discard ends the lease and closes the connection, in the background. err is
// the reason, for Config.OnClose and the log; it may be nil. On a lease that has
// ended, Discard does nothing.
func (l Lease[C]) Discard(err error) {
	s := l.slot
	if s == nil {
		return
	}
	w, ok := s.grab(l.word)
	if !ok {
		return
	}
	if err == nil {
		err = errors.New("pool: discarded by its holder")
	}
	p := s.pool
	dead, why := false, reason{cause: bad, err: err}
	defer func() { // also if a method of err panics
		p.mu.Lock()
		if dead {
			p.suspectLocked() // what killed this one may have killed the others
		}
		p.putBackLocked(s, why, false)
		p.mu.Unlock()
	}()
	dead = driver.IsBad(err) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
	why.useless = dead && s.uses(w) == 1 && p.looksUseless(s.raw, s.birth, true)
}

// Hijack ends the lease and lets the caller keep the connection: the pool forgets
// it and will not close it. It panics if the lease has ended. If Shutdown closed
// the connection during the lease, Hijack returns it closed.
func (l Lease[C]) Hijack() C {
	if l.slot == nil {
		panic("pool: Lease.Hijack of the zero lease")
	}
	s := l.slot
	p := s.pool
	if _, ok := s.grab(l.word); !ok {
		if l.wasCut() {
			return l.conn
		}
		panic("pool: Lease.Hijack after the lease was ended")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keeper.leased = max(p.keeper.leased-1, 0)
	p.total.hijacked++
	p.freeLocked(s)
	p.serveLocked()
	p.changedLocked() // Shutdown may wait for this lease
	return l.conn
}

// wasCut reports whether Shutdown closed the connection during this lease. Its
// holder can't know that.
func (l Lease[C]) wasCut() bool {
	now := l.slot.load()
	return now.has(cut) && now.gen() == l.word.gen()
}

// isFresh reports whether the connection comes straight from Connect. Any other
// may have died since then, and needs a reset.
func (l Lease[C]) isFresh() bool { return l.slot.uses(l.word) == 1 && !l.slot.rested }

// ready reports whether the claimed connection needs no prepare.
func (l Lease[C]) ready() bool {
	return !l.word.has(resets) && l.slot.pool.cfg.OnAcquire == nil
}
