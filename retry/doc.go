// Package retry runs a function again after a failure, if a second run is both
// harmless and worthwhile.
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
// Without RetryIf, an attempt is repeated only if nothing can have reached the
// peer; see [Safe]. A request whose answer got lost is not repeated, because the
// peer may have executed it. A pool's Do ensures this: once bytes were sent on its
// connection, no error of the function is safe, not even one from a second dial
// or from another pool. Code that holds a lease itself checks Lease.Sent. For
// work that may be done twice, set RetryIf to [Always] or to your own function.
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
// ends a wait at once. Do always waits for an attempt to return, and never
// leaves one running in the background.
//
// If the first attempt fails with an error that must not be repeated, Do returns
// that error unchanged. Any other error of Do is an [*Error], which wraps the
// error of the last attempt and, if the context ended, its error. Each *Error is
// logged and passed to OnGiveUp once.
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
// A pause that the peer asked for ([driver.Throttled], [driver.Full]) is added,
// up to MaxThrottle. Any BackOff of github.com/cenkalti/backoff/v5 can replace
// these waits; see Policy.Backoff.
//
// # Limits
//
// Retries multiply load just when the peer is weakest. Give all policies for one
// peer the same [Budget], and retry at one layer only: around the pool, not both
// inside and outside it.
//
// There is deliberately no hedging: it sends a request twice by design, which is
// the opposite of what this package promises.
package retry
