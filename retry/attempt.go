package retry

import "context"

type attemptKey struct{}

// Attempt returns the number of the attempt that runs with ctx, counted from 1
// by the innermost Do. Use it in log lines, or to distinguish a first request from
// a repeated one. Outside Do it returns 1, as for a first attempt.
//
// It differs between attempts, so it is not an idempotency key: make the key
// before Do, and send the number with it.
func Attempt(ctx context.Context) int {
	if n, ok := ctx.Value(attemptKey{}).(int); ok {
		return n
	}
	return 1
}

// withAttempt returns ctx with n as its number. A first attempt needs no new
// context, and so no allocation, unless ctx comes from an attempt of another Do.
func withAttempt(ctx context.Context, n int) context.Context {
	if Attempt(ctx) == n {
		return ctx
	}
	return context.WithValue(ctx, attemptKey{}, n)
}
