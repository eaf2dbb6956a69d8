package driver

import (
	"context"
	"time"
)

// callerDeadlineKey is the key of a time.Time in a context.
type callerDeadlineKey struct{}

// WithCallerDeadline returns a context for Connect that says when the caller of the
// pool stops waiting for the connection. Pools call it. Connect may take longer: only
// the deadline of ctx bounds it, and the connection then serves another caller. If
// the caller has little time, package driver/endpoints tries the next server sooner.
func WithCallerDeadline(ctx context.Context, at time.Time) context.Context {
	return context.WithValue(ctx, callerDeadlineKey{}, at)
}

// CallerDeadline returns the time that [WithCallerDeadline] has set. ok is false if
// no caller waits for the connection, or if the caller has no deadline.
func CallerDeadline(ctx context.Context) (at time.Time, ok bool) {
	at, ok = ctx.Value(callerDeadlineKey{}).(time.Time)
	return at, ok
}
