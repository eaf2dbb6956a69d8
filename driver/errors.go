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

// ErrBadConn means that the connection is dead and that the peer can't have acted
// on the request. So the request may be made again on another connection.
//
// A driver must not return it once any byte of the request was sent, because the
// peer may have acted on it. [database/sql/driver.ErrBadConn] has the same rule.
// If the connection is a [Sender] and has counted such bytes, the pool does not
// treat ErrBadConn as safe to retry.
var ErrBadConn = errors.New("driver: bad connection")

// Permanent marks err as an error that another dial with the same configuration
// can't fix: a wrong password, a bad certificate, an unknown mailbox. The message
// stays the same. Permanent returns nil for nil.
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

// Throttled marks err as a server's request to pause for the duration after.
// Zero or less means that the server gave no duration. The message stays the
// same. Throttled returns nil for nil.
func Throttled(err error, after time.Duration) error {
	if err == nil {
		return nil
	}
	return &pausedError{err: err, after: max(after, 0)}
}

// Full marks err as the answer of a server that has no room for another
// connection: from this account, from this client, or from anybody. Connect
// returns it. It is not a failure: the server works, and has room again once a
// connection is closed.
//
// after is how long to wait before trying again. Zero or less means that the
// server gave no duration. The message stays the same. Full returns nil for nil.
//
// If a server has room but wants less traffic, use [Throttled] instead.
func Full(err error, after time.Duration) error {
	if err == nil {
		return nil
	}
	return &pausedError{err: err, after: max(after, 0), full: true}
}

// IsFull reports whether err, or an error that it wraps, was marked by [Full].
//
// If an error is marked by both Full and [Permanent], the outer mark wins:
// Permanent around Full is permanent, Full around Permanent is full. Joined errors
// are full if one of them is, since another attempt may succeed. [Throttled]
// changes neither.
func IsFull(err error) bool {
	full, _ := ask(err, isFull)
	return full
}

// RetryAfter returns the pause that the server asked for, and reports whether err
// was marked by [Throttled] or [Full]. Zero means that the server gave no
// duration. The outer mark wins.
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

// isFull and isPermanent are questions for ask. Each mark answers both
// questions, so that the outer mark wins.

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
// discarded. It is true for [ErrBadConn] and its namesake in database/sql, for the
// end of the stream, for a closed connection, for any [net.Error], for TLS alerts
// and broken TLS records, and for the end of a context, because nobody knows how
// far the exchange got.
//
// If an error in the chain has a method BadConn() bool, that method decides for
// the error and everything it wraps. Errors about files never make IsBad true.
func IsBad(err error) bool {
	bad, _ := ask(err, isBad)
	return bad
}

// IsGood reports whether a connection whose use ended with err is known to be as
// good as before: err is nil, has a method BadConn() bool that returns false, or
// is about a file. An error that is neither IsGood nor [IsBad] is unknown: the
// connection may be good or bad. Unknown errors among joined ones don't count.
func IsGood(err error) bool {
	bad, known := ask(err, isBad)
	return err == nil || known && !bad
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
// that the request may be made again without being done twice. It is true for
// [ErrBadConn], and if an error in the chain has a method SafeToRetry() bool that
// returns true. That method decides for the error and everything it wraps. Joined
// errors are safe if at least one is and none says it isn't.
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

// is reports whether err itself matches target: one step of errors.Is.
func is(err, target error) bool {
	if err == target {
		return true
	}
	v, ok := err.(interface{ Is(error) bool })
	return ok && v.Is(target)
}

// ask puts question to err and, if it has no answer, to the errors it wraps.
// The outermost answer on each branch counts; yes is true if any answer is.
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
