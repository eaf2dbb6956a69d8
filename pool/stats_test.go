package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// wantStats waits until all is quiet, and fails t unless the Stats of p are want.
func wantStats(t *testing.T, p *pool.Pool[*conn], want pool.Stats) {
	t.Helper()
	synctest.Wait()
	require.Equal(t, want, p.Stats())
}

// The test follows a connection through everything that is counted.
func TestStatsFollowAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		want := pool.Stats{Gauges: pool.Gauges{MaxOpen: 10, Limit: 10}}
		wantStats(t, p, want)
		require.NoError(t, p.Resize(1))
		want.MaxOpen, want.Limit = 1, 1
		wantStats(t, p, want)
		f.Next(drivertest.Connect, 1, drivertest.Delay(2*time.Second))
		first := start(t.Context(), p)
		want.Connecting, want.Waiting, want.Waits = 1, 1, 1
		wantStats(t, p, want)

		advance(2 * time.Second)
		want.Connecting, want.Waiting, want.Open, want.Leased = 0, 0, 1, 1
		want.Connects, want.ConnectTime, want.Acquires, want.WaitTime = 1, 2*time.Second, 1, 2*time.Second
		wantStats(t, p, want)

		first.wantLease(t).Release()
		want.Idle, want.Leased = 1, 0
		wantStats(t, p, want)

		l := acquire(t, p)
		want.Idle, want.Leased, want.Acquires = 0, 1, 2
		wantStats(t, p, want)
		l.Release()

		// A connection being checked counts as idle, and its caller waits.
		advance(10 * time.Second)
		f.Next(drivertest.Ping, 1, drivertest.Delay(time.Second/2))
		second := start(t.Context(), p)
		want.Idle, want.Leased, want.Waits, want.Waiting = 1, 0, 2, 1
		wantStats(t, p, want)
		advance(time.Second / 2)
		want.Idle, want.Leased, want.Waiting = 0, 1, 0
		want.Acquires, want.WaitTime, want.Pings, want.PingTime = 3, 2500*time.Millisecond, 1, time.Second/2
		wantStats(t, p, want)

		second.wantLease(t).Release()
		advance(10 * time.Second)
		f.Next(drivertest.Ping, 1, drivertest.Fail(errScripted))
		f.Next(drivertest.Close, 1, stall(time.Second))
		third := start(t.Context(), p)
		want.Leased, want.Open, want.Closing, want.Closed.Bad = 0, 0, 1, 1
		want.Pings, want.PingFailures, want.Waits, want.Waiting = 2, 1, 3, 1
		wantStats(t, p, want)
		advance(time.Second)
		c := hijack(third.wantLease(t))
		want.Closing, want.Waiting, want.Acquires, want.Hijacked = 0, 0, 4, 1
		want.Connects, want.WaitTime = 2, 3500*time.Millisecond
		wantStats(t, p, want)
		assert.NoError(t, c.Close())

		f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
		_, err := p.Acquire(t.Context())
		require.Error(t, err)
		want.Connects, want.ConnectFailures, want.Waits, want.Failed = 3, 1, 4, 1
		wantStats(t, p, want)
	})
}

// Callers that gave up have waited too, and longer than all others.
func TestStatsCountTheTimeOfFailedWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1, AcquireTimeout: 5 * time.Second, MaxWaiters: 3})
		l := acquire(t, p)
		want := pool.Stats{Gauges: pool.Gauges{MaxOpen: 1, Limit: 1, Open: 1, Leased: 1}, Acquires: 1, Waits: 1, Connects: 1}
		wantStats(t, p, want)

		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start(ctx, p)
		served := start(t.Context(), p)
		start(t.Context(), p)
		want.Waits, want.ReleaseWaits, want.Waiting = 4, 3, 3
		wantStats(t, p, want)
		start(t.Context(), p).wantError(t, pool.ErrTooManyWaiters)
		want.Rejected = 1
		wantStats(t, p, want)

		advance(3 * time.Second)
		want.Waiting, want.Canceled, want.WaitTime, want.ReleaseWaitTime = 2, 1, 3*time.Second, 3*time.Second
		wantStats(t, p, want)
		advance(time.Second)
		l.Release()
		l = served.wantLease(t)
		want.Waiting, want.Acquires, want.WaitTime, want.ReleaseWaitTime = 1, 2, 7*time.Second, 7*time.Second
		wantStats(t, p, want)
		advance(time.Second)
		want.Waiting, want.Timeouts, want.WaitTime, want.ReleaseWaitTime = 0, 1, 12*time.Second, 12*time.Second
		wantStats(t, p, want)
		l.Release()
	})
}
