package pool_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// down starts an outage: from now on, Connect fails at once, as on a closed port.
func down(f *drivertest.Fake) { f.Down(errScripted) }

// gaps returns the times between connect attempts, starting with the attempt at the
// index first.
func gaps(f *drivertest.Fake, first int) []time.Duration {
	var out []time.Duration
	times := f.ConnectTimes()
	for i := first + 1; i < len(times); i++ {
		out = append(out, times[i].Sub(times[i-1]))
	}
	return out
}

// wantGaps fails t unless the first gaps match want, within 20%.
func wantGaps(t *testing.T, got []time.Duration, want ...time.Duration) {
	t.Helper()
	require.GreaterOrEqual(t, len(got), len(want), "gaps between attempts: %v", got)
	for i, w := range want {
		assert.InDelta(t, w, got[i], 0.2*float64(w), "gap %d of %v", i, got)
	}
}

// All callers and MinIdle share one backoff, and a success resets it.
func TestConnectsInAnOutageFollowOneBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		down(f)
		p := open[*conn](t, f, pool.Config{MinIdle: 4, MaxConnecting: 1, Backoff: pool.Backoff{Jitter: -1}})
		advance(20 * time.Second)
		ms := func(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }
		assert.Equal(t, []time.Duration{
			ms(100), ms(160), ms(256), ms(409.6), ms(655.36), ms(1048.576), ms(1677.7216), ms(2684.35456), ms(4294.967296), ms(5000),
		}, gaps(f, 0)[:10])

		f.Up()
		advance(6 * time.Second)
		leases := acquireN(t, p, 4)
		seen := f.Counts().Connects
		down(f)
		for _, l := range leases {
			l.Discard(l.Conn().Use())
		}
		advance(time.Second)
		assert.Equal(t, []time.Duration{ms(100), ms(160), ms(256)}, gaps(f, seen)[:3])
	})
}

// Pools that lose the same server must not reconnect to it in lockstep.
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

// After the first failure, attempts start one at a time. If one hangs, the next
// must not wait for its timeout.
func TestHungConnectDoesNotHoldUpTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
		f.Always(drivertest.Connect, drivertest.Hang)
		open[*conn](t, f, pool.Config{MinIdle: 4, ConnectTimeout: 10 * time.Second, MaxConnecting: 3})
		advance(2 * time.Second)
		assert.Equal(t, 3, f.Counts().Connecting, "as many as MaxConnecting allows")
		assert.Equal(t, 4, f.Counts().Connects)
	})
}

// The server asked for the pause. A Connect that was in progress and succeeds
// ends the backoff, but not that pause.
func TestThrottledPauseOutlivesASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Next(drivertest.Connect, 1, drivertest.Delay(time.Second))
		f.Next(drivertest.Connect, 1, drivertest.Fail(driver.Throttled(errScripted, 30*time.Second)))
		p := open[*conn](t, f, pool.Config{MinIdle: 3, MaxConnecting: 2})
		advance(9 * time.Second)
		assert.Equal(t, 1, p.Stats().Idle)
		assert.Equal(t, 2, f.Counts().Connects)

		l := acquire(t, p)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := p.Acquire(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded, "not turned away")
		assert.ErrorIs(t, err, errScripted, "explains why there is no second connection")
		l.Release()

		advance(21 * time.Second)
		assert.Equal(t, 3, p.Stats().Idle)
	})
}

// Callers fail at once only if a full server asks for a long pause.
func TestLongThrottledPauseKeepsCallersWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		f.Next(drivertest.Connect, 1, drivertest.Fail(driver.Throttled(errScripted, 20*time.Second)))
		start(t.Context(), p).wantError(t, errScripted)
		c := start(t.Context(), p)
		advance(20*time.Second - 1)
		c.wantWaiting(t)
		advance(1)
		c.wantLease(t).Release()
	})
}

// With FailFast, callers do not wait for the backoff. They still wait for a Connect
// and for a Release.
func TestFailFastLetsCallersWaitForAConnectAndForARelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 3, FailFast: true, Backoff: pool.Backoff{Initial: time.Minute, Max: time.Minute}})
		f.Next(drivertest.Connect, 2, drivertest.Delay(time.Second))
		callers := startN(t.Context(), p, 2)
		advance(time.Second)
		f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
		start(t.Context(), p).wantError(t, errScripted)
		start(t.Context(), p).wantError(t, errScripted)
		assert.Equal(t, 3, f.Counts().Connects)
		require.NoError(t, p.Resize(2)) // now there is no room for a Connect
		waiting := start(t.Context(), p)
		waiting.wantWaiting(t)
		callers.wantServed(t)
		waiting.wantLease(t).Release()
		require.NoError(t, p.Resize(3))
		advance(2 * time.Minute)
		releaseAll(acquireN(t, p, 3))
	})
}

// Callers must see the permanent error, which explains the long pause, even after
// an attempt has failed for another reason.
func TestPassingErrorDoesNotHideThePermanentOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxConnecting: 1})
		f.Next(drivertest.Connect, 1, drivertest.Fail(driver.Permanent(errScripted)))
		f.Always(drivertest.Connect, drivertest.Fail(errors.New("refused")))
		start(t.Context(), p).wantError(t, errScripted)
		advance(time.Minute)
		for range 2 { // one caller that connects, and one before the next attempt is due
			e := start(t.Context(), p).wantError(t, errScripted)
			assert.True(t, driver.IsPermanent(e))
			advance(59 * time.Second)
		}
		assert.Equal(t, 2, f.Counts().Connects)
	})
}
