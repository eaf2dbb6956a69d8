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
	gen   uint64        // of the slot
	since time.Duration // unused since then, on the pool's clock

	ends sync.Once
	done chan struct{} // closed when the pool no longer owns the connection; nil if lost is
}

// isLost reports whether the right has ended.
func (t *pass) isLost() bool {
	if t == nil {
		return false
	}
	select {
	case <-t.lost: // never, if nil
		return true
	default:
		return false
	}
}

// recalledLocked asks the gate whether to close the connection of s, which is held, and
// returns the reason, or none. If the gate panics, the connection is closed.
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

// leaveGate gives t back to the gate. It is not called under mu.
func (p *Pool[C]) leaveGate(t *pass) {
	if t == nil {
		return
	}
	defer p.logPanic("the gate failed to take a permit back")
	t.end()
	t.Leave()
}

// logPanic is deferred. It recovers a panic, and logs it with the message.
func (p *Pool[C]) logPanic(message string) {
	if v := recover(); v != nil {
		err := &PanicError{v, debug.Stack()}
		p.log.Error(err, message, stack(err)...)
	}
}

// handOver returns the function that the holder of raw, a connection that is no
// longer the pool's, calls when it is closed. t is the permit of raw.
func (p *Pool[C]) handOver(raw driver.Conn, t *pass) func() {
	if t != nil {
		t.end()
	}
	return sync.OnceFunc(func() {
		p.ended(raw, false)
		p.leaveGate(t)
	})
}

// end ends watch.
func (t *pass) end() {
	if t.done != nil {
		t.ends.Do(func() { close(t.done) })
	}
}

// cancelWhenLost calls cancel, which ends ctx, if the right ends before ctx does.
func (t *pass) cancelWhenLost(ctx context.Context, cancel context.CancelFunc) {
	select {
	case <-ctx.Done():
	case <-t.lost:
		cancel()
	}
}

// watch closes the connection of s if the right to it ends. It runs in a
// goroutine of its own, which ends with the connection.
func (p *Pool[C]) watch(s *slot[C], t *pass) {
	select {
	case <-t.done:
	case <-t.lost:
		p.mu.Lock()
		defer p.mu.Unlock()
		if s.pass == t && p.retireLocked(s, permitLost) && p.strict {
			p.severLocked(s, permitLost)
		}
	}
}
