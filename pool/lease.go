package pool

import (
	"context"
	"errors"

	"github.com/hotline-go/hotline/driver"
)

// Lease is one holder's right to use a connection, from Acquire until Release,
// End, Discard or Hijack. It is a small value. Copies are the same lease: when one of
// them ends, all of them end, and none can affect the connection's next holder. The
// zero Lease has ended.
//
// Only one goroutine may use a lease at a time.
type Lease[C any] struct {
	slot *slot[C]
	word word // slot.state when the lease began; until the lease ends, only its loose flags change
	conn C
}

// Conn returns the connection. It panics after the end of the lease, because another
// holder may have the connection by then.
func (l Lease[C]) Conn() C {
	if s := l.slot; s != nil && (s.load().isLease(l.word) || l.wasCut()) {
		return l.conn
	}
	panic("pool: Lease.Conn after the lease was ended by Release, End, Discard or Hijack")
}

// Bind makes the I/O of the connection fail soon after ctx ends, as [Pool.Do] does.
// Call unbind, which undoes that, before the lease ends: otherwise the end of ctx
// affects the next holder. Bind does nothing if the connection is not a driver.Binder
// or if ctx never ends. It panics after the end of the lease.
func (l Lease[C]) Bind(ctx context.Context) (unbind func()) {
	l.Conn() // panics if the lease has ended
	if unbind := l.bind(ctx); unbind != nil {
		return unbind
	}
	return func() {}
}

// bind is Bind for a lease that has not ended. It returns nil if there is nothing to
// undo.
func (l Lease[C]) bind(ctx context.Context) (unbind func()) {
	if b, ok := l.slot.raw.(driver.Binder); ok && ctx.Done() != nil {
		return b.Bind(ctx)
	}
	return nil
}

// Release ends the lease and returns the connection to the pool, or to the oldest
// waiter if there is one. The pool closes the connection instead, in the background,
// if the connection reports that it is no longer valid (driver.Validator), if OnRelease
// returns an error, or if a limit such as MaxLifetime or MaxUses is reached. Release
// does no I/O and does not block. If the lease has already ended, it does nothing.
//
// Release is for a connection that still works. After an error, call [Lease.End]
// instead.
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
	p.release(l, fromHolder)
}

// End ends the lease after a use that returned err. [Pool.Do] calls it.
//
//	err                               the connection is
//	nil                               released
//	driver.IsBad                      discarded
//	driver.IsGood, or Advice.Answer   released
//	any other                         released, and pinged before its next use
//
// The Ping begins at once, in the background. If the connection is not
// a driver.Pinger, it is released if it is a driver.Validator (Release asks it), and
// discarded otherwise. If Config.BadConn is set, it alone decides whether the
// connection is discarded or released. End does no I/O and does not block. If the lease
// has already ended, it does nothing.
func (l Lease[C]) End(err error) {
	if err == nil || l.slot == nil {
		l.Release()
		return
	}
	judged := false
	defer func() {
		if !judged { // BadConn, Answer or a method of err ended by a panic
			l.Discard(ErrUnfinished)
		}
	}()
	p := l.slot.pool
	bad, known := p.judge(err)
	judged = true
	switch {
	case bad || !known && !l.word.has(pings|validates):
		l.Discard(err)
	case known || !l.word.has(pings):
		l.Release()
	default:
		p.release(l, fromFailure)
	}
}

// Discard ends the lease and closes the connection, in the background. err is
// the reason, for Config.OnClose and the log; it may be nil. Discard does not block. If
// the lease has already ended, it does nothing.
func (l Lease[C]) Discard(err error) {
	s := l.slot
	if s == nil {
		return
	}
	w, ok := s.grab(l.word)
	if !ok {
		l.endCut()
		return
	}
	if err == nil {
		err = errors.New("pool: discarded by its holder")
	}
	p := s.pool
	defer p.used(s.takeWatch())
	dead, why := false, reason{cause: bad, err: err}
	defer func() { // deferred, in case a method of err panics
		p.mu.Lock()
		if dead {
			p.suspectLocked() // whatever killed this one may have killed the others
		}
		p.putBackLocked(s, why, fromHolder)
		p.mu.Unlock()
	}()
	dead = driver.IsBad(err) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
	why.useless = dead && s.uses(w) == 1 && p.looksUseless(s.raw, s.birth, true)
}

// Hijack ends the lease and gives the connection to the caller: the pool forgets it and
// will not close it. The caller must close it and then call closed. Until then, the
// connection keeps its permit from Config.Gate, and a connector that counts connections
// (driver.Tracker) counts it as open. Further calls to closed do nothing.
//
// The caller is not notified if the permit is lost (Permit.Lost). If the permits
// of the gate can be lost, do not hijack a connection that must not outlive its permit.
//
// Hijack does not block. It panics if the lease has ended. If Shutdown or a StrictGate
// closed the connection during the lease, Hijack returns it closed.
func (l Lease[C]) Hijack() (c C, closed func()) {
	if l.slot == nil {
		panic("pool: Lease.Hijack of the zero lease")
	}
	s := l.slot
	p := s.pool
	if _, ok := s.grab(l.word); !ok {
		if l.wasCut() {
			l.endCut()
			return l.conn, func() {}
		}
		panic("pool: Lease.Hijack after the lease was ended")
	}
	defer p.used(s.takeWatch())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keeper.leased = max(p.keeper.leased-1, 0)
	p.total.hijacked++
	closed = p.handOver(s.raw, s.takePass())
	p.freeLocked(s)
	p.serveLocked()
	p.changedLocked() // Shutdown may be waiting for this lease
	return l.conn, closed
}

// endCut ends a lease whose connection was closed during the lease, so that the slot can
// get another connection. It does nothing if the lease has already ended.
func (l Lease[C]) endCut() {
	if !l.wasCut() {
		return // before locking, because a deferred Discard ends most leases a second time
	}
	s := l.slot
	p := s.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if !l.wasCut() {
		return
	}
	w := s.load()
	s.move(w, w&^cut) // can't fail: the word of such a slot changes only under mu
	if t := s.takeWatch(); t != nil {
		t.forgetStack()
	}
	if w.phase() == free {
		s.empty()
	}
}

// wasCut reports whether this lease has not ended although Shutdown or a StrictGate has
// closed its connection. The holder can't know that.
func (l Lease[C]) wasCut() bool {
	now := l.slot.load()
	return now.has(cut) && now.gen() == l.word.gen()
}

// isFresh reports whether the connection comes straight from Connect. Any other
// connection may have died since it was last used, and needs a reset.
func (l Lease[C]) isFresh() bool { return l.slot.uses(l.word) == 1 && !l.slot.rested }
