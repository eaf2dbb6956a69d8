package conn

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"time"
)

// ResetSession prepares the connection for its next holder: it clears the
// deadlines and the counts of the last one, and calls [Conn.Check]. It never
// blocks and ignores the context. Its errors are those of Check.
func (c *Conn) ResetSession(context.Context) error {
	c.mu.Lock()
	if c.state < cancelled && !(c.readBy.IsZero() && c.writeBy.IsZero()) {
		c.nc.SetDeadline(time.Time{}) // Check finds the reason for an error
		c.readBy, c.writeBy = time.Time{}, time.Time{}
	}
	c.mu.Unlock()
	c.sent.Store(0)
	c.received.Store(0)
	return c.Check()
}

// Check checks, without blocking, that the connection is ready for the next
// request: open, and with nothing to read. If not, the error is an *[Error]
// that is a [driver.ErrBadConn] and wraps the reason: io.EOF (the peer closed
// it), [ErrUnread], the error of a reset or an alert, or [Conn.Err]. Call it
// only between requests, because its error promises that no part of the next
// one was sent.
//
// Every error except ErrUnread ends the connection. After ErrUnread, a driver whose
// peer may speak first can read the bytes and decide. Check loses no byte and leaves
// the deadlines alone.
//
// While another goroutine is in Read, Check only returns the error that has
// already ended the connection; that Read will find anything else. A driver with
// a goroutine that always reads should call [Conn.Err] instead: a deadline that
// this goroutine sets between two reads would replace the one that keeps Check from
// blocking.
//
// On Unix, Check makes one system call on the socket. Under TLS, bytes in the
// socket need not be data: a healthy TLS 1.3 connection has session tickets
// there, and a closed one an alert. Only if there are bytes does Check read
// through TLS, which takes a fraction of a millisecond. On other systems, and
// without a socket, it always makes such a short read.
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

// patience is how long a read waits for a byte. Its deadline must still be in the
// future when the read makes its system call, or the read fails without trying the
// socket. The call comes within microseconds unless the system is busy.
const patience = 100 * time.Microsecond

// probeLocked checks for unread bytes and for the end of the stream. reading is
// held.
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

// probeLayersLocked checks a TLS connection, or another layer, on a socket.
//
// A read whose deadline has passed returns what TLS has already taken from the
// socket (bytes, tickets or alerts), and fails if it would have to take more; so
// it never blocks. The error is a timeout, which TLS forgets. Only a read with a
// deadline in the future takes bytes from the socket; if it finds only tickets,
// it waits until the deadline. (All of this is tested on Go 1.25 and 1.26.) If
// the deadline passes before the read begins, the socket still has bytes, and
// the next deadline is longer.
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

// tryReadLocked reads a byte, if one comes before the deadline by, and keeps it
// for the next Read. reading is held.
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

// lendReadDeadline sets the deadline of the wrapped connection, not the user's
// (c.readBy), unless a cancellation came first. It reads *t under mu.
func (c *Conn) lendReadDeadline(t *time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state < cancelled {
		c.nc.SetReadDeadline(*t)
	}
}

// readyLocked reports whether Read would only read. Before the TLS handshake, Read
// would start the handshake, and a timeout would ruin it.
func (c *Conn) readyLocked() bool {
	if t, ok := c.nc.(interface{ ConnectionState() tls.ConnectionState }); ok && !c.ready {
		c.ready = t.ConnectionState().HandshakeComplete
		return c.ready
	}
	return true
}
