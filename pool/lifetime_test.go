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

// Each connection draws its jitter once. A pool that draws at each release closes
// busy connections near the shortest lifetime. The mean of 100 uniform draws is off by
// a tenth of the span once in 2,000 runs, and practically never by 0.15 of it.
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
		toil(p, 100, 2500*time.Millisecond, 5*time.Millisecond, release)
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

// The replacement is kept, although MaxIdle is reached.
func TestReplacementIsKeptWhereMaxIdleIsReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := sameAge(t, 2, pool.Config{MaxOpen: 4, MaxIdle: 2})
		advance(65 * time.Second)
		assert.Equal(t, 2, p.Stats().Idle)
		assert.Equal(t, 4, f.Counts().Connects)
		assert.Equal(t, pool.Closes{Lifetime: 2}, p.Stats().Closed)
	})
}

// Callers must not wait for a hung replacement while there is room for a Connect of
// their own.
func TestHungReplacementHoldsUpNoCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := sameAge(t, 1, pool.Config{MaxOpen: 3})
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
