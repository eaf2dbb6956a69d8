package pool_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// down begins an outage that looks like a closed port.
func down(f *drivertest.Fake) { f.Down(errScripted) }

// gaps is the time between one connect attempt and the next, from the attempt
// with the index first on.
func gaps(f *drivertest.Fake, first int) []time.Duration {
	var out []time.Duration
	times := f.ConnectTimes()
	for i := first + 1; i < len(times); i++ {
		out = append(out, times[i].Sub(times[i-1]))
	}
	return out
}

// wantGaps fails t unless the first gaps are as long as want, give or take 20 %.
func wantGaps(t *testing.T, got []time.Duration, want ...time.Duration) {
	t.Helper()
	require.GreaterOrEqual(t, len(got), len(want), "gaps between attempts: %v", got)
	for i, w := range want {
		assert.InDelta(t, w, got[i], 0.2*float64(w), "gap %d of %v", i, got)
	}
}

// 11: what database/sql makes 42,305 attempts of.
func TestFiftyRetryingCallersMakeAtMostTwentyConnects(t *testing.T) {
	for name, failFast := range map[string]bool{"waiting": false, "failfast": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := openFake(t, pool.Config{MaxOpen: 50, FailFast: failFast})
				down(f)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				var callers sync.WaitGroup
				for range 50 {
					callers.Go(func() {
						for ctx.Err() == nil {
							if _, err := p.Acquire(ctx); ctx.Err() == nil {
								assert.ErrorIs(t, err, errScripted)
							}
							<-time.After(time.Millisecond)
						}
					})
				}
				callers.Wait()
				assert.LessOrEqual(t, f.Counts().Connects, 20)
				assert.GreaterOrEqual(t, f.Counts().Connects, 4, "the server must be asked now and then")
			})
		})
	}
}

// 11: one backoff for all slots and callers, which a success starts over.
func TestConnectsInAnOutageFollowOneBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		down(f)
		p := open[*conn](t, f, pool.Config{
			MaxOpen: 4, MinIdle: 4, MaxConnecting: 1,
			Backoff: pool.Backoff{Initial: 100 * time.Millisecond, Factor: 2, Max: time.Second},
		})
		advance(5 * time.Second)
		wantGaps(t, gaps(f, 0), 100*time.Millisecond, 200*time.Millisecond, 400*time.Millisecond, 800*time.Millisecond, time.Second, time.Second)

		f.Up()
		advance(2 * time.Second)
		require.Equal(t, 4, p.Stats().Open)

		leases := acquireN(t, p, 4)
		seen := f.Counts().Connects
		down(f)
		for _, l := range leases {
			l.Discard(l.Conn().Use())
		}
		advance(time.Second)
		wantGaps(t, gaps(f, seen), 100*time.Millisecond, 200*time.Millisecond, 400*time.Millisecond)
	})
}

// 11: pools that lose one server must not come back to it in step.
func TestBackoffOfEachPoolIsJittered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		firstGaps := map[time.Duration]bool{}
		for range 20 {
			f := drivertest.NewFake(t)
			down(f)
			open[*conn](t, f, pool.Config{MinIdle: 1})
			advance(130 * time.Millisecond)
			wantGaps(t, gaps(f, 0), 100*time.Millisecond)
			firstGaps[gaps(f, 0)[0]] = true
		}
		assert.Greater(t, len(firstGaps), 15)
	})
}

func TestBackoffWithoutJitterIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		down(f)
		open[*conn](t, f, pool.Config{MinIdle: 1, Backoff: pool.Backoff{Jitter: -1}})
		advance(20 * time.Second)
		ms := func(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }
		assert.Equal(t, []time.Duration{
			ms(100), ms(160), ms(256), ms(409.6), ms(655.36), ms(1048.576), ms(1677.7216), ms(2684.35456), ms(4294.967296), ms(5000),
		}, gaps(f, 0)[:10])
	})
}

// 11: an attempt that hangs must not make the next one wait for its timeout.
func TestHungConnectDoesNotHoldUpTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
		f.Always(drivertest.Connect, drivertest.Hang)
		open[*conn](t, f, pool.Config{MinIdle: 4, ConnectTimeout: 10 * time.Second, MaxConnecting: 3})
		advance(9 * time.Second)
		// The first attempts start together: 3, one of which fails; then one by one.
		assert.Equal(t, 3, f.Counts().Connecting, "as many as MaxConnecting allows")
		assert.Equal(t, 4, f.Counts().Connects)
	})
}

// 17: the seed ends with 0 of its 4 connections, for ever.
func TestMinIdleIsBackWithinOneBackoffStepWithoutTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		down(f)
		p := open[*conn](t, f, pool.Config{MinIdle: 4})
		advance(10 * time.Minute)
		require.Zero(t, p.Stats().Open)
		f.Up()
		advance(6 * time.Second) // 5 s and its jitter
		assert.Equal(t, 4, p.Stats().Idle)
	})
}

// 17: the same for a server that dies while the pool is idle.
func TestKeepAliveFindsTheOutageAndRefillsAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MinIdle: 4, KeepAlive: 10 * time.Second, Backoff: pool.Backoff{Max: 2 * time.Second}})
		require.NoError(t, p.Ready(t.Context()))
		down(f)
		advance(10 * time.Second)
		assert.Zero(t, p.Stats().Open, "one dead connection makes the pool check all")
		advance(time.Minute)
		f.Up()
		advance(2400 * time.Millisecond)
		assert.Equal(t, 4, p.Stats().Idle)
		assert.Equal(t, 4, f.Counts().Open)
		for range 4 {
			assert.NoError(t, acquire(t, p).Conn().Use())
		}
	})
}

func TestThrottledPauseIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Next(drivertest.Connect, 1, drivertest.Fail(driver.Throttled(errScripted, 3*time.Second)))
		p := open[*conn](t, f, pool.Config{MinIdle: 2, MaxConnecting: 1})
		advance(3*time.Second - time.Millisecond)
		assert.Equal(t, 1, f.Counts().Connects)
		advance(time.Millisecond)
		assert.Equal(t, 2, p.Stats().Idle)
	})
}

// A server can't switch the pool off for a day.
func TestThrottledPauseIsCapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Next(drivertest.Connect, 1, drivertest.Fail(driver.Throttled(errScripted, 24*time.Hour)))
		p := open[*conn](t, f, pool.Config{MinIdle: 1})
		advance(5*time.Minute - time.Millisecond)
		assert.Zero(t, p.Stats().Idle)
		advance(time.Millisecond)
		assert.Equal(t, 1, p.Stats().Idle)
	})
}

// The pause is the server's wish: a Connect that was under way and succeeds
// does not end it, as it ends the backoff.
func TestThrottledPauseOutlivesASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Next(drivertest.Connect, 1, drivertest.Delay(time.Second))
		f.Next(drivertest.Connect, 1, drivertest.Fail(driver.Throttled(errScripted, 10*time.Second)))
		p := open[*conn](t, f, pool.Config{MinIdle: 3, MaxConnecting: 2})
		advance(9 * time.Second)
		assert.Equal(t, 1, p.Stats().Idle)
		assert.Equal(t, 2, f.Counts().Connects)

		l := acquire(t, p)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := p.Acquire(ctx)
		assert.ErrorIs(t, err, errScripted, "why there is no second connection")
		l.Release()

		advance(time.Second)
		assert.Equal(t, 3, p.Stats().Idle)
	})
}

// Throttled without a length is a failure like others: the backoff will do.
func TestThrottledWithoutALengthFollowsTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Always(drivertest.Connect, drivertest.Fail(driver.Throttled(errScripted, 0)))
		open[*conn](t, f, pool.Config{MinIdle: 1})
		advance(time.Second)
		wantGaps(t, gaps(f, 0), 100*time.Millisecond, 160*time.Millisecond, 256*time.Millisecond)
	})
}

func TestFailFastTellsTheLastErrorInsteadOfWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{FailFast: true, MaxConnecting: 1, Backoff: pool.Backoff{Initial: time.Second, Jitter: -1}})
		f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
		_, err := p.Acquire(t.Context())
		wantAcquireError(t, err, errScripted)

		began := time.Now()
		_, err = p.Acquire(t.Context())
		e := wantAcquireError(t, err, errScripted)
		assert.ErrorIs(t, e.Connect, errScripted)
		assert.Zero(t, time.Since(began))
		assert.Equal(t, 1, f.Counts().Connects)

		advance(time.Second)
		acquire(t, p).Release()
	})
}

// FailFast is about waiting for the backoff, not about waiting.
func TestFailFastWaitsForAReleaseAndForAConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{FailFast: true, MaxOpen: 1})
		f.Next(drivertest.Connect, 1, drivertest.Delay(time.Second))
		first := start(t.Context(), p)
		second := start(t.Context(), p)
		advance(time.Second)
		first.wantLease(t).Release()
		second.wantLease(t).Release()
	})
}

// Without FailFast the wait goes on to the next attempt.
func TestCallerWaitsForTheNextAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxConnecting: 1, Backoff: pool.Backoff{Initial: time.Second, Jitter: -1}})
		f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
		start(t.Context(), p).wantError(t, errScripted)
		second := start(t.Context(), p)
		second.wantWaiting(t)
		advance(time.Second)
		second.wantLease(t).Release()
	})
}
