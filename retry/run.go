package retry

import (
	"cmp"
	"context"
	"math"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/hotline-go/hotline/driver"
)

// run is one call of Do. It stays on the stack of Do.
type run struct {
	policy   Policy          // by value: behind a pointer it would escape to the heap
	ctx      context.Context // the caller's
	start    time.Time       // with its monotonic reading, so that setting the clock changes nothing
	attempts int
	last     error           // of the latest attempt
	sent     bool            // an attempt may have reached the peer
	waits    backoff.BackOff // nil until an attempt failed
}

// attempt runs fn once.
func (r *run) attempt(fn func(context.Context) error) error {
	r.attempts++
	ctx := withAttempt(r.ctx, r.attempts)
	if r.policy.PerAttempt > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.policy.PerAttempt)
		defer cancel()
	}
	return fn(ctx)
}

// next records the error of an attempt. It returns the wait before the next
// attempt, or the reason to give up.
func (r *run) next(err error) (time.Duration, Reason) {
	r.last = err
	r.sent = r.sent || !Safe(err)
	p := &r.policy
	switch maxAttempts := cmp.Or(p.MaxAttempts, defaultMaxAttempts); {
	case !p.repeatable(err):
		return 0, NotRepeatable
	case r.ctx.Err() != nil:
		return 0, ContextEnded
	case maxAttempts > 0 && r.attempts >= maxAttempts:
		return 0, OutOfAttempts
	}
	wait := r.backoff()
	if wait < 0 {
		return 0, BackoffStopped
	}
	wait = addPause(wait, err, p.MaxThrottle)
	if p.MaxElapsed > 0 && wait > p.MaxElapsed-time.Since(r.start) {
		return 0, OutOfTime
	}
	if !p.Budget.spend() { // last, so that only an attempt costs a token; Do refunds it if ctx ends in the wait
		return 0, OutOfBudget
	}
	return wait, ""
}

// backoff returns the next wait, without the pause that a peer asked for.
func (r *run) backoff() time.Duration {
	if r.waits == nil && r.policy.Backoff != nil {
		if r.waits = r.policy.Backoff(); r.waits != nil {
			r.waits.Reset() // some can't be used without it
		}
	}
	if r.waits == nil {
		r.waits = newFullJitter(r.policy.Interval, r.policy.MaxInterval)
	}
	return r.waits.NextBackOff()
}

// addPause returns wait plus the pause that err asks for. It is the sum, not the
// maximum, so that callers turned away together don't come back together.
func addPause(wait time.Duration, err error, maxThrottle time.Duration) time.Duration {
	pause, _ := driver.RetryAfter(err)
	if limit := cmp.Or(maxThrottle, defaultMaxThrottle); limit > 0 {
		pause = min(pause, limit)
	}
	return wait + min(pause, math.MaxInt64-wait)
}

// retry reports the coming repetition and waits for it, or until ctx ends. The
// caller checks ctx.
func (r *run) retry(wait time.Duration) {
	p := &r.policy
	p.log(p.RetryLevel, cmp.Or(p.RetryMessage, defaultRetryMessage), r.last, "attempt", r.attempts, "wait", wait)
	if p.OnRetry != nil {
		p.OnRetry(r.ctx, Failure{Attempt: r.attempts, Err: r.last, Wait: wait, Elapsed: time.Since(r.start)})
	}
	select {
	case <-time.After(wait):
	case <-r.ctx.Done():
	}
}

// giveUp makes the error of the run and reports it.
func (r *run) giveUp(reason Reason) error {
	p := &r.policy
	e := &Error{Reason: reason, Attempts: r.attempts, Elapsed: time.Since(r.start), Err: r.last, sent: r.sent}
	if reason == ContextEnded {
		e.Context = contextError(r.ctx)
	}
	p.log(p.GiveUpLevel, cmp.Or(p.GiveUpMessage, defaultGiveUpMessage), cmp.Or(e.Err, e.Context),
		"attempts", e.Attempts, "elapsed", e.Elapsed, "reason", e.why())
	if p.OnGiveUp != nil {
		p.OnGiveUp(r.ctx, e)
	}
	return e
}

// log writes one line at level, as the fields of Policy describe it.
func (p *Policy) log(level int, msg string, err error, keysAndValues ...any) {
	if level < 0 {
		p.Logger.Error(err, msg, keysAndValues...)
		return
	}
	p.Logger.V(level).Info(msg, append(keysAndValues, "error", err)...)
}
