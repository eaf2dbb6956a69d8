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

// A caller that polls must learn when polling is useless.
func TestTryAcquireSaysWhyNot(t *testing.T) {
	type fakePool = pool.Pool[*conn]
	for name, tt := range map[string]struct {
		idle, leased, waiting int
		rest                  time.Duration // how long the connections are idle
		reset, hook           error         // the errors of ResetSession and of OnAcquire
		resets                int           // how many calls to ResetSession fail
		end                   func(p *fakePool) error
		want                  error // nil = a lease
		bad                   int64 // connections closed
	}{
		"idle":                {idle: 1},
		"empty":               {want: pool.ErrNoneIdle},
		"in use":              {leased: 2, want: pool.ErrNoneIdle},
		"others wait":         {leased: 2, waiting: 1, want: pool.ErrNoneIdle},
		"to be checked":       {idle: 2, rest: 10 * time.Second, want: pool.ErrNoneIdle},
		"dead":                {idle: 2, reset: driver.ErrBadConn, resets: 2, want: pool.ErrNoneIdle, bad: 1}, // the other needs a check
		"no reset":            {idle: 2, reset: errScripted, resets: 2, want: pool.ErrNoneIdle, bad: 2},
		"some without reset":  {idle: 4, reset: errScripted, resets: 3, bad: 3},
		"found bad by a hook": {idle: 2, hook: driver.ErrBadConn, want: pool.ErrNoneIdle, bad: 1},
		"refused by a hook":   {idle: 2, hook: errScripted, want: errScripted, bad: 1}, // which says nothing about the other
		"suspended":           {end: func(p *fakePool) error { return p.Resize(0) }, want: pool.ErrSuspended},
		"closed":              {idle: 1, end: (*fakePool).Close, want: pool.ErrClosed},
	} {
		bubble(t, name, func(t *testing.T) {
			var hook error
			f, p := openFake(t, pool.Config{MaxOpen: max(2, tt.idle), OnAcquire: func(context.Context, driver.Conn, pool.Info) error { return hook }})
			fill(t, p, tt.idle)
			advance(tt.rest)
			acquireN(t, p, tt.leased)
			startN(t.Context(), p, tt.waiting)
			hook = tt.hook
			f.Next(drivertest.ResetSession, tt.resets, drivertest.Fail(tt.reset))
			f.Always(drivertest.Ping, drivertest.Delay(time.Millisecond))
			if tt.end != nil {
				require.NoError(t, tt.end(p))
			}
			l, err := p.TryAcquire()
			switch {
			case tt.want == nil:
				require.NoError(t, err)
				assert.NoError(t, l.Conn().Use())
			case tt.want == pool.ErrNoneIdle:
				assert.True(t, err == tt.want, "the bare ErrNoneIdle, not %v", err)
				assert.True(t, driver.SafeToRetry(err))
				assert.False(t, driver.IsBad(err))
			default:
				wantAcquireError(t, err, tt.want)
				assert.NotErrorIs(t, err, pool.ErrNoneIdle)
				assert.Equal(t, tt.want == pool.ErrClosed, driver.IsPermanent(err))
			}
			assert.Equal(t, tt.bad, p.Stats().Closed.Bad)
			l.Release() // does nothing if l is zero
		})
	}
}

// Otherwise a caller might poll forever.
func TestTryAcquireReportsAPermanentConnectError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2})
		l := acquire(t, p)
		f.Next(drivertest.Connect, 1, drivertest.Fail(driver.Permanent(errScripted)))
		for range 2 { // the first starts a Connect
			_, err := p.TryAcquire()
			assert.Equal(t, pool.ErrNoneIdle, err, "the lease may come back")
			synctest.Wait()
		}
		l.Discard(nil)
		synctest.Wait()
		_, err := p.TryAcquire()
		wantAcquireError(t, err, errScripted)
		assert.True(t, driver.IsPermanent(err))

		advance(time.Minute) // after that, a caller may try again
		_, err = p.TryAcquire()
		assert.Equal(t, pool.ErrNoneIdle, err)
		synctest.Wait()
		wantTry(t, p)
	})
}

// TryAcquire must not start a Connect whose connection would be closed at once.
func TestTryAcquireConnectsNothingThatWouldNotBeKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxIdle: -1})
		for range 100 {
			_, err := p.TryAcquire()
			assert.Equal(t, pool.ErrNoneIdle, err)
			advance(time.Millisecond)
		}
		assert.Zero(t, f.Counts().Connects)
	})
}
