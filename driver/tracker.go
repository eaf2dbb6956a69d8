package driver

import "context"

// Tracker is implemented by a [Connector] that follows its connections after
// Connect, such as one to several servers (package driver/endpoints). A pool looks
// for it by type assertion. A Connector that wraps another passes it on, or loses
// it.
type Tracker interface {
	// Track is called when a pool is opened, in a goroutine of the pool. It may
	// return at any time, and returns soon after ctx ends, which is when the pool
	// is closed.
	//
	// Until then it may call replace. The pool calls match for each of its open
	// connections, and replaces those for which that returns true as if their
	// lifetime had ended: the new one is connected first, where there is room,
	// and while connecting fails they stay. match is called without a lock, on
	// connections that may be in use.
	Track(ctx context.Context, replace func(match func(Conn) bool))

	// Forget is called when a pool is reset, before it connects anew. Connects that
	// fail because they began before that say nothing about the server. It does not
	// block.
	Forget()

	// Ended follows Close of c, which Connect has returned to a pool, once for
	// each connection. useless says that c was dead at its first use, without
	// a word from the peer; see [Receiver].
	Ended(c Conn, useless bool)
}
