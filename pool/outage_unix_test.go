//go:build unix

package pool_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/internal/testclock"
	"github.com/hotline-go/hotline/internal/testport"
	"github.com/hotline-go/hotline/pool"
)

// A stopped server looks like one behind a lost route: its connections stay open, the
// kernel accepts new ones, and nothing answers.

const stoppedPing = 200 * time.Millisecond

// stopServer opens a pool of four connections and stops its server.
func stopServer(t *testing.T, greets bool) (*server, *pool.Pool[*lineConn]) {
	s := startServer(t, testport.Reserve(t))
	p := open[*lineConn](t, &lineDriver{s.address, greets, 200 * time.Millisecond}, pool.Config{
		MaxOpen: 4, MinIdle: 4, PingTimeout: stoppedPing, ConnectTimeout: time.Second, ValidateAfter: 1,
		Backoff: pool.Backoff{Initial: 20 * time.Millisecond, Max: 200 * time.Millisecond},
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(t, p.Ready(ctx))
	for range 2 {
		wantAllLive(t, p, 4) // after this, each needs a check before use
	}
	s.signal(t, syscall.SIGSTOP)
	var status syscall.WaitStatus
	_, err := syscall.Wait4(s.process.Process.Pid, &status, syscall.WUNTRACED, nil)
	require.NoError(t, err)
	require.True(t, status.Stopped())
	return s, p
}

func (s *server) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	require.NoError(t, s.process.Process.Signal(sig))
}

// wantRecovery resumes the server, and fails t unless all connections work again soon.
func (s *server) wantRecovery(t *testing.T, p *pool.Pool[*lineConn]) {
	t.Helper()
	s.signal(t, syscall.SIGCONT)
	eventually(t, 5*time.Second, "MinIdle is back", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return p.Ping(ctx) == nil && p.Stats().Idle == 4
	})
	wantAllLive(t, p, 4)
}

// Without a greeting, a new connection to a stopped server looks healthy.
func TestStoppedServerHoldsNoCallerForLongerThanPingTimeout(t *testing.T) {
	t.Parallel()
	s, p := stopServer(t, false)
	clock := testclock.Start(t)
	for range 3 {
		began := clock.Elapsed()
		l, err := p.Acquire(t.Context())
		require.NoError(t, err)
		assert.Less(t, clock.Elapsed()-began, stoppedPing+patience)
		l.Discard(nil)
	}
	s.wantRecovery(t, p)
}

// With a greeting, Connect fails, and the caller gets the error.
func TestStoppedServerEndsInAConnectError(t *testing.T) {
	t.Parallel()
	s, p := stopServer(t, true)
	clock := testclock.Start(t)
	_, err := p.Acquire(t.Context())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "ConnectTimeout")
	assert.Less(t, clock.Elapsed(), stoppedPing+time.Second+patience)
	s.wantRecovery(t, p)
}
