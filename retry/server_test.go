package retry_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/retry"
)

// tally is a server that executes lines: it counts them, and answers "OK" once
// that many answers were swallowed by a broken connection.
type tally struct {
	executed atomic.Int64
	swallow  atomic.Int64
	served   sync.WaitGroup
}

// dial returns the client's end of a connection.
func (s *tally) dial() net.Conn {
	client, server := net.Pipe()
	s.served.Go(func() {
		defer server.Close()
		lines := bufio.NewScanner(server)
		for lines.Scan() {
			s.executed.Add(1)
			if s.swallow.Add(-1) >= 0 {
				return
			}
			if _, err := io.WriteString(server, "OK\n"); err != nil {
				return
			}
		}
	})
	return client
}

// ask sends one line and waits for the answer.
func ask(c net.Conn, line string) error {
	if _, err := fmt.Fprintln(c, line); err != nil {
		return err
	}
	_, err := bufio.NewReader(c).ReadString('\n')
	return err
}

// request dials s and asks it.
func (s *tally) request(context.Context) error {
	c := s.dial()
	defer c.Close()
	return ask(c, "ADD 1")
}

func TestRequestWhoseAnswerGotLostIsNotMadeTwice(t *testing.T) {
	var s tally
	s.swallow.Store(1)

	err := retry.Policy{}.Do(t.Context(), s.request)
	s.served.Wait()
	assert.Equal(t, io.EOF, err, "the caller has to hear of it")
	assert.EqualValues(t, 1, s.executed.Load())
}

func TestRequestIsMadeAgainWhereTheCallerAllowsIt(t *testing.T) {
	var s tally
	s.swallow.Store(2)

	require.NoError(t, retry.Policy{Interval: -1, RetryIf: retry.Always}.Do(t.Context(), s.request))
	s.served.Wait()
	assert.EqualValues(t, 3, s.executed.Load())
}

func TestRequestThatWasNotSentIsExecutedOnce(t *testing.T) {
	var s tally
	err := retry.Policy{Interval: -1}.Do(t.Context(), func(ctx context.Context) error {
		if retry.Attempt(ctx) < 4 {
			return fmt.Errorf("found it dead: %w", driver.ErrBadConn)
		}
		return s.request(ctx)
	})
	require.NoError(t, err)
	s.served.Wait()
	assert.EqualValues(t, 1, s.executed.Load())
}

// The first attempt was not sent, so it is repeated; the second was, so the run
// ends with it, with attempts left.
func TestRequestThatWasSentEndsTheRun(t *testing.T) {
	var s tally
	s.swallow.Store(1)
	err := retry.Policy{Interval: -1}.Do(t.Context(), func(ctx context.Context) error {
		if retry.Attempt(ctx) == 1 {
			return driver.ErrBadConn
		}
		return s.request(ctx)
	})
	s.served.Wait()
	var e *retry.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, retry.NotRepeatable, e.Reason)
	assert.ErrorIs(t, err, io.EOF)
	assert.EqualValues(t, 1, s.executed.Load())
	assert.False(t, driver.SafeToRetry(err))
}
