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

func TestResizeUpServesWaitersAtOnce(t *testing.T) {
	bubble(t, "by two", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1})
		defer acquire(t, p).Release()
		callers := startN(t.Context(), p, 3)
		require.NoError(t, p.Resize(3))
		defer callers[0].wantLease(t).Release()
		defer callers[1].wantLease(t).Release()
		callers[2].wantWaiting(t)
		assert.Equal(t, 3, p.Stats().MaxOpen)
		assert.Equal(t, 3, f.Counts().Peak)
		callers[1].lease.Release()
		callers[2].wantLease(t).Release()
	})
}

func TestResizeDownClosesIdleOnesFirst(t *testing.T) {
	bubble(t, "enough are idle", func(t *testing.T) {
		var why reasons
		f, p := openFake(t, pool.Config{MaxOpen: 5, OnClose: why.add})
		leases := acquireN(t, p, 5)
		releaseAll(leases[:3])
		require.NoError(t, p.Resize(2))
		why.want(t, 3, pool.ErrResized)
		releaseAll(leases[3:])
		assert.Equal(t, 2, p.Stats().Idle, "those in use were within the limit")
		wantAllSlots(t, f, p, 2)
	})

	bubble(t, "the rest goes when it is released", func(t *testing.T) {
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
			c.wantWaiting(t) // there are too many still
		}
		why.want(t, 3, pool.ErrResized)
		leases[3].Release()
		c.wantLease(t).Release()
		leases[4].Release()
		wantAllSlots(t, f, p, 2)
	})

	bubble(t, "what is being connected goes when it is there", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 4})
		f.Always(drivertest.Connect, drivertest.Delay(time.Second))
		f.Always(drivertest.Close, stall(100*time.Millisecond))
		callers := startN(t.Context(), p, 4)
		require.NoError(t, p.Resize(1))
		advance(time.Second)
		for _, c := range callers {
			c.wantLease(t).Release()
		}
		assert.Equal(t, 4, f.Counts().Connects)
		advance(100 * time.Millisecond)
		wantAllSlots(t, f, p, 1)
	})

	bubble(t, "what is there is kept, and not what is being connected", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 4})
		leases := acquireN(t, p, 2)
		f.Always(drivertest.Connect, drivertest.Delay(time.Second))
		callers := startN(t.Context(), p, 2)
		require.NoError(t, p.Resize(2))
		advance(time.Second)
		releaseAll(leases)
		for _, c := range callers {
			assert.LessOrEqual(t, c.wantLease(t).Conn().ID, 2)
			c.lease.Release()
		}
		wantAllSlots(t, f, p, 2)
	})

	bubble(t, "what is being checked goes after its check", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2})
		fill(t, p, 2)
		advance(time.Minute)
		f.Always(drivertest.Ping, drivertest.Delay(100*time.Millisecond))
		callers := startN(t.Context(), p, 2)
		require.NoError(t, p.Resize(1))
		advance(100 * time.Millisecond)
		for _, c := range callers {
			c.wantLease(t).Release()
		}
		wantAllSlots(t, f, p, 1)
	})
}

// A connection marked by one Resize is not counted as one to go by the next.
func TestResizeToAndFroCountsEachConnectionOnce(t *testing.T) {
	bubble(t, "down in steps", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 6})
		leases := acquireN(t, p, 6)
		for n := 5; n >= 2; n-- {
			require.NoError(t, p.Resize(n))
		}
		releaseAll(leases)
		synctest.Wait()
		assert.Equal(t, 2, f.Counts().Open)
		wantAllSlots(t, f, p, 2)
	})

	bubble(t, "down and up", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 4})
		leases := acquireN(t, p, 4)
		for range 3 {
			require.NoError(t, p.Resize(0))
			require.NoError(t, p.Resize(4))
		}
		c := start(t.Context(), p)
		c.wantWaiting(t)
		releaseAll(leases)
		c.wantLease(t).Release()
		wantAllSlots(t, f, p, 4)
	})

	bubble(t, "above what it was", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1, MinIdle: 1})
		require.NoError(t, p.Resize(20))
		wantAllSlots(t, f, p, 20)
	})
}

func TestResizeBelowMinIdleKeepsTheSparesAtTheLimit(t *testing.T) {
	bubble(t, "and brings them back", func(t *testing.T) {
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

// MaxIdle binds after Resize as before.
func TestResizeKeepsMaxIdle(t *testing.T) {
	bubble(t, "up", func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 2, MaxIdle: 2})
		require.NoError(t, p.Resize(5))
		releaseAll(acquireN(t, p, 5))
		synctest.Wait()
		assert.Equal(t, 2, p.Stats().Open)
	})
}

func TestResizeToLessThanNothingIsAnError(t *testing.T) {
	_, p := openFake(t, pool.Config{Name: "depot", MaxOpen: 3})
	assert.EqualError(t, p.Resize(-1), `pool "depot": Resize(-1); want 0 or more`)
	assert.Equal(t, 3, p.Stats().MaxOpen)
}

// A lease that ends while Resize looks was idle in the pass over the leased
// ones and leased in that over the idle ones.
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

// Connections that were retired once, and have gone since, don't count again.
func TestResizeDownClosesAllThatAreTooMany(t *testing.T) {
	for name, retire := range map[string]func(p *pool.Pool[*conn]){
		"after Reset":  func(p *pool.Pool[*conn]) { p.Reset() },
		"after Resize": func(p *pool.Pool[*conn]) { require.NoError(t, p.Resize(4)); require.NoError(t, p.Resize(10)) },
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 10})
			leases := acquireN(t, p, 10)
			retire(p)
			releaseAll(leases)
			synctest.Wait()
			fill(t, p, 5)
			require.NoError(t, p.Resize(1))
			synctest.Wait()
			assert.Equal(t, 1, f.Counts().Open)
			require.NoError(t, p.Resize(0))
			_, ok := p.TryAcquire()
			assert.False(t, ok, "a suspended pool")
		})
	}
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
