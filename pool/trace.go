package pool

import (
	"context"
	"time"
)

// Trace has functions that the pool calls on events: for spans, histograms or alerts.
// Each may be nil. They are not on the fast path: without Use, an Acquire that finds
// an idle connection, and its Release, cost no more than without a Trace.
//
// The functions are called without a lock, possibly by several goroutines at the same
// time. They must not block. If a function returns a context, that must derive from the
// one passed in; nil means the one passed in. If it returns a func, the pool calls that
// once, when the operation ends; nil means none. If a function panics, no slot is lost.
// A panic in Wait or Use reaches the caller, a panic in Connect or Ping becomes the
// error of the Connect or of the check, and a panic in Close or Leak is logged as an
// error.
type Trace struct {
	// Wait is called before a caller joins the queue, in its goroutine. The context
	// that it returns is passed to ResetSession, to OnAcquire, and to a Connect that
	// is made for this caller. If a caller gets a dead connection, it joins again.
	Wait func(ctx context.Context, w WaitStart) (context.Context, func(WaitEnd))

	// Connect is called before each Connect, in a goroutine of the pool. The context
	// that it returns is passed to Connect and OnConnect. ConnectEnd covers both.
	Connect func(ctx context.Context, c ConnectStart) (context.Context, func(ConnectEnd))

	// Ping is called before each check of a connection, in a goroutine of the pool.
	// Pool.Ping does not call it.
	Ping func(ctx context.Context, p PingStart) (context.Context, func(PingEnd))

	// Close is called when the driver's Close has returned, in a goroutine of the
	// pool.
	Close func(c CloseInfo)

	// Use is called after a lease has ended, in the goroutine that ended it. It slows
	// down each Acquire, and the Release of each lease that is measured. It is not
	// called if Shutdown or a StrictGate closed the connection during the lease.
	Use func(u UseInfo)

	// UseEvery makes the pool call Use for only one lease in this many, chosen at
	// random. Zero means every lease. Negative is an error.
	UseEvery int

	// Leak is called once for a lease that is older than LeakAfter, and once more if
	// the lease ends after all. It is called in a goroutine of the pool.
	Leak func(l LeakInfo)
}

// begin calls f, a function of a Trace, unless it is nil. It returns the context to
// use from then on, and the function to call at the end, or nil.
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
	Took time.Duration // time in the queue
	Err  error         // same as AcquireError.Cause; nil if the caller got a connection
}

// ConnectStart is the start of a Connect.
type ConnectStart struct {
	Pool string // Config.Name
}

// ConnectEnd is the end of a Connect.
type ConnectEnd struct {
	Took time.Duration // time in Connect and OnConnect
	Err  error         // of Connect or OnConnect; nil if both succeeded
}

// PingStart is the start of a check.
type PingStart struct {
	Pool string // Config.Name
}

// PingEnd is the end of a check.
type PingEnd struct {
	Took time.Duration // time in Ping
	Err  error         // of Ping, or ErrInvalid; nil if the check passed
}

// CloseInfo describes a connection that was closed.
type CloseInfo struct {
	Pool   string        // Config.Name
	Cause  string        // the field of Closes: bad, invalid, idle, lifetime, uses, reset, yielded or shutdown
	Reason error         // same as for OnClose
	Age    time.Duration // time since Connect returned; zero if that failed
	Uses   int           // leases of the connection
	Took   time.Duration // time to close it, including OnClose
}

// UseInfo describes a lease that has ended.
type UseInfo struct {
	Pool string        // Config.Name
	Took time.Duration // from the end of Acquire to the end of the lease
}

// LeakInfo describes a lease that has lasted for longer than LeakAfter.
type LeakInfo struct {
	Pool string // Config.Name
	Holder
	Ended bool // it has ended since it was reported
}
