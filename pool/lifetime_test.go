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

// Each connection draws its jitter once. Pools that draw at each release close
// busy connections at the least lifetime. The mean of 100 even draws is off by
// a tenth of the span once in 2,000 runs, and never by 0.15.
func TestJitterOfLessThanASecondSpreadsBusyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const from, to = 2 * time.Second, 2400 * time.Millisecond
		var mu sync.Mutex
		var ages []time.Duration
		began := time.Now()
		f, p := openFake(t, pool.Config{
			MaxOpen: 100, MaxConnecting: 100, MaxLifetime: from, LifetimeJitter: 0.2,
			OnClose: func(_ driver.Conn, reason error) {
				if reason == pool.ErrMaxLifetime {
					mu.Lock()
					defer mu.Unlock()
					ages = append(ages, time.Since(began))
				}
			},
		})
		var users sync.WaitGroup
		for range 100 {
			users.Go(func() {
				for time.Since(began) < 2500*time.Millisecond {
					l := acquire(t, p)
					<-time.After(5 * time.Millisecond)
					l.Release()
				}
			})
		}
		users.Wait()
		require.Len(t, ages, 100)
		assert.GreaterOrEqual(t, slices.Min(ages), from)
		assert.LessOrEqual(t, slices.Max(ages), to+5*time.Millisecond)
		sum := time.Duration(0)
		for _, age := range ages {
			sum += age
		}
		assert.InDelta(t, (from+to)/2, sum/100, 0.15*float64(to-from), "mean age")
		assert.LessOrEqual(t, f.Counts().Peak, 100)
	})
}

// rotate opens a pool whose connections live for a minute exactly.
func rotate(t *testing.T, cfg pool.Config) (*drivertest.Fake, *pool.Pool[*conn]) {
	cfg.MaxLifetime, cfg.LifetimeJitter = time.Minute, -1
	return openFake(t, cfg)
}

// The old connection serves while its replacement is being connected.
func TestReplacementIsConnectedBeforeTheOldConnectionGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := rotate(t, pool.Config{MaxOpen: 2})
		fill(t, p, 1)
		f.Always(drivertest.Connect, drivertest.Delay(5*time.Second))
		advance(62 * time.Second)
		require.Equal(t, 1, p.Stats().Connecting)
		l := start(t.Context(), p).wantLease(t)
		assert.Equal(t, 1, l.Conn().ID, "no caller pays for the rotation")
		l.Release()
		advance(4 * time.Second)
		assert.Equal(t, 1, f.Counts().Closes)
		l = start(t.Context(), p).wantLease(t)
		assert.Equal(t, 2, l.Conn().ID)
		l.Release()
		assert.Equal(t, 2, f.Counts().Peak)
	})
}

// A full pool has no room to connect the replacement first.
func TestReplacementFollowsInAFullPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := rotate(t, pool.Config{MaxOpen: 4})
		fill(t, p, 4)
		f.Always(drivertest.Connect, drivertest.Delay(time.Second))
		f.Always(drivertest.Close, stall(time.Second))
		advance(70 * time.Second)
		assert.Equal(t, 4, p.Stats().Idle, "without traffic")
		assert.Equal(t, int64(4), p.Stats().Closed.Lifetime)
		assert.Equal(t, 4, f.Counts().Peak)
	})
}

// Many connections of the same age, half of them in use, are replaced within
// MaxOpen and MaxConnecting, and there is always one for a caller.
func TestRotationKeepsToTheLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := rotate(t, pool.Config{MaxOpen: 24, MaxConnecting: 3, ValidateAfter: -1})
		most := mostConnecting(f, 100*time.Millisecond)
		leases := acquireN(t, p, 20)
		releaseAll(leases[:10])
		for range 100 {
			advance(time.Second)
			if l, ok := try(p); assert.True(t, ok, "after %v", time.Since(f.ConnectTimes()[0])) {
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

// The replacement is not one too many, although MaxIdle is reached.
func TestReplacementIsKeptWhereMaxIdleIsReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := rotate(t, pool.Config{MaxOpen: 4, MaxIdle: 2})
		fill(t, p, 2)
		advance(65 * time.Second)
		assert.Equal(t, 2, p.Stats().Idle)
		assert.Equal(t, 4, f.Counts().Connects)
		assert.Equal(t, pool.Closes{Lifetime: 2}, p.Stats().Closed)
	})
}

// Callers must not wait for a replacement that hangs while there is room for a
// Connect of their own.
func TestHungReplacementHoldsUpNoCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := rotate(t, pool.Config{MaxOpen: 3})
		old := acquire(t, p)
		f.Next(drivertest.Connect, 1, drivertest.Hang)
		advance(61 * time.Second)
		require.Equal(t, 1, p.Stats().Connecting)
		l := start(t.Context(), p).wantLease(t)
		assert.Equal(t, 3, l.Conn().ID)
		l.Release()
		old.Release()
	})
}

func TestFailedReplacementKeepsTheOldConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := rotate(t, pool.Config{MaxOpen: 2, MinIdle: 1})
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
