package retry

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/go-logr/logr"
)

// The defaults of a Policy. All waits together last 1.5 s at the most: enough
// to sit out a peer that restarts, short enough for somebody who waits for the
// answer. PerAttempt and MaxElapsed have no default: only the program knows how
// long its work may take, and the number of attempts bounds a run already.
const (
	defaultMaxAttempts = 5
	defaultInterval    = 100 * time.Millisecond // several round trips, so that a retry meets a changed world
	defaultMaxInterval = 10 * time.Second       // an outage of minutes is noticed to be over within seconds
	defaultMaxThrottle = time.Minute            // the pauses that servers ask for in earnest are shorter

	defaultRetryMessage  = "attempt failed, will try again"
	defaultGiveUpMessage = "giving up"
)

// LevelError as a log level writes the line with [logr.Logger.Error].
const LevelError = -1

// Policy says what is repeated, how often and after which waits. The zero value
// works. A Policy is not changed by its use: it may be copied, and shared by
// goroutines.
type Policy struct {
	// MaxAttempts is how often the function is run at the most, the first time
	// included. Zero means 5. One means no repetition. Negative means no limit.
	MaxAttempts int

	// Interval bounds the wait before the second attempt; the bound doubles
	// with each further one. Zero means 100 ms. Negative means no waits.
	Interval time.Duration

	// MaxInterval is where the doubling ends. Zero means 10 s. Negative means
	// that it never does. It counts as Interval where that is longer.
	MaxInterval time.Duration

	// Backoff, if not nil, gives the waits instead of Interval and MaxInterval.
	// It must return a new BackOff each time: it is called once per run, when
	// the first attempt failed, and the BackOff is used by that run alone. A
	// negative wait, such as backoff.Stop, ends the run. If it returns nil,
	// that run waits as without it.
	Backoff func() backoff.BackOff

	// PerAttempt is how long one attempt may take before its context ends.
	// Zero or negative means no limit besides that of the caller's context. An
	// attempt that it ended while a request was under way is repeated only if
	// RetryIf says so, because the peer may have done it.
	PerAttempt time.Duration

	// MaxElapsed is how long after the start of Do an attempt may still begin;
	// a wait that would last longer is not begun. It doesn't cut an attempt
	// short. Zero or negative means no limit.
	MaxElapsed time.Duration

	// MaxThrottle is the longest pause made because a peer asked for it by
	// [driver.Throttled] or [driver.Full]. Zero means one minute. Negative
	// means no limit.
	MaxThrottle time.Duration

	// RetryIf reports whether an attempt that ended with err may be repeated.
	// Nil means [Safe]. An error marked as permanent is never repeated, and
	// RetryIf isn't asked about it.
	RetryIf func(err error) bool

	// Budget, if not nil, bounds the repetitions of all who share it.
	Budget *Budget

	// Logger gets a line before each wait and one when a run is given up. The
	// zero Logger writes nothing.
	Logger logr.Logger

	// RetryLevel and GiveUpLevel are the V-levels of the two lines: zero is
	// what everybody sees, higher is for debugging. Negative is [LevelError].
	RetryLevel, GiveUpLevel int

	// RetryMessage and GiveUpMessage are the messages of the two lines. Empty
	// means "attempt failed, will try again" and "giving up". The values go
	// with them as keys: attempt, wait and error for the first; attempts,
	// elapsed, reason and error for the second.
	RetryMessage, GiveUpMessage string

	// OnRetry, if not nil, is called before each wait.
	OnRetry func(ctx context.Context, f Failure)

	// OnGiveUp, if not nil, is called once with the *Error that Do is about to
	// return.
	OnGiveUp func(ctx context.Context, err *Error)
}

// Failure is an attempt that failed and is about to be repeated.
type Failure struct {
	Attempt int           // its number, from 1
	Err     error         // how it ended
	Wait    time.Duration // until the next attempt
	Elapsed time.Duration // since the start of Do
}

// Do runs fn until it returns nil, until its error isn't one to repeat, or
// until a limit of the Policy or the end of ctx forbids another attempt. It
// blocks for as long as fn and the waits take.
//
// fn is given ctx, bounded by PerAttempt, with the number that [Attempt] reads.
//
// Do returns nil; or the error of the first attempt, unchanged, if that isn't
// one to repeat; or an [*Error].
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
	if r.attempts > 0 { // ctx ended in a wait whose attempt was paid for
		p.Budget.refund()
	}
	return r.giveUp(ContextEnded)
}

// Value is [Policy.Do] for a function that returns a value. With an error, the
// value is the zero value of T.
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
