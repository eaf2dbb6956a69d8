package pool

import (
	"context"
	"fmt"
	"time"
)

// Gate limits the connections of several pools together, in one process or in many.
// A pool with a Gate enters it before each Connect, and leaves it when the Close of
// that connection has returned. [NewGate] makes a Gate for the pools of a process. The
// methods of a Gate are called from several goroutines at the same time.
//
// Waiting at the gate is not connecting: ConnectTimeout does not run, and giving up is
// not a failure. Meanwhile, a released connection may serve the waiter. The pool
// cancels Enter calls that it no longer needs.
type Gate interface {
	// Enter returns a permit for one more connection of m, for which a caller of
	// Acquire is waiting. It blocks until there is room or ctx ends. Unless ctx has
	// ended, an error counts as a connect error.
	Enter(ctx context.Context, m Member) (Permit, error)

	// TryEnter is Enter for a connection that no caller waits for, such as one for
	// MinIdle. It reports false if there is no room. It must not block, and must not
	// take connections away from other members.
	TryEnter(m Member) (Permit, bool)
}

// StrictGate is a Gate whose permits can end while their connections are in use. The
// pool then closes these connections at once.
type StrictGate interface {
	Gate

	// Strict returns a function that the pool calls each time before it hands out a
	// connection, or nil if this gate is not strict. If the function returns an error,
	// the pool discards the connection; if the error is driver.IsBad, Acquire tries
	// the next one. When a permit is Lost, a pool with a strict gate does not wait for
	// the holder: it closes the connection while it is in use, as Shutdown does.
	Strict() func() error
}

// gateText returns the gate's description of its state, or nothing if there is no gate.
// It must not be called under mu. It survives a String method that panics.
func (c *Config) gateText() string {
	switch gate := c.Gate.(type) {
	case nil:
		return ""
	case fmt.Stringer:
		return fmt.Sprint(gate)
	}
	return "at the gate"
}

// Member is a pool as a [Gate] sees it.
type Member interface {
	// Yield closes up to n idle connections, those unused longest first, and returns
	// their number. It asks Permit.Recalled before each, and stops when that reports
	// false. The pool also calls Recalled for each connection that is in use at that
	// time, when it is released. Yield does not block.
	Yield(n int) int

	fmt.Stringer // without secrets
}

// Permit is the right to have one connection.
type Permit interface {
	// Leave gives the permit back. The pool calls it once, when the server no longer
	// counts the connection, and not under a lock. It must not block.
	Leave()

	// Recalled reports whether other members need the permit more. If so, the pool
	// closes the connection. The pool calls Recalled when the connection is released,
	// and when Yield finds it idle. It does so under its lock, so Recalled must not
	// block, exit the goroutine or call a Member.
	Recalled(w Worth) bool

	// Lost returns a channel that is closed if the permit ends before Leave is
	// called. The pool then ends the Connect in progress or closes the connection: at
	// once if it is idle, else when it is released. It does not close a hijacked
	// connection. A nil channel means that the permit can't be lost.
	Lost() <-chan struct{}
}

// Worth is how much a connection is worth to its pool, for [Permit].
type Worth struct {
	Wanted bool          // whether a caller of the pool waits for it
	Unused time.Duration // time since its last use, as far as the pool knows
	Cost   time.Duration // how long its Connect took
}
