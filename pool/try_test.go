package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// wantTry fails t unless TryAcquire succeeds, and ends the lease.
func wantTry[C any](t testing.TB, p *pool.Pool[C]) {
	t.Helper()
	l, ok := try(p)
	require.True(t, ok, "TryAcquire failed")
	l.Release()
}

// wantNone fails t if TryAcquire succeeds.
func wantNone[C any](t testing.TB, p *pool.Pool[C]) {
	t.Helper()
	_, ok := try(p)
	require.False(t, ok, "TryAcquire succeeded")
	synctest.Wait()
}

func TestTryAcquireDoesNotWaitButStartsAConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2})
		f.Always(drivertest.Connect, drivertest.Delay(time.Second))
		var leases []pool.Lease[*conn]
		for range 2 {
			for range 3 {
				wantNone(t, p)
			}
			assert.Equal(t, 1, p.Stats().Connecting, "one Connect for all callers in the meantime")
			advance(time.Second)
			l, ok := try(p)
			require.True(t, ok)
			leases = append(leases, l)
		}
		wantNone(t, p)
		advance(time.Second)
		assert.Equal(t, 2, f.Counts().Connects, "up to MaxOpen")
		releaseAll(leases)
		require.NoError(t, p.Close())
		wantNone(t, p)
	})
}

func TestTryAcquireDoesNotWaitButStartsACheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 4})
		fill(t, p, 3)
		advance(time.Minute)
		f.Always(drivertest.Ping, drivertest.Delay(100*time.Millisecond))
		for range 5 {
			wantNone(t, p)
		}
		assert.Equal(t, 1, f.Counts().Pings, "one check for all callers in the meantime")
		assert.Equal(t, 3, f.Counts().Connects)
		advance(100 * time.Millisecond)
		wantTry(t, p)
	})
}

func TestTryAcquireFollowsTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{Backoff: pool.Backoff{Jitter: -1}})
		down(f)
		for range 1000 {
			try(p)
			advance(time.Millisecond)
		}
		wantGaps(t, gaps(f, 0), 100*time.Millisecond, 160*time.Millisecond, 256*time.Millisecond)
		assert.Less(t, f.Counts().Connects, 8)
	})
}

func TestTryAcquireTriesTheNextOfDeadConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Wrap = func(c *conn) driver.Conn { return resettable{c} }
		p := open[resettable](t, f, pool.Config{})
		fill(t, p, 10)
		f.Next(drivertest.ResetSession, 3, drivertest.Fail(driver.ErrBadConn))
		wantTry(t, p)
		synctest.Wait()
		assert.Equal(t, 7, f.Counts().Open)
	})
}

// A hook that fails says nothing about the other connections.
func TestTryAcquireGivesUpOneConnectionToAHookThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail error
		f, p := openFake(t, pool.Config{OnAcquire: func(context.Context, driver.Conn, pool.Info) error { return fail }})
		fill(t, p, 10)
		fail = errScripted
		wantNone(t, p)
		assert.Equal(t, 9, f.Counts().Open)
	})
}
