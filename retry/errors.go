package retry

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Error is returned by [Policy.Do] when it gives up. errors.Is and errors.As
// reach both the error of the last attempt and the error of the context.
type Error struct {
	// Reason is why there was no further attempt.
	Reason Reason

	// Attempts is the number of attempts. It is zero if the context was done
	// before the first.
	Attempts int

	// Elapsed is the time from the start of Do until it gave up.
	Elapsed time.Duration

	// Err is the error of the last attempt. It is nil if there was none.
	Err error

	// Context is the error of the caller's context, with its cause if it has
	// one. It is nil unless Reason is ContextEnded.
	Context error

	sent bool // an attempt may have reached the peer
}

// Reason is why Do made no further attempt. Its text works as a log value and as
// a metrics label.
type Reason string

// The reasons to give up.
const (
	NotRepeatable  Reason = "error not repeatable" // the last attempt's error is permanent, or RetryIf refused it
	OutOfAttempts  Reason = "out of attempts"      // Policy.MaxAttempts were made
	OutOfTime      Reason = "out of time"          // the next attempt would have begun after Policy.MaxElapsed
	OutOfBudget    Reason = "out of budget"        // Policy.Budget was empty
	BackoffStopped Reason = "stopped by backoff"   // Policy.Backoff returned a negative wait
	ContextEnded   Reason = "context ended"        // the caller's context was done
)

// Error states the number of attempts, the time they took, the reason for giving
// up, and the error of the last attempt.
func (e *Error) Error() string {
	if e.Err == nil {
		return "retry: not started: " + e.why()
	}
	plural := "s"
	if e.Attempts == 1 {
		plural = ""
	}
	return fmt.Sprintf("retry: gave up after %d attempt%s in %v: %s; last error: %v",
		e.Attempts, plural, e.Elapsed.Round(time.Millisecond), e.why(), e.Err)
}

// why returns the error of the context if that ended the run, else the reason.
func (e *Error) why() string {
	if e.Context == nil {
		return string(e.Reason)
	}
	return e.Context.Error()
}

// Unwrap returns Err and Context, each unless it is nil.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Err, e.Context} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// SafeToRetry reports whether no attempt can have reached the peer. The last
// error alone can't answer that: with [Always], an earlier attempt may have sent
// its request before a later one failed to connect.
func (e *Error) SafeToRetry() bool { return !e.sent }

// contextError returns the error of a context that is done, with its cause.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
