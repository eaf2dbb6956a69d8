package drivertest

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync/atomic"

	"github.com/hotline-go/hotline/driver"
)

// FakeConn is a connection of a [Fake]. It is a [driver.Pinger],
// a [driver.SessionResetter], a [driver.Validator], a [driver.Receiver] and
// a [driver.Sender]. Use [Bare] for connections without these interfaces, and
// [Bound] for connections that are also a [driver.Binder].
type FakeConn struct {
	// ID is the number of the Connect that made the connection, from 1.
	ID int

	fake   *Fake
	closed chan struct{} // closed by the first Close
	killed chan struct{} // closed by Kill
	full   error         // what Connect returns if the server has no room; else nil

	// uses is deliberately a plain int: two users without synchronization are
	// a data race on it, which -race reports.
	uses   int
	users  atomic.Int32 // calls in progress
	broken atomic.Bool  // an error has ended the connection

	// Round trips since Connect or ResetSession: sent counts the ones that may
	// have reached the peer, received the ones that succeeded.
	sent, received atomic.Int64

	bound context.Context // of Bind; nil when not bound

	connected  bool   // guarded by fake.mu: Connect succeeded
	closeStack []byte // guarded by fake.mu: the stack of the first Close
}

// Use stands for a request: a round trip to the peer. It fails with [io.EOF] after
// the connection was killed, and with [net.ErrClosed] after it was closed. It
// reports a second user, and use after Close, to the [Fake].
func (c *FakeConn) Use() error {
	ctx := context.Background()
	if c.bound != nil {
		ctx = c.bound
	}
	return c.roundTrip(ctx, Use)
}

// Uses returns the number of calls, not counting Close. Only the user of the
// connection may call it.
func (c *FakeConn) Uses() int { return c.uses }

// Received implements [driver.Receiver]. It returns how many calls of Use and
// Ping have succeeded since Connect or the last ResetSession.
func (c *FakeConn) Received() int64 { return c.received.Load() }

// Sent implements [driver.Sender]. It returns how many calls of Use and Ping were
// made since Connect or the last ResetSession, except those whose error says that
// nothing was sent.
func (c *FakeConn) Sent() int64 { return c.sent.Load() }

// Ping implements [driver.Pinger].
func (c *FakeConn) Ping(ctx context.Context) error {
	err := c.roundTrip(ctx, Ping)
	if err != nil {
		c.broken.Store(true)
	}
	return err
}

// ResetSession implements [driver.SessionResetter]. It finds a killed
// connection without a round trip, and returns [driver.ErrBadConn] for it.
func (c *FakeConn) ResetSession(ctx context.Context) error {
	c.enter(ResetSession)
	defer c.leave()
	c.sent.Store(0)
	c.received.Store(0)
	switch {
	case c.bound != nil:
		c.fake.violation(c, "ResetSession without unbind")
	case c.isKilled(), c.broken.Load():
		return driver.ErrBadConn
	}
	return c.fake.play(ctx, ResetSession, c)
}

// IsValid implements [driver.Validator]. It is false after Close and after
// a call that found the connection dead. A killed connection looks valid until it is
// used.
func (c *FakeConn) IsValid() bool {
	c.enter(IsValid)
	defer c.leave()
	if c.IsClosed() || c.broken.Load() {
		return false
	}
	return c.fake.play(context.Background(), IsValid, c) == nil
}

// Close closes the connection and unblocks calls in progress. The server counts
// it until Close returns. A second Close does nothing, but is reported to the
// [Fake].
func (c *FakeConn) Close() error {
	if !c.beginClose() {
		return nil
	}
	defer c.fake.closed(c) // even if the step panics
	return c.fake.play(context.Background(), Close, c)
}

// beginClose reports whether this is the first Close.
func (c *FakeConn) beginClose() bool {
	stack := debug.Stack()
	c.fake.mu.Lock()
	c.fake.counts.Closes++
	firstStack := c.closeStack
	if firstStack == nil {
		c.closeStack = stack
		close(c.closed)
	}
	c.fake.mu.Unlock()
	if firstStack != nil {
		c.fake.violation(c, fmt.Sprintf("second Close; the first was\n%s\nand the second", firstStack))
	}
	return firstStack == nil
}

// Kill ends the connection from the server's side: calls in progress and all
// later ones fail. The server counts it until the pool closes it.
func (c *FakeConn) Kill() {
	c.fake.mu.Lock()
	defer c.fake.mu.Unlock()
	c.kill()
}

// kill is Kill with fake.mu held.
func (c *FakeConn) kill() {
	if !c.isKilled() {
		close(c.killed)
	}
}

// IsClosed reports whether Close was called.
func (c *FakeConn) IsClosed() bool { return isDone(c.closed) }

func (c *FakeConn) isKilled() bool { return isDone(c.killed) }

func isDone(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// enter begins a call that only the user may make.
func (c *FakeConn) enter(op Op) {
	c.uses++ // first: the atomics below would synchronize two users
	if c.users.Add(1) > 1 {
		c.fake.violation(c, op.String()+" while another call is in progress")
	}
	if op != IsValid && c.IsClosed() {
		c.fake.violation(c, op.String()+" after Close")
	}
	switch op {
	case Ping:
		c.fake.count(func(n *Counts) { n.Pings++ })
	case ResetSession:
		c.fake.count(func(n *Counts) { n.Resets++ })
	}
}

func (c *FakeConn) leave() { c.users.Add(-1) }

// roundTrip is a call that the peer must answer.
func (c *FakeConn) roundTrip(ctx context.Context, op Op) error {
	c.enter(op)
	defer c.leave()
	err := c.state(ctx)
	if err == nil {
		err = c.fake.play(ctx, op, c)
		if !driver.SafeToRetry(err) {
			c.sent.Add(1)
		}
	}
	if err == nil {
		err = c.state(ctx) // the connection may have ended meanwhile
	}
	if err == nil {
		c.received.Add(1)
	}
	if driver.IsBad(err) {
		c.broken.Store(true)
	}
	return err
}

// state returns the reason why a round trip can't be made now, or nil.
func (c *FakeConn) state(ctx context.Context) error {
	switch {
	case c.IsClosed():
		return net.ErrClosed
	case c.isKilled():
		return io.EOF
	}
	return ctx.Err()
}

// BareConn is a connection whose only method of the contract is Close. See [Bare].
type BareConn struct{ conn *FakeConn }

// Bare is a [Fake.Wrap] for connections without any optional interface. They
// are [*BareConn].
func Bare(c *FakeConn) driver.Conn { return &BareConn{c} }

// Close closes the connection; see [FakeConn.Close].
func (b *BareConn) Close() error { return b.conn.Close() }

// Use makes a round trip; see [FakeConn.Use].
func (b *BareConn) Use() error { return b.conn.Use() }

// FakeConn returns the connection underneath.
func (b *BareConn) FakeConn() *FakeConn { return b.conn }

// BoundConn is a connection with all optional interfaces. See [Bound].
type BoundConn struct{ *FakeConn }

// Bound is a [Fake.Wrap] for connections that are also a [driver.Binder]. They
// are [*BoundConn].
func Bound(c *FakeConn) driver.Conn { return &BoundConn{c} }

// Bind makes Use obey ctx until unbind is called. Binds nest: Use obeys all of
// them.
func (b *BoundConn) Bind(ctx context.Context) (unbind func()) {
	outer := b.bound
	if outer == nil {
		b.bound = ctx
		return func() { b.bound = nil }
	}
	both, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(outer, cancel)
	b.bound = both
	return func() {
		stop()
		cancel()
		b.bound = outer
	}
}
