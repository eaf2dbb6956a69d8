package retry_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/retry"
)

func TestErrorStatesAttemptsTimeReasonAndCause(t *testing.T) {
	err := retry.Policy{MaxAttempts: 2, Interval: -1}.Do(t.Context(), fails(driver.ErrBadConn).run)
	assert.EqualError(t, err, "retry: gave up after 2 attempts in 0s: out of attempts; last error: driver: bad connection")
}

func TestErrorUnwrapsToAllThatItWraps(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}
	err := error(&retry.Error{Reason: retry.ContextEnded, Attempts: 1, Err: dial, Context: context.DeadlineExceeded})

	var op *net.OpError
	assert.ErrorAs(t, err, &op)
	var netErr net.Error // the error of the context is one too, but the attempt's comes first
	assert.ErrorAs(t, err, &netErr)
	assert.Same(t, dial, netErr)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.NotErrorIs(t, err, context.Canceled)
}

func TestErrorWrapsNoNil(t *testing.T) {
	assert.Equal(t, []error{errBusy}, (&retry.Error{Err: errBusy}).Unwrap())
	assert.Equal(t, []error{context.Canceled}, (&retry.Error{Context: context.Canceled}).Unwrap())
}

func TestErrorIsSafeToRetryOnlyIfNoAttemptReachedThePeer(t *testing.T) {
	p := retry.Policy{MaxAttempts: 2, Interval: -1, RetryIf: retry.Always}
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}

	assert.True(t, driver.SafeToRetry(p.Do(t.Context(), fails(dial).run)))
	assert.False(t, driver.SafeToRetry(p.Do(t.Context(), fails(io.EOF).run)))
	assert.False(t, driver.SafeToRetry(p.Do(t.Context(), fails(dial, io.EOF).run)))
	assert.False(t, driver.SafeToRetry(p.Do(t.Context(), fails(io.EOF, driver.ErrBadConn).run)),
		"the first attempt may have been executed")
}

func TestErrorKeepsTheClassesOfTheLastError(t *testing.T) {
	p := retry.Policy{MaxAttempts: 2, Interval: -1}
	assert.True(t, driver.IsPermanent(p.Do(t.Context(), fails(driver.ErrBadConn, driver.Permanent(errBusy)).run)))
	assert.True(t, driver.IsBad(p.Do(t.Context(), fails(driver.ErrBadConn).run)))
}
