package pool

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// Errors that end a wait in Acquire, in addition to those of the caller's context
// and of Connect. Each is the Cause of an [AcquireError].
var (
	// ErrClosed says that the pool was closed. It is permanent: no retry helps.
	// It is also the reason for closing a connection in Close and Shutdown.
	ErrClosed = driver.Permanent(errors.New("pool: closed"))

	// ErrTooManyWaiters says that MaxWaiters callers were already waiting.
	ErrTooManyWaiters = errors.New("pool: too many waiters")

	// ErrTimeout says that AcquireTimeout passed. errors.Is also finds
	// context.DeadlineExceeded in it.
	ErrTimeout error = timeoutError{}

	// ErrSuspended says that Resize(0) has suspended the pool. Only TryAcquire and
	// pools with FailFast return it; other callers wait.
	ErrSuspended = errors.New("pool: suspended")

	// ErrNested says that the caller would wait for itself: it is inside Do calls
	// that hold all MaxOpen connections, and uses their context. It is permanent.
	// Only pools whose MaxOpen is at most 3 detect this.
	ErrNested = driver.Permanent(errors.New("pool: this caller is inside Do calls that hold all connections: " +
		"use the connection that Do passed, or raise MaxOpen"))
)

// Reasons for closing a connection, as passed to Config.OnClose and the log. If
// the connection was bad, the reason is the error that made it bad.
var (
	ErrMaxIdle     = errors.New("pool: more idle connections than MaxIdle")
	ErrMaxIdleTime = errors.New("pool: idle for MaxIdleTime")
	ErrMaxLifetime = errors.New("pool: open for MaxLifetime")
	ErrMaxUses     = errors.New("pool: leased MaxUses times")
	ErrReset       = errors.New("pool: reset")
	ErrResized     = errors.New("pool: more connections than MaxOpen after Resize")
	ErrYielded     = errors.New("pool: given up for another pool behind the gate")
	ErrPermitLost  = errors.New("pool: the permit of the gate was lost")
	ErrInvalid     = errors.New("pool: connection is no longer valid")
	ErrUnfinished  = errors.New("pool: the holder's function panicked or called runtime.Goexit")
)

// errExited is the error for a call that did not return.
var errExited = errors.New("pool: the driver or a hook panicked or called runtime.Goexit")

// timeoutError is ErrTimeout.
type timeoutError struct{}

func (timeoutError) Error() string        { return "pool: AcquireTimeout passed" }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }
func (timeoutError) Timeout() bool        { return true }

// ErrNoneIdle says that TryAcquire found no idle connection known to be alive. A
// later call may find one. It is driver.SafeToRetry.
var ErrNoneIdle error = noneIdleError{}

// noneIdleError is ErrNoneIdle.
type noneIdleError struct{}

func (noneIdleError) Error() string     { return "pool: no idle connection" }
func (noneIdleError) SafeToRetry() bool { return true }
func (noneIdleError) BadConn() bool     { return false }

// AcquireError says why Acquire returned no connection. It is driver.SafeToRetry,
// because the caller has sent nothing. It is not driver.IsBad, because it is not
// about a connection that the caller holds.
type AcquireError struct {
	Pool string // Config.Name

	// Cause is the error that ended the wait: ErrClosed, ErrTooManyWaiters,
	// ErrTimeout, ErrSuspended, or an error of the context, of Connect or of a
	// hook.
	Cause error

	// Connect is the last connect error, which explains why there was no connection.
	// If a connect error ended the wait, it is also the Cause. It is nil after an
	// error of a hook. It is also nil if a Connect has succeeded since, unless the
	// server is full or has asked for a pause.
	Connect error

	Waited time.Duration // from the call until the error

	Gauges // of the pool, just after the wait

	failed bool          // Cause is Connect; a flag, because == panics on errors that can't be compared
	next   time.Duration // if failed: time until the next attempt
	waited bool          // Cause is ErrTimeout or the end of the context
	gate   string        // gateText, if attempts were waiting at the gate
}

func (e *AcquireError) Error() string {
	what := "no connection"
	if e.failed {
		what = failureOf(e.Cause)
	}
	text := fmt.Sprintf("pool %q: %s after %v: %v", e.Pool, what, e.Waited.Round(time.Microsecond), e.Cause)
	switch {
	case e.failed && e.next >= time.Second && !errors.As(e.Cause, new(wrongTypeError)):
		text += fmt.Sprintf("; the next attempt is in %v, or after Reset", e.next.Round(time.Second))
	case e.failed:
	case e.Connect != nil:
		text += fmt.Sprintf("; last connect failed: %v", e.Connect)
	case e.gate != "":
		text += "; waiting for room: " + e.gate
	case e.waited && e.Leased > 0 && e.Leased >= e.MaxOpen:
		text += "; all connections are in use: raise MaxOpen, or look for a lease that is not released"
	}
	limit := ""
	if e.Limit < e.MaxOpen {
		limit = fmt.Sprintf(" limit %d,", e.Limit)
	}
	gated := ""
	if e.Gated > 0 {
		gated = fmt.Sprintf(" at the gate %d,", e.Gated)
	}
	return text + fmt.Sprintf(" (max %d,%s open %d, idle %d, leased %d, connecting %d,%s closing %d, waiting %d)",
		e.MaxOpen, limit, e.Open, e.Idle, e.Leased, e.Connecting, gated, e.Closing, e.Waiting)
}

// acquireError returns the error of an Acquire that began at began.
func (p *Pool[C]) acquireError(ctx context.Context, cause error, began time.Duration) *AcquireError {
	p.mu.Lock()
	e := &AcquireError{Pool: p.cfg.Name, Cause: plainCause(ctx, cause), Connect: p.outage.err, Waited: p.now() - began, Gauges: p.gaugesLocked()}
	e.next = p.outage.startsAt(p.occupiedLocked()) - p.now()
	pinging := p.pinging
	p.mu.Unlock()
	e.setIdle(p.countIdle() + pinging) // without mu, because many callers may fail at once
	if failed, ok := cause.(connectFailure); ok {
		e.Connect, e.failed = failed.error, true
	}
	if gated, ok := cause.(gatedWait); ok {
		cause, e.gate = gated.error, p.cfg.gateText()
	}
	e.waited = cause == ErrTimeout || cause == ctx.Err()
	return e
}

// prepareError is acquireError for a connection that could not be prepared. It omits the
// last connect error, which is unrelated.
func (p *Pool[C]) prepareError(ctx context.Context, cause error, began time.Duration) *AcquireError {
	e := p.acquireError(ctx, cause, began)
	e.Connect = nil
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

// BadConn is false: the error is not about a connection that the caller holds.
func (e *AcquireError) BadConn() bool { return false }

// connectFailure marks an error of Connect, inside the pool, as the cause of an
// AcquireError.
type connectFailure struct{ error }

// plainCause returns the AcquireError.Cause for err: without the mark of connectFailure
// or gatedWait, and with the cause of ctx if the end of ctx is the error.
func plainCause(ctx context.Context, err error) error {
	switch marked := err.(type) {
	case connectFailure:
		return marked.error
	case gatedWait:
		err = marked.error
	}
	if err != nil && err == ctx.Err() && context.Cause(ctx) != err {
		return fmt.Errorf("%w: %w", err, context.Cause(ctx))
	}
	return err
}

// withEnd returns err, the error of a function whose ctx has ended. It adds the end of
// ctx if err does not mention it.
func withEnd(ctx context.Context, err error) error {
	end, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(err, end) && errors.Is(err, cause) {
		return err
	}
	if !errors.Is(cause, end) {
		cause = fmt.Errorf("%w: %w", end, cause)
	}
	return &endedError{err, cause}
}

// endedError adds the end of the context to the error of a function given to Do. It
// unwraps only to the function's error: the cause of a context may be any error, and
// must not make this one permanent, throttled or safe to retry.
type endedError struct {
	error       // of the function
	end   error // of the context, with its cause
}

func (e *endedError) Error() string { return fmt.Sprintf("%v (the context ended: %v)", e.error, e.end) }
func (e *endedError) Unwrap() error { return e.error }

// Is also finds the error of the context and its cause. It does not find errors in the
// cause that would make e safe to retry.
func (e *endedError) Is(target error) bool {
	return target != driver.ErrBadConn && target != sqldriver.ErrBadConn && errors.Is(e.end, target)
}

// PanicError is a panic of the driver or of a hook in a goroutine of the pool,
// where only the pool can recover it.
type PanicError struct {
	Value any    // passed to panic
	Stack []byte // of the goroutine that panicked, as debug.Stack formats it
}

func (e *PanicError) Error() string { return fmt.Sprintf("pool: panic: %v", e.Value) }

// Unwrap returns the value of the panic if that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// recovered recovers a panic and sets *err to a PanicError. It must be deferred.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = &PanicError{v, debug.Stack()}
	}
}

// stack returns the stack of a PanicError as a key and a value for the log. It returns
// nil for any other err.
func stack(err error) []any {
	if p, ok := err.(*PanicError); ok {
		return []any{"stack", string(p.Stack)}
	}
	return nil
}
