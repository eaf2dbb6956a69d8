package pool_test

import (
	"slices"
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

// ages records, for use as OnClose, how old each connection got that was
// closed for its age. All of them began at the same time.
type ages struct {
	began time.Time
	mu    sync.Mutex
	all   []time.Duration
}

func (a *ages) onClose(_ driver.Conn, reason error) {
	if reason == pool.ErrMaxLifetime {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.all = append(a.all, time.Since(a.began))
	}
}

// sorted returns the ages up to now, the least first.
func (a *ages) sorted() []time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(slices.Values(a.all))
}

// wantSpread fails t unless 100 ages lie in [from, to] as even chance puts them
// there: the mean of 100 such draws is off by a tenth of the span once in 2,000
// runs, by 0.15 never.
func (a *ages) wantSpread(t *testing.T, from, to time.Duration) {
	t.Helper()
	all := a.sorted()
	require.Len(t, all, 100)
	assert.GreaterOrEqual(t, all[0], from)
	assert.LessOrEqual(t, all[99], to+5*time.Millisecond)
	sum := time.Duration(0)
	for _, age := range all {
		sum += age
	}
	assert.InDelta(t, (from+to)/2, sum/100, 0.15*float64(to-from), "mean age")
}

// 23: the pools of others draw again at each release, which ends all at L.
func TestJitterIsDrawnOncePerConnectionWhateverTheReleaseRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &ages{began: time.Now()}
		f, p := openFake(t, pool.Config{MaxOpen: 100, MaxConnecting: 100, MaxLifetime: 10 * time.Second, LifetimeJitter: 0.1, OnClose: a.onClose})
		fill(t, p, 100)
		for range 11000 { // 1,000 releases of some connection in a second
			acquire(t, p).Release()
			<-time.After(time.Millisecond)
		}
		synctest.Wait()
		a.wantSpread(t, 10*time.Second, 11*time.Second)
		assert.LessOrEqual(t, f.Counts().Peak, 100)
	})
}

// 23: each connection in use all the time, and a jitter of less than a second.
func TestJitterOfLessThanASecondSpreadsBusyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &ages{began: time.Now()}
		f, p := openFake(t, pool.Config{MaxOpen: 100, MaxConnecting: 100, MaxLifetime: 2 * time.Second, LifetimeJitter: 0.2, OnClose: a.onClose})
		var users sync.WaitGroup
		for range 100 {
			users.Go(func() {
				for time.Since(a.began) < 2500*time.Millisecond {
					l := acquire(t, p)
					<-time.After(5 * time.Millisecond)
					l.Release()
				}
			})
		}
		users.Wait()
		a.wantSpread(t, 2*time.Second, 2400*time.Millisecond)
		assert.LessOrEqual(t, f.Counts().Peak, 100)
	})
}

func TestNegativeLifetimeJitterMeansNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &ages{began: time.Now()}
		_, p := openFake(t, pool.Config{MaxLifetime: 10 * time.Second, LifetimeJitter: -1, OnClose: a.onClose})
		fill(t, p, 5)
		advance(10*time.Second + 10*time.Millisecond)
		all := a.sorted()
		require.Len(t, all, 5)
		assert.InDelta(t, 10*time.Second, all[4], float64(10*time.Millisecond))
	})
}

// 24: without traffic, and with the defaults of everything else.
func TestIdleConnectionIsClosedAtItsLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &ages{began: time.Now()}
		_, p := openFake(t, pool.Config{MaxLifetime: time.Minute, OnClose: a.onClose})
		fill(t, p, 3)
		advance(time.Minute - time.Millisecond)
		assert.Empty(t, a.sorted())
		advance(6*time.Second + 300*time.Millisecond)
		assert.Len(t, a.sorted(), 3)
	})
}

// 24: nothing is taken from a holder; the time comes at release.
func TestLeasedConnectionIsClosedAtReleaseAfterItsLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &ages{began: time.Now()}
		_, p := openFake(t, pool.Config{MaxOpen: 1, MaxLifetime: time.Minute, OnClose: a.onClose})
		l := acquire(t, p)
		advance(time.Hour)
		assert.NoError(t, l.Conn().Use())
		assert.Empty(t, a.sorted())
		l.Release()
		synctest.Wait()
		assert.Equal(t, []time.Duration{time.Hour}, a.sorted())
	})
}

func TestDefaultLifetimeIsHalfAnHourAndATenth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 100, MaxConnecting: 100, MaxIdleTime: -1})
		fill(t, p, 100)
		advance(30 * time.Minute)
		assert.Zero(t, p.Stats().Closed.Lifetime)
		advance(3*time.Minute + 10*time.Second)
		assert.Equal(t, int64(100), p.Stats().Closed.Lifetime)
		assert.Equal(t, 200, f.Counts().Connected)
	})
}

// 24: zero must not make every connection an old one, nor negative.
func TestNegativeLifetimeMeansNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxLifetime: -1, MaxIdleTime: -1})
		fill(t, p, 5)
		advance(1000 * time.Hour)
		assert.Equal(t, 5, p.Stats().Idle)
		assert.Equal(t, 5, f.Counts().Connects)
	})
}

// Make before break: as long as the replacement is being connected, the old
// connection serves.
func TestReplacementIsConnectedBeforeTheOldConnectionGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, MaxLifetime: time.Minute, LifetimeJitter: -1})
		fill(t, p, 1)
		f.Always(drivertest.Connect, drivertest.Delay(5*time.Second))
		advance(62 * time.Second)
		require.Equal(t, 1, p.Stats().Connecting)
		l := acquire(t, p)
		assert.Equal(t, 1, l.Conn().ID, "no caller pays for the rotation")
		l.Release()
		advance(4 * time.Second)
		assert.Equal(t, 1, f.Counts().Closes)
		began := time.Now()
		l = acquire(t, p)
		assert.Equal(t, 2, l.Conn().ID)
		assert.Zero(t, time.Since(began))
		l.Release()
		assert.Equal(t, 2, f.Counts().Peak)
	})
}

// The same for one in use: its holder keeps it, the next one gets the new one.
func TestReplacementOfALeasedConnectionIsReadyAtItsRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, MaxLifetime: time.Minute, LifetimeJitter: -1})
		old := acquire(t, p)
		advance(61 * time.Second)
		assert.Equal(t, 2, f.Counts().Open)
		assert.NoError(t, old.Conn().Use())
		old.Release()
		next := acquire(t, p)
		assert.Equal(t, 2, next.Conn().ID)
		next.Release()
		synctest.Wait()
		assert.Equal(t, 1, f.Counts().Open)
	})
}

// A full pool has no room for the replacement before, so it follows.
func TestReplacementFollowsInAFullPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 4, MaxLifetime: time.Minute, LifetimeJitter: -1})
		fill(t, p, 4)
		f.Always(drivertest.Connect, drivertest.Delay(time.Second))
		f.Always(drivertest.Close, stall(time.Second))
		advance(70 * time.Second)
		assert.Equal(t, 4, p.Stats().Idle, "without traffic")
		assert.Equal(t, int64(4), p.Stats().Closed.Lifetime)
		assert.Equal(t, 4, f.Counts().Peak)
	})
}

// Rotation of many connections of one age, half of them in use, keeps to
// MaxOpen and to MaxConnecting, and never leaves the pool without any.
func TestRotationKeepsToTheLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 24, MaxConnecting: 3, MaxLifetime: time.Minute, LifetimeJitter: -1, ValidateAfter: -1})
		most := mostConnecting(f, 100*time.Millisecond)
		leases := acquireN(t, p, 20)
		releaseAll(leases[:10])
		for range 100 {
			advance(time.Second)
			if l, ok := p.TryAcquire(); assert.True(t, ok, "after %v", time.Since(f.ConnectTimes()[0])) {
				l.Release()
			}
		}
		releaseAll(leases[10:])
		advance(10 * time.Second)
		assert.Equal(t, 20, p.Stats().Idle)
		assert.Equal(t, int64(20), p.Stats().Closed.Lifetime)
		assert.LessOrEqual(t, f.Counts().Peak, 24)
		assert.LessOrEqual(t, most.Load(), int64(3))
		assert.Equal(t, 40, f.Counts().Connects, "one replacement for each")
	})
}

// With as many idle as MaxIdle allows, the replacement is not surplus.
func TestReplacementIsKeptWhereMaxIdleIsReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 4, MaxIdle: 2, MaxLifetime: time.Minute, LifetimeJitter: -1})
		fill(t, p, 2)
		advance(65 * time.Second)
		assert.Equal(t, 2, p.Stats().Idle)
		assert.Equal(t, 4, f.Counts().Connects)
		assert.Equal(t, pool.Closes{Lifetime: 2}, p.Stats().Closed)
	})
}

func TestMaxUsesEndsAConnectionAtItsLastRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxUses: 3})
		for i := range 9 {
			l := acquire(t, p)
			assert.Equal(t, i/3+1, l.Conn().ID)
			l.Release()
			synctest.Wait()
		}
		assert.Equal(t, pool.Closes{Uses: 3}, p.Stats().Closed)
		assert.Equal(t, 3, f.Counts().Connects)
	})
}

// 35: a replacement under way is not meant for callers, so none has to wait for
// one that hangs while there is room for its own.
func TestHungReplacementHoldsUpNoCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 3, MaxLifetime: time.Minute, LifetimeJitter: -1})
		old := acquire(t, p)
		f.Next(drivertest.Connect, 1, drivertest.Hang)
		advance(61 * time.Second)
		require.Equal(t, 1, p.Stats().Connecting)
		began := time.Now()
		l := acquire(t, p)
		assert.Zero(t, time.Since(began))
		assert.Equal(t, 3, l.Conn().ID)
		l.Release()
		old.Release()
	})
}

func TestFailedReplacementKeepsTheOldConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, MinIdle: 1, MaxLifetime: time.Minute, LifetimeJitter: -1})
		require.NoError(t, p.Ready(t.Context()))
		f.Always(drivertest.Connect, drivertest.Fail(errScripted))
		advance(3 * time.Minute)
		require.Equal(t, 1, p.Stats().Open)
		assert.Equal(t, 1, f.Conns()[0].ID)
		assert.Greater(t, f.Counts().Connects, 10, "attempts go on at the pace of the backoff")

		f.Always(drivertest.Connect, nil)
		advance(7 * time.Second)
		require.Equal(t, 1, p.Stats().Open)
		assert.NotEqual(t, 1, f.Conns()[0].ID)
	})
}
