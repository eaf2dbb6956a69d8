package pool_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// mostConnecting makes each Connect of f take d, and returns the most that
// were ever under way at once.
func mostConnecting(f *drivertest.Fake, d time.Duration) *atomic.Int64 {
	var most atomic.Int64
	f.Always(drivertest.Connect, func(ctx context.Context, c *conn) error {
		n := int64(f.Counts().Connecting)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		return drivertest.Delay(d)(ctx, c)
	})
	return &most
}

// 14: the caller leaves at once, and the next one gets what it began.
func TestCanceledCallerLeavesItsConnectToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		f.Always(drivertest.Connect, drivertest.Delay(time.Second))
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err := p.Acquire(ctx)
		wantAcquireError(t, err, context.DeadlineExceeded)
		assert.Equal(t, 300*time.Millisecond, time.Since(began))
		assert.Equal(t, 1, p.Stats().Connecting)

		l := acquire(t, p)
		assert.Equal(t, time.Second, time.Since(began))
		assert.Equal(t, 1, l.Conn().ID)
		assert.Equal(t, 1, f.Counts().Connects)
		l.Release()
	})
}

// 14: the same without a next one.
func TestCanceledCallerLeavesItsConnectToTheIdleList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		f.Always(drivertest.Connect, drivertest.Delay(time.Second))
		ctx, cancel := context.WithCancel(t.Context())
		c := start(ctx, p)
		cancel()
		c.wantError(t, context.Canceled)
		advance(time.Second)
		assert.Equal(t, 1, p.Stats().Idle)
	})
}

// 14, the counter-test: what callers leave behind stays bounded.
func TestAbandonedConnectsStayBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 20, MaxConnecting: 4, ConnectTimeout: 10 * time.Second})
		f.Always(drivertest.Connect, drivertest.Hang)
		for range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			callers := startN(ctx, p, 10)
			advance(time.Millisecond)
			cancel()
			for _, c := range callers {
				c.wantError(t, context.DeadlineExceeded)
			}
		}
		assert.Equal(t, 4, f.Counts().Connecting)
		assert.Equal(t, 4, f.Counts().Connects)
	})
}

// 15: 500 cold callers are no stampede, and a slow handshake is no bottleneck.
func TestColdCallersNeverConnectMoreThanMaxConnectingAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 40, MaxConnecting: 8})
		most := mostConnecting(f, time.Second)
		began := time.Now()
		var filled time.Duration
		var callers sync.WaitGroup
		for range 500 {
			callers.Go(func() {
				l := acquire(t, p)
				defer l.Release()
				<-time.After(time.Second)
			})
		}
		for p.Stats().Open < 40 && filled < time.Minute {
			advance(10 * time.Millisecond)
			filled = time.Since(began)
		}
		callers.Wait()
		assert.LessOrEqual(t, most.Load(), int64(8))
		assert.LessOrEqual(t, f.Counts().Peak, 40)
		assert.LessOrEqual(t, filled, 5*time.Second, "no slot of the eight may stand still while callers wait")
	})
}

func TestMaxConnectingDefault(t *testing.T) {
	for name, tt := range map[string]struct {
		maxOpen int
		want    int64
	}{"small pool": {3, 3}, "large pool": {100, 8}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := drivertest.NewFake(t)
				most := mostConnecting(f, time.Second)
				open[*conn](t, f, pool.Config{MaxOpen: tt.maxOpen, MinIdle: tt.maxOpen})
				advance(time.Minute)
				assert.Equal(t, tt.want, most.Load())
			})
		})
	}
}

// 31: the pool is warm after as many rounds as MaxConnecting needs.
func TestReadyWaitsForMinIdleConnectedInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Always(drivertest.Connect, drivertest.Delay(time.Second))
		p := open[*conn](t, f, pool.Config{MinIdle: 8})
		began := time.Now()
		require.NoError(t, p.Ready(t.Context()))
		assert.Equal(t, time.Second, time.Since(began))
		assert.Equal(t, 8, p.Stats().Idle)
		require.NoError(t, p.Ready(t.Context()), "ready is ready")
	})
}

func TestReadyWithoutMinIdleReturnsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		down(f)
		require.NoError(t, p.Ready(t.Context()))
		assert.Zero(t, f.Counts().Connects)
	})
}

func TestReadyCountsConnectionsInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 2, MinIdle: 2})
		require.NoError(t, p.Ready(t.Context()))
		leases := acquireN(t, p, 2)
		require.NoError(t, p.Ready(t.Context()))
		releaseAll(leases)
	})
}

// 31: the error says why the pool did not get warm, and the pool lives on.
func TestReadyThatTimesOutTellsTheConnectError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		down(f)
		p := open[*conn](t, f, pool.Config{MinIdle: 2})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		e := wantAcquireError(t, p.Ready(ctx), context.DeadlineExceeded)
		assert.ErrorIs(t, e, errScripted)
		assert.Equal(t, 3*time.Second, e.Waited)

		f.Up()
		require.NoError(t, p.Ready(t.Context()))
	})
}

func TestReadyFailsAtOnceForAPermanentError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Always(drivertest.Connect, drivertest.Fail(driver.Permanent(errScripted)))
		p := open[*conn](t, f, pool.Config{MinIdle: 2})
		began := time.Now()
		err := p.Ready(t.Context())
		wantAcquireError(t, err, errScripted)
		assert.True(t, driver.IsPermanent(err))
		assert.Zero(t, time.Since(began))
	})
}

func TestReadyFailsWhenThePoolIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Always(drivertest.Connect, drivertest.Hang)
		p := open[*conn](t, f, pool.Config{MinIdle: 2})
		done := make(chan error, 1)
		go func() { done <- p.Ready(t.Context()) }()
		synctest.Wait()
		require.NoError(t, p.Close())
		wantAcquireError(t, <-done, pool.ErrClosed)
	})
}

// 35: whatever the background waits for, an idle connection is a Ping away.
func TestHungBackgroundConnectKeepsNoCallerFromAnIdleConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Next(drivertest.Connect, 1, nil)
		f.Always(drivertest.Connect, drivertest.Hang)
		p := open[*conn](t, f, pool.Config{MinIdle: 3})
		advance(5 * time.Second) // the idle one wants a check now, and two Connects hang
		began := time.Now()
		l := acquire(t, p)
		assert.Equal(t, 1, l.Conn().ID)
		assert.Zero(t, time.Since(began))
		l.Release()

		advance(2 * time.Second)
		_, ok := p.TryAcquire()
		require.False(t, ok, "it wants a check again")
		synctest.Wait()
		l, ok = p.TryAcquire()
		require.True(t, ok, "the check was started")
		l.Release()
	})
}
