package pool

import (
	"context"
	"time"
)

// Trace has functions that the pool calls on events off the fast path: for spans,
// histograms, alerts. Each may be nil. Without Use, they add nothing to an Acquire
// that finds an idle connection, nor to its Release.
//
// The functions run outside all locks, must not block, and may be called by several
// goroutines at the same time. A context that one returns must derive from the one it
// got; nil means the one it got. A func that one returns is called once, when the
// operation ends; nil means none. No slot is lost if a function panics. In Wait and
// Use the panic reaches the caller, in Connect and Ping it becomes the error of the
// Connect or of the check, and in Close and Leak it is logged as an error.
type Trace struct {
	// Wait is called before a caller joins the queue, in its goroutine. The context
	// is passed on to ResetSession, to OnAcquire, and to the Connect that is made for
	// this caller. A caller that gets a dead connection may join again.
	Wait func(ctx context.Context, w WaitStart) (context.Context, func(WaitEnd))

	// Connect is called before each Connect, in a goroutine of the pool. The context
	// is passed on to Connect and to OnConnect. ConnectEnd covers both.
	Connect func(ctx context.Context, c ConnectStart) (context.Context, func(ConnectEnd))

	// Ping is called before each check of a connection by the pool, in
	// a goroutine of the pool.
	Ping func(ctx context.Context, p PingStart) (context.Context, func(PingEnd))

	// Close is called when the driver's Close has returned, in a goroutine of the
	// pool.
	Close func(c CloseInfo)

	// Use is called when a holder has ended its lease, in the goroutine of that
	// holder. It slows down each Acquire, and the Release of the leases measured. It
	// is not called if Shutdown closed the connection during the lease.
	Use func(u UseInfo)

	// UseEvery makes Use measure one lease in this many, chosen at random.
	// Zero means every lease. Negative is an error.
	UseEvery int

	// Leak is called once for a lease that is older than LeakAfter, and once more if
	// the lease ends after all. A sweep calls it, in a goroutine of the pool.
	Leak func(l LeakInfo)
}

// begin calls f, a function of a Trace, unless it is nil. It returns the context to
// use from here on, and the function to call at the end, or nil.
func begin[S, E any](ctx context.Context, f func(context.Context, S) (context.Context, func(E)), start S) (context.Context, func(E)) {
	if f == nil {
		return ctx, nil
	}
	traced, end := f(ctx, start)
	if traced == nil {
		traced = ctx
	}
	return traced, end
}

// WaitStart is the start of a wait in the queue.
type WaitStart struct {
	Pool    string // Config.Name
	Waiting int    // callers in the queue, including this one
}

// WaitEnd is the end of a wait in the queue.
type WaitEnd struct {
	Took time.Duration
	Err  error // as AcquireError.Cause; nil means that the caller got a connection
}

// ConnectStart is the start of a Connect.
type ConnectStart struct {
	Pool string // Config.Name
}

// ConnectEnd is the end of a Connect.
type ConnectEnd struct {
	Took time.Duration
	Err  error // of Connect or OnConnect
}

// PingStart is the start of a check.
type PingStart struct {
	Pool string // Config.Name
}

// PingEnd is the end of a check.
type PingEnd struct {
	Took time.Duration
	Err  error // of Ping, or ErrInvalid
}

// CloseInfo is a connection that was closed.
type CloseInfo struct {
	Pool   string        // Config.Name
	Cause  string        // the counter of Closes: bad, invalid, idle, lifetime, uses, reset, yielded or shutdown
	Reason error         // as passed to OnClose
	Age    time.Duration // since Connect returned; zero if that failed
	Uses   int           // leases of the connection
	Took   time.Duration // to close it, with OnClose
}

// UseInfo is a lease that has ended.
type UseInfo struct {
	Pool string        // Config.Name
	Took time.Duration // from the end of Acquire
}

// LeakInfo is a lease that has lasted for longer than LeakAfter.
type LeakInfo struct {
	Pool string // Config.Name
	Holder
	Ended bool // it has ended since it was reported
}
