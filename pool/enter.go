package pool

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/hotline-go/hotline/driver"
)

// errNoPermit is the error when a gate breaks its contract.
var errNoPermit = errors.New("pool: Enter returned neither a permit nor an error")

// obeyStrictGate makes OnAcquire ask the gate first, if the gate is strict.
func (p *Pool[C]) obeyStrictGate() {
	gate, ok := p.cfg.Gate.(StrictGate)
	if !ok {
		return
	}
	check, hook := gate.Strict(), p.cfg.OnAcquire
	if p.strict = check != nil; !p.strict {
		return
	}
	p.cfg.OnAcquire = func(ctx context.Context, c driver.Conn, info Info) error {
		if err := check(); err != nil || hook == nil {
			return err
		}
		return hook(ctx, c, info)
	}
}

// enter waits at the gate for a, in the goroutine of its Connect, and reports whether
// the Connect begins. ctx ends when a is called off.
func (p *Pool[C]) enter(ctx context.Context, a *attempt[C]) (begins bool) {
	if p.cfg.Gate == nil {
		return true
	}
	var t *pass
	err := errExited
	defer func() { // deferred, in case the gate panics or exits this goroutine
		if v := recover(); v != nil {
			err = &PanicError{v, debug.Stack()}
		}
		begins = p.entered(ctx, a, t, err)
	}()
	var result error
	if t, result = p.askGate(ctx, a); t != nil {
		result = t.watchLost()
	}
	err = result // only now, because the permit may exit this goroutine too
	return false
}

// askGate returns a permit for a. If a is spare and the gate has no room, it returns
// neither a permit nor an error.
func (p *Pool[C]) askGate(ctx context.Context, a *attempt[C]) (*pass, error) {
	var permit Permit
	if a.spare {
		var ok bool
		if permit, ok = p.cfg.Gate.TryEnter(p); !ok {
			return nil, nil
		}
	} else {
		var err error
		if permit, err = p.cfg.Gate.Enter(ctx, p); err != nil {
			return nil, err
		}
	}
	if permit == nil {
		return nil, errNoPermit
	}
	return &pass{Permit: permit}, nil
}

// entered ends the wait of a at the gate. t is its permit, or nil. err is the error
// from the gate. entered reports whether a begins to connect.
func (p *Pool[C]) entered(ctx context.Context, a *attempt[C], t *pass, err error) (begins bool) {
	p.mu.Lock()
	calledOff := ctx.Err() != nil || a.calledOff || p.closed
	failed := err != nil && !calledOff
	begins = t != nil && err == nil && !calledOff && p.mayBeginLocked()
	if begins {
		a.pass = t
	}
	if begins || failed { // otherwise it counts as waiting at the gate until drop
		p.beginLocked(a)
		p.fillLocked() // the next one may enter the gate, at the pace of the outage
	}
	p.mu.Unlock()
	if begins {
		return true
	}
	if failed { // both deferred, in case the gate exits this goroutine
		var none C
		defer p.connected(a, nil, none, fmt.Errorf("the gate: %w", err))
	} else {
		defer p.drop(a, t == nil && !calledOff)
	}
	p.leaveGate(t)
	return false
}

// mayBeginLocked reports whether an attempt that has passed the gate may connect.
// While it waited, the server may have refused another one.
func (p *Pool[C]) mayBeginLocked() bool {
	others := p.occupiedLocked() - 1
	return p.outage.startsAt(others) <= p.now() && !(p.outage.full && others >= p.outage.limit && p.probingLocked())
}

// drop removes an attempt that has not begun to connect. noRoom means that it is spare
// and the gate had no room for it.
func (p *Pool[C]) drop(a *attempt[C], noRoom bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.attempts, a)
	p.attempts = slices.Delete(p.attempts, i, i+1)
	p.freeLocked(a.slot)
	if noRoom {
		p.sparesAt = p.now() + spareCheck
	}
	if old := a.old; old != nil && old.born == a.oldBorn {
		again := p.now()
		if old.load().has(parked) { // its lease may last for hours, so the gate is not asked in each sweep
			again += parkedAfter
		}
		old.expires.Store(int64(again)) // it has expired, but stays open for now
		p.keeper.noRoom = p.keeper.noRoom || noRoom
		p.sweepAtLocked(again)
	}
	p.serveLocked()
	p.changedLocked()
}

// callOffLocked cancels the attempts at the gate that no waiter needs any more, or
// that exceed MaxOpen after a Resize. It does not keep them for MinIdle, because
// MinIdle must take no connection away from another pool.
func (p *Pool[C]) callOffLocked() {
	if p.cfg.Gate == nil || len(p.attempts) == 0 {
		return
	}
	occupied := p.occupiedLocked()
	for _, a := range p.attempts {
		if a.calledOff {
			occupied--
		}
	}
	surplus := max(p.supplyLocked()-p.queue.len, occupied-p.max)
	for i := len(p.attempts) - 1; i >= 0 && surplus > 0; i-- {
		if a := p.attempts[i]; a.gated && !a.spare && !a.calledOff {
			a.calledOff = true
			a.cancel()
			surplus--
		}
	}
}

// gatedWait marks, inside the pool, the error of a wait that ended while attempts were
// waiting at the gate.
type gatedWait struct{ error }

// endOfWaitLocked returns err, the error that ends a wait, as a gatedWait if attempts
// are waiting at the gate.
func (p *Pool[C]) endOfWaitLocked(err error) error {
	if p.gatedLocked() > 0 {
		return gatedWait{err}
	}
	return err
}

// gatedLocked returns the number of attempts at the gate.
func (p *Pool[C]) gatedLocked() (n int) {
	for _, a := range p.attempts {
		if a.gated {
			n++
		}
	}
	return n
}
