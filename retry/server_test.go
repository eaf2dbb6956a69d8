package retry_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/retry"
)

// tally is a server that executes lines and counts them, and a connector to it.
type tally struct {
	mu       sync.Mutex // guards the fields below
	refuse   int        // how many of the next connects fail
	swallow  int        // how many of the next lines are executed, but get no answer because the connection ends
	executed int
}

func (s *tally) Connect(context.Context) (driver.Conn, error) {
	if s.countDown(&s.refuse) {
		return nil, errors.New("refused")
	}
	client, server := net.Pipe()
	go s.serve(server)
	return client, nil
}

// serve executes lines until the client closes.
func (s *tally) serve(c net.Conn) {
	defer c.Close()
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		s.mu.Lock()
		s.executed++
		s.mu.Unlock()
		if s.countDown(&s.swallow) {
			return
		}
		if _, err := io.WriteString(c, "OK\n"); err != nil {
			return
		}
	}
}

// countDown decrements n unless it is zero, and reports whether it did.
func (s *tally) countDown(n *int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *n == 0 {
		return false
	}
	*n--
	return true
}

// ask sends one line and waits for the answer.
func ask(_ context.Context, c net.Conn) error {
	if _, err := fmt.Fprintln(c, "ADD 1"); err != nil {
		return err
	}
	_, err := bufio.NewReader(c).ReadString('\n')
	return err
}

// sendWith makes one request to s through a pool, with the policy p, and returns
// its error once the pool is closed.
func (s *tally) sendWith(t *testing.T, p retry.Policy) (err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		conns, openErr := pool.New[net.Conn](s, pool.Config{})
		require.NoError(t, openErr)
		defer conns.Close()
		err = p.Do(t.Context(), func(ctx context.Context) error { return conns.Do(ctx, ask) })
	})
	return err
}

func TestRequestWhoseAnswerGotLostIsNotMadeTwice(t *testing.T) {
	s := tally{swallow: 1}
	assert.Equal(t, io.EOF, s.sendWith(t, retry.Policy{}), "the caller must get the error")
	assert.Equal(t, 1, s.executed)
}

func TestRequestIsMadeAgainWhereTheCallerAllowsIt(t *testing.T) {
	s := tally{swallow: 2}
	require.NoError(t, s.sendWith(t, retry.Policy{RetryIf: retry.Always}))
	assert.Equal(t, 3, s.executed)
}

func TestRequestThatCouldNotBeSentIsExecutedOnce(t *testing.T) {
	s := tally{refuse: 3}
	require.NoError(t, s.sendWith(t, retry.Policy{}))
	assert.Zero(t, s.refuse)
	assert.Equal(t, 1, s.executed)
}

// The first attempts send nothing, so they are repeated. The third sends its
// request, so its failure ends the run, although attempts are left.
func TestRequestThatWasSentEndsTheRun(t *testing.T) {
	s := tally{refuse: 2, swallow: 1}
	err := s.sendWith(t, retry.Policy{})

	var e *retry.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, retry.NotRepeatable, e.Reason)
	assert.Equal(t, 3, e.Attempts)
	assert.ErrorIs(t, err, io.EOF)
	assert.False(t, driver.SafeToRetry(err))
	assert.Equal(t, 1, s.executed)
}
