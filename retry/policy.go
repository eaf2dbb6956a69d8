package retry

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/go-logr/logr"
)

// The defaults of a Policy. All waits together last at most 1.5 s: long enough
// for a peer to restart, short enough for a person waiting for the answer.
// PerAttempt and MaxElapsed have no default: only the program knows how long its
// work may take, and MaxAttempts already limits a run.
const (
	defaultMaxAttempts = 5
	defaultInterval    = 100 * time.Millisecond // several round trips: time for something to change
	defaultMaxInterval = 10 * time.Second       // so that runs notice the end of a long outage within seconds
	defaultMaxThrottle = time.Minute            // longer than the pauses that servers normally ask for

	defaultRetryMessage  = "attempt failed, will try again"
	defaultGiveUpMessage = "giving up"
)

// LevelError is the log level that writes the line with [logr.Logger.Error].
const LevelError = -1

// Policy says what is repeated, how often, and after which waits. The zero value
// works. Using a Policy does not change it: it may be copied, and shared by
// goroutines.
type Policy struct {
	// MaxAttempts limits how often the function runs, including the first time.
	// Zero means 5. One means no repetition. Negative means no limit.
	MaxAttempts int

	// Interval bounds the wait before the second attempt; the bound doubles
	// with each further attempt. Zero means 100 ms. Negative means no waits.
	Interval time.Duration

	// MaxInterval limits the doubling. Zero means 10 s. Negative means no limit.
	// If Interval is longer, it is the bound of every wait.
	MaxInterval time.Duration

	// Backoff, if not nil, provides the waits instead of Interval and
	// MaxInterval. Each run calls it once, after its first failure. It must return
	// a new BackOff each time, because runs can't share one. A negative wait, such
	// as backoff.Stop, ends the run. If Backoff returns nil, Interval and
	// MaxInterval apply.
	Backoff func() backoff.BackOff

	// PerAttempt is how long one attempt may take before its context ends. Zero
	// or negative means no limit except the caller's context. An attempt that it
	// ends after the request was sent is repeated only if RetryIf allows it,
	// because the peer may have done the work.
	PerAttempt time.Duration

	// MaxElapsed is how long after the start of Do an attempt may still begin.
	// If a wait would last longer, Do gives up at once. It doesn't cut an
	// attempt short. Zero or negative means no limit.
	MaxElapsed time.Duration

	// MaxThrottle limits the pause that a peer asks for ([driver.Throttled],
	// [driver.Full]). Zero means one minute. Negative means no limit.
	MaxThrottle time.Duration

	// RetryIf reports whether an attempt that ended with err may be repeated.
	// Nil means [Safe]. RetryIf isn't called for an error marked as permanent,
	// which is never repeated.
	RetryIf func(err error) bool

	// Budget, if not nil, limits the repetitions of all policies that share it.
	Budget *Budget

	// Logger gets a line before each wait, and one when a run gives up. The zero
	// Logger writes nothing.
	Logger logr.Logger

	// RetryLevel and GiveUpLevel are the V-levels of the two lines: zero is
	// normal, higher is for debugging. Negative means [LevelError].
	RetryLevel, GiveUpLevel int

	// RetryMessage and GiveUpMessage are the messages of the two lines. Empty
	// means "attempt failed, will try again" and "giving up". The first line has
	// the keys attempt, wait and error; the second has attempts, elapsed, reason
	// and error.
	RetryMessage, GiveUpMessage string

	// OnRetry, if not nil, is called before each wait.
	OnRetry func(ctx context.Context, f Failure)

	// OnGiveUp, if not nil, is called with the *Error that Do is about to return.
	OnGiveUp func(ctx context.Context, err *Error)
}

// Failure is an attempt that failed and is about to be repeated.
type Failure struct {
	Attempt int           // its number, from 1
	Err     error         // its error
	Wait    time.Duration // until the next attempt
	Elapsed time.Duration // since the start of Do
}

// Do runs fn until it returns nil or an error that must not be repeated, or
// until a limit of the Policy or the end of ctx forbids another attempt. It
// blocks for as long as fn and the waits take.
//
// fn gets ctx, limited by PerAttempt and carrying the number that [Attempt]
// returns.
//
// Do returns nil; or the error of the first attempt, unchanged, if that error
// must not be repeated; or an [*Error].
func (p Policy) Do(ctx context.Context, fn func(ctx context.Context) error) error {
	r := run{policy: p, ctx: ctx, start: time.Now()}
	for ctx.Err() == nil {
		err := r.attempt(fn)
		if err == nil {
			p.Budget.earn()
			return nil
		}
		wait, reason := r.next(err)
		if reason == NotRepeatable && r.attempts == 1 {
			return err
		}
		if reason != "" {
			return r.giveUp(reason)
		}
		r.retry(wait)
	}
	if r.attempts > 0 { // ctx ended in a wait for an attempt that had taken a token
		p.Budget.refund()
	}
	return r.giveUp(ContextEnded)
}

// Do is p.Do(ctx, fn), for symmetry with [Value].
func Do(ctx context.Context, p Policy, fn func(ctx context.Context) error) error {
	return p.Do(ctx, fn)
}

// Value is [Policy.Do] for a function that returns a value. If Value returns an
// error, the value is zero.
func Value[T any](ctx context.Context, p Policy, fn func(ctx context.Context) (T, error)) (T, error) {
	var v T
	err := p.Do(ctx, func(ctx context.Context) (err error) {
		v, err = fn(ctx)
		return err
	})
	if err != nil {
		var zero T
		return zero, err
	}
	return v, nil
}
