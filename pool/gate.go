package pool

import (
	"context"
	"fmt"
	"time"
)

// Gate limits connections beyond one pool: over the pools of a process, or over
// many processes. A pool with a Gate enters it before each Connect, and leaves it
// when the Close of that connection has returned. NewGate makes one for the
// pools of a process.
//
// Waiting at the gate is not connecting: ConnectTimeout does not run, and giving up is
// not a failure. Meanwhile, a released connection may serve the waiter, and the pool
// cancels the Enter calls it no longer needs.
type Gate interface {
	// Enter waits for room for one more connection of m, which a caller of
	// Acquire wants, until ctx ends. Any other error counts as a connect error.
	Enter(ctx context.Context, m Member) (Permit, error)

	// TryEnter is Enter for a connection that nobody waits for, such as those of
	// MinIdle. It does not wait, and takes nothing away from others.
	TryEnter(m Member) (Permit, bool)
}

// StrictGate is a Gate whose permits may end while their connections are in use. Those
// connections are then closed at once.
type StrictGate interface {
	Gate

	// Strict returns a function that the pool calls each time before it hands out a
	// connection, or nil if this gate is not strict. An error discards the
	// connection; if it is driver.IsBad, Acquire tries the next one. The pool of a
	// strict gate does not wait for the holder of a connection whose permit is
	// Lost: it closes the connection under its holder, as Shutdown does.
	Strict() func() error
}

// gateText is how the gate describes its state, for an error. It is not called under mu,
// and survives a String that panics.
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
	// Yield closes up to n idle connections whose permits are recalled, the
	// longest unused first, and returns how many. From then on Recalled is
	// called for each connection that is released.
	Yield(n int) int

	fmt.Stringer // without secrets
}

// Permit is the right to one connection.
type Permit interface {
	// Leave gives the permit back. The pool calls it once, when the server no longer
	// counts the connection, and not under a lock. It must not block.
	Leave()

	// Recalled reports whether others need the permit more: the connection has
	// come back from its holder, or was found idle by Yield. The pool closes it
	// then. Recalled is called under the pool's lock: it does not block, does not
	// exit the goroutine and calls no Member.
	Recalled(w Worth) bool

	// Lost returns a channel that is closed when the right has ended without
	// Leave. The pool then ends a Connect in progress, and closes the connection:
	// at once if it is idle, else when it is released. It does not close a hijacked
	// connection. Nil means never.
	Lost() <-chan struct{}
}

// Worth is what a connection is worth to its pool, for [Permit].
type Worth struct {
	Wanted bool          // a caller of the pool waits for it
	Unused time.Duration // since its last use, as far as the pool knows
	Cost   time.Duration // how long its Connect took
}
