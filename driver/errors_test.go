package driver_test

import (
	"context"
	"crypto/tls"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver"
)

var errNo = errors.New("imap: no such mailbox")

// wrappings are the ways in which an error may be wrapped when it is classified.
var wrappings = map[string]func(error) error{
	"bare":          func(err error) error { return err },
	"wrapped":       func(err error) error { return fmt.Errorf("select: %w", err) },
	"wrapped twice": func(err error) error { return fmt.Errorf("a: %w", fmt.Errorf("b: %w", err)) },
	"joined first":  func(err error) error { return errors.Join(err, errNo) },
	"joined last":   func(err error) error { return errors.Join(errNo, err) },
	"joined deep": func(err error) error {
		return fmt.Errorf("%w and %w", errNo, errors.Join(errNo, fmt.Errorf("c: %w", err)))
	},
	"permanent": driver.Permanent,
	"throttled": func(err error) error { return driver.Throttled(err, time.Second) },
}

func TestPermanentIsFoundThroughAnyWrapping(t *testing.T) {
	for name, wrap := range wrappings {
		assert.True(t, driver.IsPermanent(wrap(driver.Permanent(errNo))), name)
		if name != "permanent" {
			assert.False(t, driver.IsPermanent(wrap(errNo)), name)
		}
	}
	assert.False(t, driver.IsPermanent(nil))
}

func TestThrottledIsFoundThroughAnyWrapping(t *testing.T) {
	for name, wrap := range wrappings {
		if name == "throttled" {
			continue
		}
		after, ok := driver.RetryAfter(wrap(driver.Throttled(errNo, time.Minute)))
		assert.True(t, ok, name)
		assert.Equal(t, time.Minute, after, name)
		after, ok = driver.RetryAfter(wrap(errNo))
		assert.False(t, ok, name)
		assert.Zero(t, after, name)
	}
	_, ok := driver.RetryAfter(nil)
	assert.False(t, ok)
}

func TestThrottledWithoutALengthIsZero(t *testing.T) {
	for _, after := range []time.Duration{0, -time.Second} {
		got, ok := driver.RetryAfter(driver.Throttled(errNo, after))
		assert.True(t, ok)
		assert.Zero(t, got)
	}
}

func TestOuterThrottledWins(t *testing.T) {
	after, _ := driver.RetryAfter(driver.Throttled(driver.Throttled(errNo, time.Minute), time.Second))
	assert.Equal(t, time.Second, after)
}

func TestFullIsFoundThroughAnyWrapping(t *testing.T) {
	for name, wrap := range wrappings {
		if name == "permanent" {
			continue // see TestOuterOfFullAndPermanentWins
		}
		assert.True(t, driver.IsFull(wrap(driver.Full(errNo, time.Minute))), name)
		assert.False(t, driver.IsFull(wrap(errNo)), name)
		if name != "throttled" {
			after, ok := driver.RetryAfter(wrap(driver.Full(errNo, time.Minute)))
			assert.True(t, ok, name)
			assert.Equal(t, time.Minute, after, name)
		}
	}
	assert.False(t, driver.IsFull(nil))
}

func TestFullWithoutALengthIsZero(t *testing.T) {
	for _, after := range []time.Duration{0, -time.Second} {
		got, ok := driver.RetryAfter(driver.Full(errNo, after))
		assert.True(t, ok)
		assert.Zero(t, got)
	}
}

// No error is both full and permanent.
func TestOuterOfFullAndPermanentWins(t *testing.T) {
	full := func(err error) error { return driver.Full(err, time.Minute) }
	wrap := func(err error) error { return fmt.Errorf("connect: %w", err) }
	for _, tc := range []struct {
		name string
		err  error
		full bool
	}{
		{"full around permanent", full(driver.Permanent(errNo)), true},
		{"permanent around full", driver.Permanent(full(errNo)), false},
		{"full around permanent, wrapped", wrap(full(wrap(driver.Permanent(errNo)))), true},
		{"permanent around full, wrapped", wrap(driver.Permanent(wrap(full(errNo)))), false},
		{"full around throttled around permanent", full(driver.Throttled(driver.Permanent(errNo), 0)), true},
		{"throttled around full around permanent", driver.Throttled(full(driver.Permanent(errNo)), 0), true},
		{"throttled around permanent around full", driver.Throttled(driver.Permanent(full(errNo)), 0), false},
		{"joined, permanent first", errors.Join(driver.Permanent(errNo), full(errNo)), true},
		{"joined, full first", errors.Join(full(errNo), driver.Permanent(errNo)), true},
		{"full around joined", full(errors.Join(errNo, driver.Permanent(errNo))), true},
		{"permanent around joined", driver.Permanent(errors.Join(errNo, full(errNo))), false},
	} {
		assert.Equal(t, tc.full, driver.IsFull(tc.err), "IsFull, %s", tc.name)
		assert.Equal(t, !tc.full, driver.IsPermanent(tc.err), "IsPermanent, %s", tc.name)
	}
}

func TestOuterPauseWins(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want time.Duration
		full bool
	}{
		{"full around throttled", driver.Full(driver.Throttled(errNo, time.Minute), time.Second), time.Second, true},
		{"full without a length around throttled", driver.Full(driver.Throttled(errNo, time.Minute), 0), 0, true},
		{"throttled around full", driver.Throttled(driver.Full(errNo, time.Minute), time.Second), time.Second, true},
		{"throttled alone", driver.Throttled(errNo, time.Second), time.Second, false},
	} {
		after, ok := driver.RetryAfter(tc.err)
		assert.True(t, ok, tc.name)
		assert.Equal(t, tc.want, after, tc.name)
		assert.Equal(t, tc.full, driver.IsFull(tc.err), tc.name)
	}
}

func TestMarksKeepMessageAndCause(t *testing.T) {
	for _, err := range []error{driver.Permanent(errNo), driver.Throttled(errNo, 0), driver.Full(errNo, 0)} {
		assert.EqualError(t, err, errNo.Error())
		assert.ErrorIs(t, err, errNo)
	}
	assert.NoError(t, driver.Permanent(nil))
	assert.NoError(t, driver.Throttled(nil, time.Second))
	assert.NoError(t, driver.Full(nil, time.Second))
	both := driver.Permanent(driver.Throttled(errNo, time.Second))
	_, throttled := driver.RetryAfter(both)
	assert.True(t, driver.IsPermanent(both) && throttled)
}

// answer has both methods, which decide for itself and the error it wraps.
type answer struct {
	bad, safe bool
	error
}

func (a answer) BadConn() bool     { return a.bad }
func (a answer) SafeToRetry() bool { return a.safe }
func (a answer) Unwrap() error     { return a.error }

// alias matches its target only by its method Is.
type alias struct{ target error }

func (a alias) Error() string        { return "alias" }
func (a alias) Is(target error) bool { return target == a.target }

// uncomparable can't be compared with ==, which would panic.
type uncomparable []string

func (u uncomparable) Error() string { return "uncomparable" }

func TestIsBad(t *testing.T) {
	_, notThere := os.Open(filepath.Join(t.TempDir(), "missing"))
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for name, tt := range map[string]struct {
		err  error
		want bool
	}{
		"ErrBadConn":             {driver.ErrBadConn, true},
		"database/sql's":         {sqldriver.ErrBadConn, true},
		"end of stream":          {io.EOF, true},
		"end half-way":           {io.ErrUnexpectedEOF, true},
		"closed pipe":            {io.ErrClosedPipe, true},
		"closed connection":      {net.ErrClosed, true},
		"context canceled":       {context.Canceled, true},
		"context deadline":       {context.DeadlineExceeded, true},
		"I/O deadline":           {os.ErrDeadlineExceeded, true},
		"refused":                {refused, true},
		"reset":                  {syscall.ECONNRESET, true},
		"broken pipe":            {syscall.EPIPE, true},
		"unknown host":           {&net.DNSError{Err: "no such host", Name: "host"}, true},
		"TLS alert":              {tls.AlertError(40), true},
		"TLS record":             {tls.RecordHeaderError{Msg: "not TLS"}, true},
		"remote TLS alert":       {&net.OpError{Op: "remote error", Err: tls.AlertError(70)}, true},
		"closed by its Is":       {alias{net.ErrClosed}, true},
		"bad by its method":      {answer{bad: true, error: errNo}, true},
		"good by its method":     {answer{error: io.EOF}, false},
		"file not there":         {notThere, false},
		"file not linked":        {&os.LinkError{Op: "rename", Old: "a", New: "b", Err: syscall.ENOENT}, false},
		"deadline of a file":     {&fs.PathError{Op: "read", Path: "pipe", Err: os.ErrDeadlineExceeded}, false},
		"answer of the protocol": {errNo, false},
		"other by its Is":        {alias{errNo}, false},
		"uncomparable":           {uncomparable{"a"}, false},
	} {
		for how, wrap := range wrappings {
			assert.Equal(t, tt.want, driver.IsBad(wrap(tt.err)), "%s, %s", name, how)
		}
	}
	assert.False(t, driver.IsBad(nil))
}

// goodErrors are known to leave the connection good.
var goodErrors = []error{
	answer{error: io.EOF}, &fs.PathError{Op: "read", Path: "pipe", Err: os.ErrDeadlineExceeded}, &os.LinkError{Op: "rename", Err: syscall.ENOENT},
}

func TestIsGoodIsTrueOnlyForErrorsKnownToBeGood(t *testing.T) {
	assert.True(t, driver.IsGood(nil))
	for how, wrap := range wrappings {
		for _, err := range goodErrors {
			assert.True(t, driver.IsGood(wrap(err)), "%v, %s", err, how)
		}
		for _, err := range []error{errNo, alias{errNo}, uncomparable{"a"}, io.EOF, driver.ErrBadConn, context.Canceled, answer{bad: true, error: errNo}} {
			assert.False(t, driver.IsGood(wrap(err)), "%v, %s", err, how)
		}
	}
	assert.False(t, driver.IsGood(errors.Join(goodErrors[0], io.EOF)))
}

func TestIsBadIsTrueIfAnyJoinedErrorIs(t *testing.T) {
	good := answer{error: io.EOF}
	assert.True(t, driver.IsBad(errors.Join(good, io.EOF)))
	assert.True(t, driver.IsBad(fmt.Errorf("%w, %w", &fs.PathError{Err: errNo}, net.ErrClosed)))
	assert.False(t, driver.IsBad(errors.Join(good, errNo, nil)))
	assert.False(t, driver.IsBad(errors.Join(nil, errNo)))
}

func TestSafeToRetry(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want bool
	}{
		"ErrBadConn":             {driver.ErrBadConn, true},
		"database/sql's":         {sqldriver.ErrBadConn, true},
		"bad by its Is":          {alias{driver.ErrBadConn}, true},
		"safe by its method":     {answer{safe: true, error: io.EOF}, true},
		"unsafe by its method":   {answer{error: driver.ErrBadConn}, false},
		"end of stream":          {io.EOF, false},
		"reset":                  {syscall.ECONNRESET, false},
		"context canceled":       {context.Canceled, false},
		"answer of the protocol": {errNo, false},
	} {
		for how, wrap := range wrappings {
			assert.Equal(t, tt.want, driver.SafeToRetry(wrap(tt.err)), "%s, %s", name, how)
		}
	}
	assert.False(t, driver.SafeToRetry(nil))
}

func TestSafeToRetryNeedsAllJoinedAnswers(t *testing.T) {
	safe, unsafe := answer{safe: true, error: errNo}, answer{error: errNo}
	assert.True(t, driver.SafeToRetry(errors.Join(safe, driver.ErrBadConn)))
	assert.True(t, driver.SafeToRetry(errors.Join(safe, errNo)), "errNo has no answer")
	assert.False(t, driver.SafeToRetry(errors.Join(safe, unsafe)))
	assert.False(t, driver.SafeToRetry(errors.Join(fmt.Errorf("b: %w", unsafe), driver.ErrBadConn)))
}

func TestFullKeepsOtherClasses(t *testing.T) {
	for _, err := range []error{driver.ErrBadConn, answer{bad: true, safe: true, error: errNo}} {
		assert.True(t, driver.IsBad(driver.Full(err, 0)))
		assert.True(t, driver.SafeToRetry(driver.Full(err, 0)))
	}
	assert.False(t, driver.IsBad(driver.Full(errNo, 0)) || driver.SafeToRetry(driver.Full(errNo, 0)))
}
