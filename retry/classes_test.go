package retry_test

import (
	"context"
	"crypto/tls"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/internal/testport"
	"github.com/hotline-go/hotline/retry"
)

// answers is an error with a SafeToRetry method.
type answers struct {
	safe bool
	error
}

func (e answers) SafeToRetry() bool { return e.safe }
func (e answers) Unwrap() error     { return e.error }

func TestSafe(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}
	write := &net.OpError{Op: "write", Net: "tcp", Err: os.ErrDeadlineExceeded}
	for _, tc := range []struct {
		name string
		err  error
		safe bool
	}{
		{"nil", nil, false},
		{"bad connection", driver.ErrBadConn, true},
		{"bad connection, wrapped", fmt.Errorf("fetch: %w", driver.ErrBadConn), true},
		{"bad connection of database/sql", sqldriver.ErrBadConn, true},
		{"says that it is safe", answers{true, io.EOF}, true},
		{"says that it is not", answers{false, driver.ErrBadConn}, false},
		{"failed dial", dial, true},
		{"failed dial, wrapped", &url.Error{Op: "Get", URL: "http://h/", Err: dial}, true},
		{"failed dial within an error that says it is not safe", answers{false, dial}, false},
		{"failed dial joined with another error", errors.Join(dial, write), false},
		{"failed dial as the cause of a failed write", &net.OpError{Op: "write", Err: dial}, false},
		{"failed write", write, false},
		{"failed read", &net.OpError{Op: "read", Err: io.EOF}, false},
		{"end of stream", io.EOF, false},
		{"end of stream half-way", io.ErrUnexpectedEOF, false},
		{"closed connection", net.ErrClosed, false},
		{"timeout", os.ErrDeadlineExceeded, false},
		{"context deadline", context.DeadlineExceeded, false},
		{"context canceled", context.Canceled, false},
		{"TLS alert", tls.AlertError(42), false},
		{"throttled", driver.Throttled(errBusy, 1), false},
		{"throttled before anything was sent", driver.Throttled(driver.ErrBadConn, 1), true},
		{"full", driver.Full(errBusy, 1), false},
		{"full before anything was sent", driver.Full(driver.ErrBadConn, 1), true},
		{"any other", errBusy, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			assert.Equal(t, tc.safe, retry.Safe(tc.err))
		})
	}
}

func TestFailedDialIsRepeated(t *testing.T) {
	address := testport.Refused(t)
	dials := 0
	err := retry.Policy{MaxAttempts: 3, Interval: -1}.Do(t.Context(), func(ctx context.Context) error {
		dials++
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			c.Close()
		}
		return err
	})
	var dial *net.OpError
	assert.ErrorAs(t, err, &dial)
	assert.Equal(t, 3, dials)
}
