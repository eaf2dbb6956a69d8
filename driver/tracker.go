package driver

import "context"

// Tracker is implemented by a [Connector] that follows its connections after
// Connect, such as a connector to several servers (package driver/endpoints). The
// pool finds it by type assertion, so a Connector that wraps a Tracker must have
// its methods too.
type Tracker interface {
	// Track is called when a pool is opened, in a goroutine of the pool. It may
	// return at any time, and returns soon after ctx ends, which happens when the
	// pool is closed.
	//
	// Until then it may call replace. The pool calls match for each of its open
	// connections, and replaces those that match as if their lifetime had ended:
	// it connects the new one first if it has room, and keeps the old one while
	// connecting fails. match is called without a lock, on connections that may be
	// in use.
	Track(ctx context.Context, replace func(match func(Conn) bool))

	// Forget is called when a pool is reset, before it cancels its Connects and
	// begins new ones. The failure of a Connect that began before Forget says
	// nothing about the server. Forget does not block.
	Forget()

	// Ended is called once for each connection that Connect has returned to
	// a pool, after its Close. useless says that c was dead at its first use and
	// had received nothing from the peer; see [Receiver].
	Ended(c Conn, useless bool)
}
