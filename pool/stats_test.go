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

// wantStats fails t unless the pool stands like that, now that all is quiet.
func wantStats(t *testing.T, p *pool.Pool[*conn], want pool.Stats) {
	t.Helper()
	synctest.Wait()
	require.Equal(t, want, p.Stats())
}

func TestStatsOfANewPoolAreZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{})
		wantStats(t, p, pool.Stats{MaxOpen: 10})
		require.NoError(t, p.Resize(7))
		wantStats(t, p, pool.Stats{MaxOpen: 7})
	})
}

// The story of a connection, with all that is counted of it.
func TestStatsFollowAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1})
		f.Next(drivertest.Connect, 1, drivertest.Delay(2*time.Second))
		first := start(t.Context(), p)
		want := pool.Stats{MaxOpen: 1, Connecting: 1, Waiting: 1, Waits: 1}
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

		// A check counts as idle, and its caller waits.
		advance(10 * time.Second)
		f.Next(drivertest.Ping, 1, drivertest.Delay(time.Second/2))
		second := start(t.Context(), p)
		want.Idle, want.Leased, want.Waits, want.Waiting = 1, 0, 2, 1
		wantStats(t, p, want)
		advance(time.Second / 2)
		want.Idle, want.Leased, want.Waiting = 0, 1, 0
		want.Acquires, want.WaitTime, want.Pings, want.PingTime = 3, 2500*time.Millisecond, 1, time.Second/2
		wantStats(t, p, want)

		f.Next(drivertest.Close, 1, stall(time.Second))
		second.wantLease(t).Discard(nil)
		want.Leased, want.Open, want.Closing, want.Closed.Bad = 0, 0, 1, 1
		wantStats(t, p, want)
		advance(time.Second)
		want.Closing = 0
		wantStats(t, p, want)

		f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
		_, err := p.Acquire(t.Context())
		require.Error(t, err)
		want.Connects, want.ConnectFailures, want.Waits = 2, 1, 3
		wantStats(t, p, want)
	})
}

// 13, 38: those who gave up have waited as well, the longest of all.
func TestStatsCountTheTimeOfFailedWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1, AcquireTimeout: 5 * time.Second, MaxWaiters: 2})
		l := acquire(t, p)
		want := pool.Stats{MaxOpen: 1, Open: 1, Leased: 1, Acquires: 1, Waits: 1, Connects: 1}
		wantStats(t, p, want)

		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start(ctx, p)
		start(t.Context(), p)
		want.Waits, want.Waiting = 3, 2
		wantStats(t, p, want)
		start(t.Context(), p).wantError(t, pool.ErrTooManyWaiters)
		want.Rejected = 1
		wantStats(t, p, want)

		advance(3 * time.Second)
		want.Waiting, want.Canceled, want.WaitTime = 1, 1, 3*time.Second
		wantStats(t, p, want)
		advance(2 * time.Second)
		want.Waiting, want.Timeouts, want.WaitTime = 0, 1, 8*time.Second
		wantStats(t, p, want)
		l.Release()
	})
}

func TestStatsCountPingFailuresAndHijacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{PingTimeout: 3 * time.Second})
		fill(t, p, 1)
		advance(10 * time.Second)
		f.Always(drivertest.Ping, drivertest.Hang)
		c := acquire(t, p).Hijack()
		assert.NoError(t, c.Close())
		s := p.Stats()
		assert.Equal(t, [3]int64{1, 1, 1}, [3]int64{s.Pings, s.PingFailures, s.Hijacked})
		assert.Equal(t, 3*time.Second, s.PingTime)
		assert.Equal(t, pool.Closes{Bad: 1}, s.Closed, "a hijacked one is not closed by the pool")
		assert.Zero(t, s.Open)
	})
}

func TestStatsCountClosesByReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxUses: 2, MaxIdle: 3, MaxLifetime: time.Minute, LifetimeJitter: -1, MaxIdleTime: 2 * time.Minute})
		var want pool.Closes
		check := func(why string) {
			t.Helper()
			synctest.Wait()
			require.Equal(t, want, p.Stats().Closed, why)
		}
		acquire(t, p).Discard(nil)
		want.Bad++
		check("discarded")
		f.Next(drivertest.IsValid, 1, drivertest.Fail(errScripted))
		acquire(t, p).Release()
		want.Invalid++
		check("invalid")
		acquire(t, p).Release()
		acquire(t, p).Release()
		want.Uses++
		check("used up")
		releaseAll(acquireN(t, p, 5))
		want.Idle += 2
		check("more than MaxIdle")
		p.Reset()
		want.Reset += 3
		check("reset")
		fill(t, p, 2)
		require.NoError(t, p.Resize(1))
		want.Reset++
		check("resized")
		advance(61 * time.Second)
		want.Lifetime++
		check("old")
		require.NoError(t, p.Close())
		want.Shutdown++
		check("closed")
	})
}

func TestStatsCountIdleTimeUnderIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxIdleTime: time.Second})
		fill(t, p, 2)
		advance(2 * time.Second)
		assert.Equal(t, pool.Closes{Idle: 2}, p.Stats().Closed)
	})
}

// Leases are not counted as they are given, but told from the slots: the count
// must hold whatever becomes of the connections.
func TestStatsCountEveryLeaseOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 3, MinIdle: 1})
		for i := range 300 {
			l := acquire(t, p)
			switch i % 7 {
			case 0:
				l.Discard(nil)
			case 1:
				assert.NoError(t, l.Hijack().Close())
			case 2:
				p.Reset()
				l.Release()
			case 3:
				l.Release()
				advance(10 * time.Second)
				f.KillAll() // some leases go to nobody
			default:
				l.Release()
				l.Release()
			}
			synctest.Wait()
			require.Equal(t, int64(i+1), p.Stats().Acquires)
		}
		assert.Greater(t, f.Counts().Connects, 100)
	})
}
