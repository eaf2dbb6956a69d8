package pool

import (
	"context"
	"errors"

	"github.com/hotline-go/hotline/driver"
)

// Lease is one holder's right to use a connection, from Acquire until Release,
// Discard or Hijack ends it. It is a small value: copies are the same lease,
// and once one of them has ended it, none of them can reach the connection's
// next holder. The zero Lease has ended.
//
// One goroutine at a time uses a lease.
type Lease[C any] struct {
	slot *slot[C]
	word word // of slot.state when the lease began; only loose flags change meanwhile
	conn C
}

// Conn returns the connection. It panics after the end of the lease, because
// the connection may be another's by then.
func (l Lease[C]) Conn() C {
	if s := l.slot; s != nil && (s.load().isLease(l.word) || l.wasCut()) {
		return l.conn
	}
	panic("pool: Lease.Conn after the lease was ended by Release, Discard or Hijack")
}

// Release ends the lease and gives the connection back, to the oldest waiter
// if there is one. The connection is closed instead, in the background, if it
// says that it is no longer valid (driver.Validator), if OnRelease refuses it,
// or if its time has come. Release does no I/O and does not block. On a lease
// that has ended it does nothing.
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
// the reason, for Config.OnClose and the log; nil will do. On a lease that has
// ended it does nothing.
func (l Lease[C]) Discard(err error) {
	s := l.slot
	if s == nil {
		return
	}
	if _, ok := s.grab(l.word); !ok {
		return
	}
	if err == nil {
		err = errors.New("pool: discarded by its holder")
	}
	p := s.pool
	suspicious := false
	defer func() { // also if a method of err panics
		p.mu.Lock()
		defer p.mu.Unlock()
		if suspicious {
			p.suspectLocked() // what killed this one may have killed the others
		}
		p.putBackLocked(s, reason{bad, err}, false)
	}()
	suspicious = driver.IsBad(err) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// Hijack ends the lease and gives the connection to the caller for good: the
// pool forgets it and will not close it. It panics if the lease has ended. A
// connection that Shutdown has closed under its holder is closed.
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

// wasCut reports whether Shutdown has closed the connection under this lease,
// which its holder can't know.
func (l Lease[C]) wasCut() bool {
	now := l.slot.load()
	return now.has(cut) && now.gen() == l.word.gen()
}

// isFirst reports whether the connection comes straight from Connect. Any other
// may have died since, and is reset.
func (l Lease[C]) isFirst() bool { return l.word.gen() == l.slot.born+1 && !l.slot.rested }

// ready reports whether a claimed connection needs no prepare.
func (l Lease[C]) ready() bool {
	return !l.word.has(resets) && l.slot.pool.cfg.OnAcquire == nil
}
