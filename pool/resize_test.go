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

func TestResizeDownClosesIdleConnectionsFirst(t *testing.T) {
	bubble(t, "if enough are idle", func(t *testing.T) {
		var why reasons
		f, p := openFake(t, pool.Config{MaxOpen: 5, OnClose: why.add})
		leases := acquireN(t, p, 5)
		releaseAll(leases[:3])
		require.NoError(t, p.Resize(2))
		why.want(t, 3, pool.ErrResized)
		releaseAll(leases[3:])
		assert.Equal(t, 2, p.Stats().Idle, "the connections in use were within the limit")
		wantAllSlots(t, f, p, 2)
	})

	bubble(t, "and leased ones when they are released", func(t *testing.T) {
		var why reasons
		f, p := openFake(t, pool.Config{MaxOpen: 5, OnClose: why.add})
		leases := acquireN(t, p, 5)
		c := start(t.Context(), p)
		require.NoError(t, p.Resize(2))
		synctest.Wait()
		assert.Equal(t, 5, f.Counts().Open, "no holder is disturbed")
		for _, l := range leases[:3] {
			assert.NoError(t, l.Conn().Use())
			l.Release()
			c.wantWaiting(t) // there are still too many
		}
		why.want(t, 3, pool.ErrResized)
		leases[3].Release()
		c.wantLease(t).Release()
		leases[4].Release()
		wantAllSlots(t, f, p, 2)
	})

	bubble(t, "and new ones when they are connected", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 4})
		leases := acquireN(t, p, 2)
		f.Always(drivertest.Connect, drivertest.Delay(time.Second))
		f.Always(drivertest.Close, stall(100*time.Millisecond))
		callers := startN(t.Context(), p, 2)
		require.NoError(t, p.Resize(2))
		advance(time.Second)
		releaseAll(leases)
		for _, c := range callers {
			assert.LessOrEqual(t, c.wantLease(t).Conn().ID, 2, "the older ones are kept")
			c.lease.Release()
		}
		advance(100 * time.Millisecond)
		wantAllSlots(t, f, p, 2)
	})

	bubble(t, "and those being checked after their checks", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2})
		fill(t, p, 2)
		advance(time.Minute)
		f.Always(drivertest.Ping, drivertest.Delay(100*time.Millisecond))
		callers := startN(t.Context(), p, 2)
		require.NoError(t, p.Resize(1))
		advance(100 * time.Millisecond)
		callers.wantServed(t)
		wantAllSlots(t, f, p, 1)
	})
}

// A connection that one Resize has marked is not marked again by the next. Marked
// connections that are closed do not count again.
func TestResizeToAndFroCountsEachConnectionOnce(t *testing.T) {
	type fakePool = pool.Pool[*conn]
	resize := func(sizes ...int) func(*fakePool) {
		return func(p *fakePool) {
			for _, n := range sizes {
				require.NoError(t, p.Resize(n))
			}
		}
	}
	for name, tt := range map[string]struct {
		mark func(*fakePool)
		left int
	}{
		"down in steps":     {resize(5, 4, 3, 2), 2},
		"down and up":       {resize(0, 6, 0, 6, 0, 6), 6},
		"once":              {resize(4, 6), 6},
		"above what it was": {resize(20), 20},
		"reset":             {(*fakePool).Reset, 6},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 6})
			leases := acquireN(t, p, 6)
			tt.mark(p)
			releaseAll(leases)
			synctest.Wait()
			wantAllSlots(t, f, p, tt.left)
			require.NoError(t, p.Resize(1))
			synctest.Wait()
			assert.Equal(t, 1, f.Counts().Open, "all excess connections are closed")
		})
	}
}

// A lease may end while Resize walks over the slots. Then its connection is leased
// during the pass over idle ones, and idle during the pass over leased ones.
func TestResizeMissesNoConnectionThatIsReleasedMeanwhile(t *testing.T) {
	for range 300 {
		p := openPlain(t, 64)
		leases := acquireN(t, p, 64)
		done := make(chan struct{})
		go func() {
			defer close(done)
			releaseAll(leases)
		}()
		require.NoError(t, p.Resize(4))
		<-done
		require.LessOrEqual(t, p.Stats().Open, 4)
		require.NoError(t, p.Close())
	}
}

func TestResizeBelowMinIdleKeepsTheSparesAtTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 4, MinIdle: 3})
		require.NoError(t, p.Ready(t.Context()))
		require.NoError(t, p.Resize(2))
		advance(10 * time.Second)
		assert.Equal(t, 2, p.Stats().Idle)
		assert.Equal(t, 3, f.Counts().Connects, "no churn")
		assert.NoError(t, p.Ready(t.Context()))
		require.NoError(t, p.Resize(4))
		advance(time.Second)
		assert.Equal(t, 3, p.Stats().Idle)
	})
}

func TestReadySeesAResize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Always(drivertest.Connect, drivertest.Fail(driver.Throttled(errScripted, 5*time.Minute)))
		p := open[*conn](t, f, pool.Config{MinIdle: 5})
		synctest.Wait()
		var ready error = errScripted
		go func() { ready = p.Ready(context.Background()) }()
		synctest.Wait()
		require.NoError(t, p.Resize(0))
		synctest.Wait()
		assert.NoError(t, ready)
	})
}

func TestResizeKeepsMaxIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 2, MaxIdle: 2})
		require.NoError(t, p.Resize(5))
		leases := acquireN(t, p, 5)
		releaseAll(leases[:2])
		fast := acquireN(t, p, 2) // on the fast path, because they are idle
		releaseAll(leases[2:])
		releaseAll(fast)
		synctest.Wait()
		assert.Equal(t, 2, p.Stats().Open)
	})
}

func TestNegativeResizeIsAnError(t *testing.T) {
	_, p := openFake(t, pool.Config{Name: "depot", MaxOpen: 3})
	assert.EqualError(t, p.Resize(-1), `pool "depot": Resize(-1); want 0 or more`)
	assert.Equal(t, 3, p.Stats().MaxOpen)
}

func TestSuspendedPoolHoldsItsCallersUntilItIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, MinIdle: 2, KeepAlive: time.Second})
		require.NoError(t, p.Ready(t.Context()))
		l := acquire(t, p)
		began := time.Now()
		require.NoError(t, p.Resize(0))
		assert.Zero(t, time.Since(began), "it does not wait for the holders")
		assert.NoError(t, l.Conn().Use(), "they may finish")
		callers := startN(t.Context(), p, 3)
		l.Release()
		advance(10 * time.Second)
		assert.Zero(t, f.Counts().Open)
		assert.Equal(t, 2, f.Counts().Connects, "it does not connect")
		_, ok := try(p)
		assert.False(t, ok)
		callers.wantWaiting(t)
		require.NoError(t, p.Resize(2))
		defer callers[0].wantLease(t).Release()
		callers[2].wantWaiting(t)
		callers[1].wantLease(t).Release()
		callers[2].wantLease(t).Release()
	})
}

func TestSuspendedPoolRejectsItsCallersWithFailFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 2, FailFast: true})
		l := acquire(t, p)
		require.NoError(t, p.Resize(0))
		assert.True(t, driver.SafeToRetry(start(t.Context(), p).wantError(t, pool.ErrSuspended)))
		l.Release()
		require.NoError(t, p.Resize(1))
		start(t.Context(), p).wantLease(t).Release()
	})
}
