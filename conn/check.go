package conn

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"time"
)

// ResetSession makes the connection ready for its next holder: it clears the
// deadlines and the counts of the last one, and makes a [Conn.Check]. It never
// blocks, whatever ctx says. Its errors are those of Check.
func (c *Conn) ResetSession(context.Context) error {
	c.mu.Lock()
	if c.state < cancelled && !(c.readBy.IsZero() && c.writeBy.IsZero()) {
		c.nc.SetDeadline(time.Time{}) // an error shows in Check
		c.readBy, c.writeBy = time.Time{}, time.Time{}
	}
	c.mu.Unlock()
	c.sent.Store(0)
	c.received.Store(0)
	return c.Check()
}

// Check looks, without blocking, whether the connection is ready for the next
// request: open, and with nothing to read. If not, the error is an *[Error]
// which is a [driver.ErrBadConn] and wraps the reason: io.EOF (the peer closed
// it), [ErrUnread], that of a reset or an alert, or [Conn.Err]. Call it between
// requests only, since its error promises that nothing of the next was sent.
//
// An error ends the connection, but not ErrUnread: a driver whose peer may
// speak first can read what there is, and decide. No byte is lost, and the
// deadlines stay.
//
// While another goroutine is in Read, Check only returns what ended the
// connection so far; that Read will find the rest. A driver whose own goroutine
// reads all the time asks [Conn.Err] instead: a deadline which that goroutine
// sets between two reads would replace the one that keeps Check from blocking.
//
// On Unix it is one system call on the socket. Under TLS, bytes at the socket
// are no proof of data: a healthy TLS 1.3 connection has session tickets there,
// and a closed one an alert. Only then does it ask TLS, which takes a fraction
// of a millisecond. On other systems, and without a socket, it tries to read
// for as long.
func (c *Conn) Check() error {
	err := c.Err()
	if err == nil && c.reading.TryLock() {
		err = c.probeLocked()
		c.reading.Unlock()
	}
	if err == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != ErrUnread {
		c.moveLocked(failed, "check", err)
		err = c.why
	}
	return c.newErrorLocked("check", err)
}

// patience is how long a read waits that finds nothing. It must be in the
// future, or the read fails without a look at the socket; so it must also last
// from the moment it is set to the system call, which takes microseconds
// unless the system is busy with others.
const patience = 100 * time.Microsecond

// probeLocked looks for bytes or an end. reading is held.
func (c *Conn) probeLocked() error {
	switch {
	case c.peeked.Load():
		return ErrUnread
	case c.sock != nil && (!c.layered() || !c.readyLocked()):
		return c.sock.peek()
	case c.sock != nil:
		return c.probeLayersLocked()
	case c.readyLocked():
		return c.tryReadLocked(time.Now().Add(patience))
	}
	return nil
}

// probeLayersLocked is for a TLS connection, or the like, on a socket.
//
// A read whose deadline has passed returns what TLS has taken from the socket
// before, bytes, tickets or alerts, and fails where it would have to take
// more; so it never blocks. The error is a timeout, which TLS forgets. What is
// at the socket takes a read with a deadline ahead, that waits until then if
// it finds tickets alone. (All of it tested on Go 1.25 and 1.26.) If the
// deadline passed before the read began, the socket still has bytes, and the
// next one is longer.
func (c *Conn) probeLayersLocked() error {
	if err := c.tryReadLocked(aLongTimeAgo); err != nil {
		return err
	}
	for wait := patience; wait < 10*time.Millisecond; wait *= 4 {
		if err := c.sock.peek(); err != ErrUnread {
			return err
		}
		if err := c.tryReadLocked(time.Now().Add(wait)); err != nil {
			return err
		}
	}
	return ErrUnread
}

// tryReadLocked reads a byte, if there is one before the deadline by, and
// keeps it for the next Read. reading is held.
func (c *Conn) tryReadLocked(by time.Time) error {
	c.lendReadDeadline(&by)
	n, err := c.nc.Read(c.ahead[:])
	c.lendReadDeadline(&c.readBy)
	switch {
	case n > 0:
		c.peeked.Store(true)
		return ErrUnread
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	}
	return err
}

// lendReadDeadline sets the deadline of the wrapped connection, and not the
// user's, unless a cancellation has come first. t is read under mu.
func (c *Conn) lendReadDeadline(t *time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state < cancelled {
		c.nc.SetReadDeadline(*t)
	}
}

// readyLocked reports whether a Read is only that: before the handshake of
// TLS, it would start one, and a timeout would spoil it.
func (c *Conn) readyLocked() bool {
	if t, ok := c.nc.(interface{ ConnectionState() tls.ConnectionState }); ok && !c.ready {
		c.ready = t.ConnectionState().HandshakeComplete
		return c.ready
	}
	return true
}
