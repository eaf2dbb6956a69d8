package conn

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// state is the state of a connection. It only grows; see the package doc.
type state uint8

const (
	open state = iota
	failed
	cancelled
	closed
)

func (s state) String() string {
	return [...]string{"open", "failed", "cancelled", "closed"}[s]
}

// moveLocked moves to the state to because of why, and reports whether it did:
// it never moves back. mu is held.
func (c *Conn) moveLocked(to state, op string, why error) bool {
	if to <= c.state {
		return false
	}
	c.state, c.why = to, why
	if c.first == nil {
		c.first = c.newErrorLocked(op, why)
	}
	return true
}

// fail turns err, from a Read or Write of nc, into the error to return, and
// ends the connection unless err leaves it usable.
func (c *Conn) fail(op string, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state >= cancelled {
		return c.newErrorLocked(op, c.why) // err is only a consequence of c.why
	}
	e := c.newErrorLocked(op, err)
	if op == "read" && c.state == open && errors.Is(err, os.ErrDeadlineExceeded) && e.SafeToRetry() && e.Received == 0 {
		e.good = true
		return e
	}
	c.moveLocked(failed, op, err)
	if err == io.EOF {
		return io.EOF
	}
	return e
}

// Err returns the error that ended the connection, an *[Error], or nil if it is
// open. Later errors don't replace it. After a Close of a healthy connection it
// wraps [net.ErrClosed].
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

// IsValid reports whether the connection may be pooled: it is open, and no
// [Conn.Check] found a byte that is still unread. It makes no system call:
// [Conn.ResetSession], before the next use, finds bytes still in the kernel.
func (c *Conn) IsValid() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == open && !c.peeked.Load()
}

// farewell is how long Close may take to say goodbye to the peer. crypto/tls on
// its own would try for 5 seconds.
const farewell = time.Second

// Close closes the connection and makes blocked I/O fail. Any goroutine may call
// it. The first call returns the error of the wrapped connection; later calls do
// nothing.
//
// An open connection takes up to a second to say goodbye if the wrapped
// connection can, as TLS does. A failed one closes at once.
func (c *Conn) Close() error { return c.CloseWithError(nil) }

// CloseWithError is [Conn.Close] with a reason: I/O that fails because of it
// returns an error that wraps both reason and [net.ErrClosed]. So a goroutine that
// reads a farewell message can pass it to a goroutine that is blocked in Write.
func (c *Conn) CloseWithError(reason error) error {
	why := net.ErrClosed
	if reason != nil {
		why = fmt.Errorf("%w: %w", net.ErrClosed, reason)
	}
	c.mu.Lock()
	healthy := c.state == open
	first := c.moveLocked(closed, "close", why)
	c.mu.Unlock()
	switch {
	case !first:
		return nil
	case !c.layered():
		return c.nc.Close()
	case !healthy:
		err := c.base.Close()
		c.nc.Close() // fails at once, because its base is closed
		return err
	}
	giveUp := time.AfterFunc(farewell, func() { c.base.Close() })
	defer giveUp.Stop()
	return c.nc.Close()
}
