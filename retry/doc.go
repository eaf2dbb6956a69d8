// Package retry runs a function again when it failed in a way that makes a
// second run both harmless and worth while.
//
//	policy := retry.Policy{MaxAttempts: 5, Interval: 200 * time.Millisecond}
//
//	err := policy.Do(ctx, func(ctx context.Context) error {
//		return p.Do(ctx, send) // p is a pool: each attempt borrows a connection anew
//	})
//
// The zero [Policy] works. A Policy is a plain value: declare it once, use it
// from any number of goroutines, and copy it to change a field.
//
//	once := policy
//	once.MaxAttempts = 1
//
// # What is repeated
//
// Without RetryIf an attempt is repeated only where nothing can have reached
// the peer; see [Safe]. A request that was sent and whose answer got lost is
// not repeated, because the peer may have done it. Work that may be done twice
// says so with [Always], or with a function of its own.
//
// An error marked by [driver.Permanent] ends the run, whatever RetryIf says.
//
// # How a run goes
//
//	          ┌──────────────── wait ◄──────────────┐
//	          ▼                                      │ yes
//	Do ─► is ctx done? ─no─► attempt ─error─► may it be repeated?
//	          │ yes             │ nil                │ no
//	          ▼                 ▼                    ▼
//	       *Error              nil         *Error, or the error itself
//
// Everything happens on the goroutine that called Do: the attempts, the hooks,
// the log lines. An attempt never begins after ctx is done, and the end of ctx
// cuts a wait at once. An attempt that is under way is given its context and
// then waited for, never left behind.
//
// An error that ends the first attempt and isn't to be repeated is returned as
// it is, so that Do is invisible to the errors that are none of its business.
// Whatever else Do returns is an [*Error], which wraps the last attempt's error
// and that of the context. Each *Error is logged and given to OnGiveUp once.
//
// # Waits
//
// The waits grow from Interval by doubling up to MaxInterval, and each is drawn
// evenly between zero and that bound ("full jitter"), which keeps callers that
// failed together from coming back together. By default:
//
//	before attempt   2          3          4          5
//	wait, in ms      0 … 100    0 … 200    0 … 400    0 … 800
//
// A pause that the peer asked for by [driver.Throttled] or [driver.Full] is
// added to that, up to MaxThrottle. Any BackOff of
// github.com/cenkalti/backoff/v5 can take the place of these waits; see
// Policy.Backoff.
//
// # Limits
//
// Repeating multiplies load just when the peer is weakest. Give all policies
// for one peer the same [Budget], and retry at one layer only: around the pool,
// not inside of it and again outside.
//
// There is no hedging on purpose: a second request that races the first is
// done twice by design, which is the opposite of what this package promises.
package retry
