package conn

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/hotline-go/hotline/driver"
)

// ErrUnread says that the peer sent bytes that nobody asked for: the rest of
// an answer that was given up, or a message that no request belongs to.
var ErrUnread = errors.New("unread bytes")

// Error is what went wrong with a connection. It is a [net.Error], and answers
// [driver.IsBad] and [driver.SafeToRetry].
type Error struct {
	// Op is what failed: "read", "write", "set" (a deadline), "check", "bind"
	// (its context ended) or "close".
	Op string

	// Source and Addr are the local and the remote address. They may be nil.
	Source, Addr net.Addr

	// Sent and Received are the bytes moved since the last ResetSession. They
	// are 0 for Op "check", which is about the request to come. Sent is without
	// those of a Write that was under way, which nobody knows yet.
	Sent, Received int64

	// Err is the cause, such as io.EOF, a *net.OpError or context.Canceled.
	Err error

	writing bool // a Write was under way, and may have sent more than Sent
	good    bool // the connection lives on
}

// newErrorLocked fills in what the connection knows. mu is held.
func (c *Conn) newErrorLocked(op string, cause error) *Error {
	e := &Error{Op: op, Source: c.nc.LocalAddr(), Addr: c.nc.RemoteAddr(), Err: cause}
	if op != "check" {
		e.writing = c.writing.Load() > 0 // before sent, see Conn.writing
		e.Sent, e.Received = c.sent.Load(), c.received.Load()
	}
	return e
}

// Error names the operation, both addresses, the cause, and how much of the
// exchange was done.
func (e *Error) Error() string {
	var s strings.Builder
	s.WriteString("conn: " + e.Op)
	if e.Addr != nil {
		s.WriteString(" " + e.Addr.Network() + " ")
		if e.Source != nil {
			s.WriteString(e.Source.String() + "->")
		}
		s.WriteString(e.Addr.String())
	}
	fmt.Fprintf(&s, ": %v", e.plainCause())
	if e.Op != "check" {
		underWay := ""
		if e.writing {
			underWay = " and a write under way"
		}
		fmt.Fprintf(&s, " (%d bytes sent%s, %d received)", e.Sent, underWay, e.Received)
	}
	return s.String()
}

// plainCause is the cause as the text of e wants it.
func (e *Error) plainCause() any {
	if e.Err == io.EOF {
		return "closed by the peer (EOF)"
	}
	if op, ok := e.Err.(*net.OpError); ok && op.Addr != nil {
		return op.Err // without the addresses, which e names itself
	}
	return e.Err
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes an error of [Conn.Check] a [driver.ErrBadConn].
func (e *Error) Is(target error) bool {
	return target == driver.ErrBadConn && e.Op == "check"
}

// BadConn reports whether the connection is of no more use. [driver.IsBad]
// asks it.
func (e *Error) BadConn() bool { return !e.good }

// SafeToRetry reports whether nothing was sent since the last reset, nor was
// about to be by a Write under way, so that the request may be made again
// elsewhere. [driver.SafeToRetry] asks it.
func (e *Error) SafeToRetry() bool { return e.Sent == 0 && !e.writing }

// Timeout reports whether the cause is a deadline, of the user or of a
// context, or a peer that the system gave up on.
func (e *Error) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// Temporary reports what the cause says. Nothing but crypto/tls should ask: it
// spoils a connection for good if the error of a read is not temporary.
func (e *Error) Temporary() bool {
	var t interface{ Temporary() bool }
	return errors.As(e.Err, &t) && t.Temporary()
}
