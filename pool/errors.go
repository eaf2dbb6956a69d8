package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// What may end a wait in Acquire, besides the caller's context and a failed
// connect. All of them come inside an [AcquireError].
var (
	// ErrClosed says that the pool was closed. It is permanent: no retry helps.
	// It is also the reason of closes that follow Close and Shutdown.
	ErrClosed = driver.Permanent(errors.New("pool: closed"))

	// ErrTooManyWaiters says that MaxWaiters callers were waiting already.
	ErrTooManyWaiters = errors.New("pool: too many waiters")

	// ErrTimeout says that AcquireTimeout passed. It is a
	// context.DeadlineExceeded as well.
	ErrTimeout error = timeoutError{}

	// ErrSuspended says that the pool is suspended, by Resize(0), and FailFast.
	ErrSuspended = errors.New("pool: suspended")
)

// Why a connection was closed, as Config.OnClose and the log tell it, besides
// the error that made it bad.
var (
	ErrMaxIdle     = errors.New("pool: more idle connections than MaxIdle")
	ErrMaxIdleTime = errors.New("pool: idle for MaxIdleTime")
	ErrMaxLifetime = errors.New("pool: open for MaxLifetime")
	ErrMaxUses     = errors.New("pool: leased MaxUses times")
	ErrReset       = errors.New("pool: reset")
	ErrResized     = errors.New("pool: more connections than MaxOpen after Resize")
	ErrInvalid     = errors.New("pool: connection is no longer valid")
	ErrUnfinished  = errors.New("pool: the holder's function ended by panic or Goexit")
)

// errExited is the error of a call that did not return.
var errExited = errors.New("pool: a call into the driver or a hook ended by panic or runtime.Goexit")

// timeoutError is ErrTimeout.
type timeoutError struct{}

func (timeoutError) Error() string        { return "pool: AcquireTimeout passed" }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }
func (timeoutError) Timeout() bool        { return true }

// AcquireError says why Acquire returned no connection. Nothing was sent, so
// it is driver.SafeToRetry; and it is never about a connection that the caller
// holds already, so it is not driver.IsBad.
type AcquireError struct {
	Pool string // Config.Name

	// Cause is what ended the wait: ErrClosed, ErrTooManyWaiters, ErrTimeout,
	// ErrSuspended, an error of the context, of Connect, of ResetSession or of
	// a hook.
	Cause error

	// Connect is the error of the Connect that failed, if that is the Cause. If
	// the Cause ended the wait, it is the last one since a success, or nil: it
	// tells why there was no connection.
	Connect error

	Waited time.Duration

	Gauges // how the pool stood, just after the wait

	failed bool          // Cause is Connect; the two may be of a type that can't be compared
	next   time.Duration // if failed: until the next attempt
	waited bool          // Cause is that of a wait that took too long
}

func (e *AcquireError) Error() string {
	what := "no connection"
	if e.failed {
		what = "connect failed"
	}
	text := fmt.Sprintf("pool %q: %s after %v: %v", e.Pool, what, e.Waited.Round(time.Microsecond), e.Cause)
	switch {
	case e.failed && e.next >= time.Second:
		text += fmt.Sprintf("; the next attempt is in %v, or after Reset", e.next.Round(time.Second))
	case e.failed:
	case e.Connect != nil:
		text += fmt.Sprintf("; last connect failed: %v", e.Connect)
	case e.waited && e.Leased > 0 && e.Leased >= e.MaxOpen:
		text += "; all connections are in use: raise MaxOpen, or look for a lease that is not released"
	}
	return text + fmt.Sprintf(" (max %d, open %d, idle %d, leased %d, connecting %d, closing %d, waiting %d)",
		e.MaxOpen, e.Open, e.Idle, e.Leased, e.Connecting, e.Closing, e.Waiting)
}

// acquireError is the error of an Acquire that began at began.
func (p *Pool[C]) acquireError(ctx context.Context, cause error, began time.Duration) *AcquireError {
	p.mu.Lock()
	e := &AcquireError{Pool: p.cfg.Name, Cause: cause, Connect: p.outage.err, Waited: p.now() - began, Gauges: p.gaugesLocked()}
	e.next = p.outage.startsAt() - p.now()
	pinging := p.pinging
	p.mu.Unlock()
	e.setIdle(p.count(idle) + pinging) // without mu: many may fail at a time
	if failed, ok := cause.(connectFailure); ok {
		e.Cause, e.Connect, e.failed = failed.error, failed.error, true
	}
	e.waited = cause == ErrTimeout || cause == ctx.Err()
	if cause == ctx.Err() && context.Cause(ctx) != cause {
		e.Cause = fmt.Errorf("%w: %w", cause, context.Cause(ctx))
	}
	return e
}

// Unwrap returns Cause and Connect, for errors.Is and errors.As.
func (e *AcquireError) Unwrap() []error {
	if e.Connect == nil || e.failed {
		return []error{e.Cause}
	}
	return []error{e.Cause, e.Connect}
}

// SafeToRetry is true: the caller's request was not sent.
func (e *AcquireError) SafeToRetry() bool { return true }

// BadConn is false: no connection of the caller's is concerned.
func (e *AcquireError) BadConn() bool { return false }

// connectFailure marks, inside the pool, a cause that came from Connect.
type connectFailure struct{ error }

// PanicError is a panic of the driver or of a hook in a goroutine of the pool,
// where nobody but the pool could recover it.
type PanicError struct {
	Value any    // of the panic
	Stack []byte // where it came from, as debug.Stack prints it
}

func (e *PanicError) Error() string { return fmt.Sprintf("pool: panic: %v", e.Value) }

// Unwrap returns the value of the panic if that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// stack returns what to log besides err: where it came from, if it is a panic.
func stack(err error) []any {
	if p, ok := err.(*PanicError); ok {
		return []any{"stack", string(p.Stack)}
	}
	return nil
}
