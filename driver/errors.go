package driver

import (
	"context"
	"crypto/tls"
	sqldriver "database/sql/driver"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"time"
)

// ErrBadConn says that a connection is dead and that the peer did nothing of
// what was asked: the request may be made again on another connection.
//
// A driver must not return it once any byte of the request was sent, for then
// the peer may have acted. The rule is that of [database/sql/driver.ErrBadConn].
var ErrBadConn = errors.New("driver: bad connection")

// Permanent marks err as one that dialing again, as configured, can't mend:
// a wrong password, a bad certificate, an unknown mailbox. It returns nil for
// nil. The message stays that of err.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// IsPermanent reports whether err, or an error that it wraps, was marked by
// [Permanent]. An error that is [IsFull] is never permanent.
func IsPermanent(err error) bool {
	permanent, _ := ask(err, isPermanent)
	return permanent && !IsFull(err)
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// Throttled marks err as the server's wish for a pause of the length after.
// Zero or less means that the server named no length. It returns nil for nil.
// The message stays that of err.
func Throttled(err error, after time.Duration) error {
	if err == nil {
		return nil
	}
	return &pausedError{err: err, after: max(after, 0)}
}

// Full marks err as an answer of a server that has no room for one more
// connection: of this account, of this client, or of anybody. It is returned
// by Connect, and it is no failure: the server works, and there is room again
// when a connection is closed.
//
// after is how long to wait before asking for one more. Zero or less means
// that the server named no length. Full returns nil for nil. The message stays
// that of err.
//
// A server that has room but wants less traffic is [Throttled] instead.
func Full(err error, after time.Duration) error {
	if err == nil {
		return nil
	}
	return &pausedError{err: err, after: max(after, 0), full: true}
}

// IsFull reports whether err, or an error that it wraps, was marked by [Full].
//
// The outer mark wins where one error is both full and permanent: Permanent
// around Full is permanent, Full around Permanent is full. Of joined errors,
// one that is full makes all of them full, since another attempt may succeed.
// Throttled changes neither.
func IsFull(err error) bool {
	full, _ := ask(err, isFull)
	return full
}

// RetryAfter reports whether err was marked by [Throttled] or [Full], and the
// pause that the server asked for. Zero means that it named no length. The
// outer mark wins.
func RetryAfter(err error) (time.Duration, bool) {
	var p *pausedError
	if errors.As(err, &p) {
		return p.after, true
	}
	return 0, false
}

// pausedError is an error marked by Throttled or Full.
type pausedError struct {
	err   error
	after time.Duration
	full  bool
}

func (e *pausedError) Error() string { return e.err.Error() }
func (e *pausedError) Unwrap() error { return e.err }

// isFull and isPermanent are questions for ask. Each mark answers both, so
// that the outer one counts.

func isFull(err error) (full, known bool) {
	switch e := err.(type) {
	case *permanentError:
		return false, true
	case *pausedError:
		return e.full, e.full
	}
	return false, false
}

func isPermanent(err error) (permanent, known bool) {
	switch e := err.(type) {
	case *permanentError:
		return true, true
	case *pausedError:
		return false, e.full
	}
	return false, false
}

// IsBad reports whether a connection whose use ended with err must be
// discarded. It is true for [ErrBadConn] (that of database/sql as well), for
// the end of the stream, for a closed connection, for any [net.Error], for TLS
// alerts and broken TLS records, and for the end of a context, because nobody
// knows how far the exchange got.
//
// An error in the chain with a method BadConn() bool answers for itself and
// for all that it wraps. Errors about files are never about the connection.
func IsBad(err error) bool {
	bad, _ := ask(err, isBad)
	return bad
}

var badErrors = []error{
	ErrBadConn, sqldriver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed,
	context.Canceled, context.DeadlineExceeded,
}

func isBad(err error) (bad, known bool) {
	if v, ok := err.(interface{ BadConn() bool }); ok {
		return v.BadConn(), true
	}
	for _, target := range badErrors {
		if is(err, target) {
			return true, true
		}
	}
	switch err.(type) {
	case *fs.PathError, *os.LinkError:
		return false, true
	case net.Error, tls.AlertError, tls.RecordHeaderError:
		return true, true
	}
	return false, false
}

// SafeToRetry reports whether err says that nothing was sent to the peer, so
// that the request may be made again without being made twice. It is true for
// [ErrBadConn], and for an error in the chain with a method SafeToRetry() bool
// that returns true; such an error answers for all that it wraps. Of joined
// errors, all that have an answer must say so.
func SafeToRetry(err error) bool {
	unsafe, known := ask(err, isUnsafe)
	return known && !unsafe
}

func isUnsafe(err error) (unsafe, known bool) {
	if v, ok := err.(interface{ SafeToRetry() bool }); ok {
		return !v.SafeToRetry(), true
	}
	return false, is(err, ErrBadConn) || is(err, sqldriver.ErrBadConn)
}

// is reports whether err is target by itself, as one step of errors.Is does.
func is(err, target error) bool {
	if err == target {
		return true
	}
	v, ok := err.(interface{ Is(error) bool })
	return ok && v.Is(target)
}

// ask puts question to err and, where that has no answer, to what it wraps.
// The outermost answer on each branch counts; yes is true if any is.
func ask(err error, question func(error) (yes, known bool)) (yes, known bool) {
	if err == nil {
		return false, false
	}
	if yes, known = question(err); known {
		return yes, true
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return ask(e.Unwrap(), question)
	case interface{ Unwrap() []error }:
		for _, branch := range e.Unwrap() {
			y, k := ask(branch, question)
			yes, known = yes || y, known || k
		}
	}
	return yes, known
}
