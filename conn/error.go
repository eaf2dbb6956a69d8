package conn

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/hotline-go/hotline/driver"
)

// ErrUnread means that the peer sent bytes nobody has read: the rest of an
// abandoned answer, or a message that answers no request.
var ErrUnread = errors.New("unread bytes")

// Error is the failure of an operation on a connection. It is a [net.Error], and
// [driver.IsBad] and [driver.SafeToRetry] understand it.
type Error struct {
	// Op is the operation that failed: "read", "write", "set" (a deadline),
	// "check", "bind" (its context ended) or "close".
	Op string

	// Source and Addr are the local and the remote address. They may be nil.
	Source, Addr net.Addr

	// Sent and Received are the bytes moved since the last ResetSession. They
	// are 0 for Op "check", which concerns the next request. Sent excludes the
	// bytes of a Write in progress, whose number is not known yet.
	Sent, Received int64

	// Err is the cause, such as io.EOF, a *net.OpError or context.Canceled.
	Err error

	writing bool // a Write was in progress, and may have sent more than Sent
	good    bool // the connection is still usable
}

// newErrorLocked returns an Error with the addresses and counts of c. mu is held.
func (c *Conn) newErrorLocked(op string, cause error) *Error {
	e := &Error{Op: op, Source: c.nc.LocalAddr(), Addr: c.nc.RemoteAddr(), Err: cause}
	if op != "check" {
		e.writing = c.writing.Load() > 0 // load it before sent; see Conn.writing
		e.Sent, e.Received = c.sent.Load(), c.received.Load()
	}
	return e
}

// Error names the operation, both addresses, the cause, and how many bytes were
// sent and received.
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
		writing := ""
		if e.writing {
			writing = " and a write in progress"
		}
		fmt.Fprintf(&s, " (%d bytes sent%s, %d received)", e.Sent, writing, e.Received)
	}
	return s.String()
}

// plainCause returns the cause for the text of e.
func (e *Error) plainCause() any {
	if e.Err == io.EOF {
		return "closed by the peer (EOF)"
	}
	if op, ok := e.Err.(*net.OpError); ok && op.Addr != nil {
		return op.Err // without the addresses, which e already names
	}
	return e.Err
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes an error of [Conn.Check] a [driver.ErrBadConn].
func (e *Error) Is(target error) bool {
	return target == driver.ErrBadConn && e.Op == "check"
}

// BadConn reports whether the connection is unusable. [driver.IsBad] calls it.
func (e *Error) BadConn() bool { return !e.good }

// SafeToRetry reports whether nothing was sent since the last reset and no Write
// was in progress, so that the request may be made again on another connection.
// [driver.SafeToRetry] calls it.
func (e *Error) SafeToRetry() bool { return e.Sent == 0 && !e.writing }

// Timeout reports whether the cause is a deadline, of the user or of a context,
// or a timeout of the operating system.
func (e *Error) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// Temporary reports whether the cause is temporary. It exists for crypto/tls,
// which treats a connection as broken after a read error that is not temporary.
func (e *Error) Temporary() bool {
	var t interface{ Temporary() bool }
	return errors.As(e.Err, &t) && t.Temporary()
}
