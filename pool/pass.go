package pool

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// pass is the permit of an attempt or a connection of the pool. It is nil if the pool
// has no gate.
type pass struct {
	Permit
	cost time.Duration   // how long its Connect took
	lost <-chan struct{} // of Permit

	// Set by unusedFor. Guarded by Pool.mu.
	gen   uint64        // generation of the slot at that time
	since time.Duration // since when it has been unused, on the pool's clock

	endPing context.CancelFunc // ends the Ping of the connection; nil if none is in progress; guarded by Pool.mu

	ends sync.Once     // closes done
	done chan struct{} // closed when the pool no longer owns the connection; nil if lost is nil
}

// watchLost asks the permit how it gets lost. It returns an error if it already is, which
// counts as a failed Connect: otherwise attempts would repeat without a pause.
func (t *pass) watchLost() error {
	if t.lost = t.Lost(); t.lost != nil {
		t.done = make(chan struct{})
	}
	if t.isLost() {
		return ErrPermitLost
	}
	return nil
}

// isLost reports whether the permit is lost.
func (t *pass) isLost() bool {
	if t == nil {
		return false
	}
	select {
	case <-t.lost: // blocks if nil
		return true
	default:
		return false
	}
}

// recalledLocked asks the gate whether to close the connection of s, which is held. It
// returns the reason to close it, or the zero reason. A panic of the gate is a reason
// too.
func (p *Pool[C]) recalledLocked(s *slot[C]) (why reason) {
	defer func() {
		if v := recover(); v != nil {
			why = reason{cause: bad, err: &PanicError{v, debug.Stack()}}
		}
	}()
	if s.pass.Recalled(Worth{p.queue.len > 0, p.unusedFor(s), s.pass.cost}) {
		return because(yielded)
	}
	return reason{}
}

// leaveGate gives t back to the gate; t may be nil. It must not be called under mu.
func (p *Pool[C]) leaveGate(t *pass) {
	if t == nil {
		return
	}
	defer p.logPanic("the gate failed to take a permit back")
	t.end()
	t.Leave()
}

// logPanic recovers a panic and logs it with the message. It must be deferred.
func (p *Pool[C]) logPanic(message string) {
	if v := recover(); v != nil {
		err := &PanicError{v, debug.Stack()}
		p.log.Error(err, message, stack(err)...)
	}
}

// handOver returns the function to call when raw, a connection that the pool no longer
// owns, is closed. t is the permit of raw.
func (p *Pool[C]) handOver(raw driver.Conn, t *pass) func() {
	if t != nil {
		t.end()
	}
	return sync.OnceFunc(func() {
		defer p.leaveGate(t) // deferred, in case the connector exits this goroutine
		p.ended(raw, false)
	})
}

// end ends the goroutine that runs watch.
func (t *pass) end() {
	if t.done != nil {
		t.ends.Do(func() { close(t.done) })
	}
}

// cancelWhenLost calls cancel, which ends ctx, if the permit is lost before ctx ends.
func (t *pass) cancelWhenLost(ctx context.Context, cancel context.CancelFunc) {
	select {
	case <-ctx.Done():
	case <-t.lost:
		cancel()
	}
}

// watch closes the connection of s if its permit t is lost, at once if it is idle or being
// pinged. It runs in a goroutine of its own, which ends with the connection.
func (p *Pool[C]) watch(s *slot[C], t *pass) {
	select {
	case <-t.done:
	case <-t.lost:
		p.mu.Lock()
		defer p.mu.Unlock()
		if s.pass != t || !p.retireLocked(s, permitLost) {
			return
		}
		if t.endPing != nil {
			t.endPing()
		}
		if p.strict {
			p.severLocked(s, permitLost)
		}
	}
}
