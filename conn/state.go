package conn

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// state is how far the life of a connection has come. It only ever grows; see
// the package doc.
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

// moveLocked goes to the state to, because of why, and reports whether that
// lies ahead. Nothing else changes the state. mu is held.
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

// fail makes err, of a Read or a Write, the error to be returned, and ends the
// connection if err does.
func (c *Conn) fail(op string, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state >= cancelled {
		return c.newErrorLocked(op, c.why) // err is but the echo of that
	}
	e := c.newErrorLocked(op, err)
	if op == "read" && errors.Is(err, os.ErrDeadlineExceeded) && e.SafeToRetry() && e.Received == 0 {
		e.good = true
		return e
	}
	c.moveLocked(failed, op, err)
	if err == io.EOF {
		return io.EOF
	}
	return e
}

// Err returns the first error that ended the connection, an *[Error], or nil
// if it is open. It stays, whatever happens later. After a Close of a healthy
// connection it wraps [net.ErrClosed].
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

// IsValid reports whether the connection may be pooled: it is open, and no
// [Conn.Check] left a byte unread. It costs no system call, so that bytes
// still in the kernel are left to the [Conn.ResetSession] that comes before
// the next use.
func (c *Conn) IsValid() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == open && !c.peeked.Load()
}

// farewell is how long Close may take to tell the peer. crypto/tls alone would
// try for 5 seconds.
const farewell = time.Second

// Close closes the connection and makes blocked I/O fail. It may be called
// from any goroutine. The first call returns the error of the wrapped
// connection, later ones do nothing.
//
// An open connection says goodbye if its protocol has a word for it, as TLS
// does, within a second. A failed one just ends.
func (c *Conn) Close() error { return c.CloseWithError(nil) }

// CloseWithError is [Conn.Close] for a reason: I/O that fails because of it
// returns an error that wraps reason, besides [net.ErrClosed]. So a goroutine
// that reads a farewell message can tell one that waits in Write.
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
		c.nc.Close() // fails at once, having lost its base
		return err
	}
	hurry := time.AfterFunc(farewell, func() { c.base.Close() })
	defer hurry.Stop()
	return c.nc.Close()
}
