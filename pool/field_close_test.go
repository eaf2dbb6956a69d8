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

// Ends of pools and of connections that somebody asked for. What must not be
// left behind has its tests with rule 9.

// puddle's waiters sleep until a connection comes back, and so does its Close.
func TestCloseWakesWaitersAndDoesNotWaitForHolders(t *testing.T) {
	bubble(t, "one connection", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1})
		l := acquire(t, p)
		callers := startN(t.Context(), p, 3)
		began := time.Now()
		require.NoError(t, p.Close())
		assert.Zero(t, time.Since(began))
		for _, c := range callers {
			e := c.wantError(t, pool.ErrClosed)
			assert.True(t, driver.IsPermanent(e), "no retry helps")
		}
		assert.NoError(t, l.Conn().Use(), "the holder may finish")
		assert.Equal(t, 1, f.Counts().Open)
		l.Release()
		synctest.Wait()
		assert.Zero(t, f.Counts().Open)
	})
}

// database/sql hands the connection out after Close has returned.
func TestConnectUnderWayAtCloseIsNotHandedOut(t *testing.T) {
	for name, step := range map[string]drivertest.Step{
		"that ends":              drivertest.Hang,
		"that succeeds anyway":   stall(time.Second),
		"that succeeds too late": stall(time.Minute),
	} {
		bubble(t, name, func(t *testing.T) {
			f := drivertest.NewFake(t)
			f.Always(drivertest.Connect, step)
			p, err := pool.New[*conn](f, pool.Config{MinIdle: 1})
			require.NoError(t, err)
			c := start(t.Context(), p)
			p.Close()
			c.wantError(t, pool.ErrClosed)
			advance(time.Minute)
			assert.Zero(t, f.Counts().Open)
			assert.NoError(t, p.Close())
		})
	}
}

// database/sql returns at once, with connections in use.
func TestShutdownWaitsForTheLastLease(t *testing.T) {
	bubble(t, "that ends in time", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 3})
		leases := acquireN(t, p, 3)
		result := make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() { result <- p.Shutdown(ctx) }()
		for _, l := range leases {
			advance(time.Second)
			assert.Empty(t, result)
			assert.NoError(t, l.Conn().Use())
			l.Release()
		}
		synctest.Wait()
		assert.NoError(t, <-result)
		assert.Zero(t, f.Counts().Open)
	})

	bubble(t, "that is hijacked", func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		l := acquire(t, p)
		result := make(chan error, 1)
		go func() { result <- p.Shutdown(t.Context()) }()
		synctest.Wait()
		c := l.Hijack()
		assert.NoError(t, <-result)
		assert.NoError(t, c.Use(), "it is the pool's no more")
		assert.Equal(t, 1, f.Counts().Open)
		c.Close()
	})

	bubble(t, "that does not end in time", func(t *testing.T) {
		var why reasons
		f, p := openFake(t, pool.Config{Name: "depot", MaxOpen: 3, OnClose: why.add})
		leases := acquireN(t, p, 3)
		leases[2].Release()
		f.Next(drivertest.Use, 1, drivertest.Hang)
		used := make(chan error, 1)
		go func() { used <- leases[0].Conn().Use() }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		err := p.Shutdown(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.EqualError(t, err, `pool "depot": shutdown closed 2 connections under their holders: context deadline exceeded`)
		assert.Equal(t, time.Minute, time.Since(began))
		assert.Error(t, <-used, "its I/O fails")
		assert.Zero(t, f.Counts().Open)
		why.want(t, 3, pool.ErrClosed)

		// The holders notice by the errors of their I/O, not by a panic.
		assert.True(t, leases[1].Conn().IsClosed())
		leases[0].Discard(nil)
		leases[1].Release()
		assert.True(t, leases[1].Hijack().IsClosed())
		assert.Panics(t, func() { leases[2].Conn() }, "this one had ended before")
		assert.Equal(t, 3, f.Counts().Closes)
		assert.Zero(t, p.Stats().Open)
		assert.NoError(t, p.Shutdown(t.Context()))
	})

	bubble(t, "and for a Close that takes long", func(t *testing.T) {
		f, p := openFake(t, pool.Config{Name: "depot"})
		l := acquire(t, p)
		f.Always(drivertest.Close, stall(8*time.Second))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err := p.Shutdown(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "1 connections under their holders")
		assert.ErrorContains(t, err, "1 of Ping and Close for 5s")
		assert.Equal(t, 6*time.Second, time.Since(began))
		l.Release()
		advance(2 * time.Second)
	})

	bubble(t, "with a dead context", func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		fill(t, p, 1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		p.Shutdown(ctx)
		assert.Zero(t, f.Counts().Open)
	})
}

func TestCloseAndShutdownMayBeCalledAgainAndTogether(t *testing.T) {
	for name, held := range map[string]bool{"idle": false, "in use": true} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 4})
			leases := acquireN(t, p, 4)
			if !held {
				releaseAll(leases)
			}
			var ends sync.WaitGroup
			for i := range 20 {
				ends.Go(func() {
					if i%2 == 0 {
						assert.NoError(t, p.Close())
					} else {
						assert.NoError(t, p.Shutdown(t.Context()))
					}
				})
			}
			synctest.Wait()
			releaseAll(leases)
			ends.Wait()
			assert.NoError(t, p.Close())
			assert.NoError(t, p.Shutdown(t.Context()))
			assert.Equal(t, 4, f.Counts().Closes)
			assert.Equal(t, int64(4), p.Stats().Closed.Shutdown)
		})
	}
}

func TestResetClosesIdleOnesNowAndLeasedOnesAtTheirRelease(t *testing.T) {
	bubble(t, "connections", func(t *testing.T) {
		var why reasons
		f, p := openFake(t, pool.Config{MaxOpen: 4, OnClose: why.add})
		leases := acquireN(t, p, 4)
		releaseAll(leases[2:])
		p.Reset()
		synctest.Wait()
		assert.Equal(t, 2, f.Counts().Open)
		for _, l := range leases[:2] {
			assert.NoError(t, l.Conn().Use(), "the holder may finish")
		}
		releaseAll(leases[:2])
		synctest.Wait()
		assert.Zero(t, f.Counts().Open)
		why.want(t, 4, pool.ErrReset)
		assert.Equal(t, int64(4), p.Stats().Closed.Reset)
		wantAllSlots(t, f, p, 4)
	})

	bubble(t, "but no newer ones", func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		fill(t, p, 1)
		p.Reset()
		synctest.Wait()
		fill(t, p, 1)
		synctest.Wait()
		assert.Equal(t, 2, acquire(t, p).Conn().ID)
		assert.Equal(t, 1, f.Counts().Closes)
	})

	bubble(t, "being checked", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1})
		fill(t, p, 1)
		advance(time.Minute)
		f.Always(drivertest.Ping, drivertest.Delay(500*time.Millisecond))
		c := start(t.Context(), p)
		p.Reset()
		advance(500 * time.Millisecond)
		l := c.wantLease(t)
		assert.Equal(t, 2, l.Conn().ID)
		l.Release()
	})
}

func TestResetDoesNotDisturbWaiters(t *testing.T) {
	bubble(t, "for a release", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2})
		leases := acquireN(t, p, 2)
		callers := startN(t.Context(), p, 2)
		p.Reset()
		for i, c := range callers {
			c.wantWaiting(t)
			leases[i].Release()
			l := c.wantLease(t)
			assert.Equal(t, 3+i, l.Conn().ID)
			defer l.Release()
		}
		assert.Equal(t, 2, f.Counts().Peak)
	})

	bubble(t, "for a connect", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2})
		f.Next(drivertest.Connect, 2, drivertest.Hang) // as to a server that moved
		callers := startN(t.Context(), p, 2)
		p.Reset()
		for _, c := range callers {
			c.wantLease(t).Release()
		}
	})

	// What is being connected may have the old password.
	bubble(t, "for a connect that does not end", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 3})
		f.Next(drivertest.Connect, 2, func(context.Context, *conn) error {
			<-time.After(time.Second)
			return nil
		})
		callers := startN(t.Context(), p, 2)
		p.Reset()
		advance(time.Second)
		for i, c := range callers {
			l := c.wantLease(t)
			assert.Equal(t, 3+i, l.Conn().ID)
			l.Release()
		}
		assert.Equal(t, 2, f.Counts().Closes)
	})

	bubble(t, "whose connect fails", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1})
		f.Next(drivertest.Connect, 1, func(ctx context.Context, c *conn) error {
			<-time.After(time.Second)
			return driver.Permanent(errScripted) // for the password of then
		})
		c := start(t.Context(), p)
		p.Reset()
		advance(time.Second)
		c.wantLease(t).Release()
	})

	bubble(t, "in the backoff", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1, Backoff: pool.Backoff{Initial: time.Second}})
		f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
		start(t.Context(), p).wantError(t, errScripted)
		c := start(t.Context(), p)
		c.wantWaiting(t)
		p.Reset()
		c.wantLease(t).Release()
	})
}

// addressed is a connection that knows where it leads.
type addressed struct {
	*conn
	address string
}

// A name that leads elsewhere by now: what is asked is the address that each
// connection was dialed to, and not a second look at the name.
func TestConnectionsToAnOldAddressAreReplaced(t *testing.T) {
	bubble(t, "before their next use", func(t *testing.T) {
		var current atomic.Value
		current.Store("10.0.0.1")
		f := drivertest.NewFake(t)
		f.Wrap = func(c *conn) driver.Conn { return &addressed{c, current.Load().(string)} }
		p := open[*addressed](t, f, pool.Config{MaxOpen: 4, OnAcquire: func(_ context.Context, c driver.Conn) error {
			if c.(*addressed).address != current.Load() {
				return driver.ErrBadConn
			}
			return nil
		}})
		leases := acquireN(t, p, 4)
		releaseAll(leases[1:])
		current.Store("10.0.0.2")
		assert.NoError(t, leases[0].Conn().Use(), "the holder may finish")
		for _, l := range acquireN(t, p, 3) {
			assert.Equal(t, "10.0.0.2", l.Conn().address)
			defer l.Release()
		}
		leases[0].Release()
		l := acquire(t, p)
		assert.Equal(t, "10.0.0.2", l.Conn().address)
		l.Release()
		assert.Equal(t, 4, f.Counts().Peak)
	})
}

func TestSuspendedPoolHoldsItsCallersUntilItIsResumed(t *testing.T) {
	bubble(t, "with holders", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, MinIdle: 2, KeepAlive: time.Second})
		require.NoError(t, p.Ready(t.Context()))
		l := acquire(t, p)
		began := time.Now()
		require.NoError(t, p.Resize(0))
		assert.Zero(t, time.Since(began), "it does not wait for the holders")
		assert.NoError(t, l.Conn().Use(), "they may finish")
		callers := startN(t.Context(), p, 4)
		l.Release()
		advance(10 * time.Second)
		assert.Zero(t, f.Counts().Open)
		assert.Equal(t, 2, f.Counts().Connects, "it connects to nothing")
		_, ok := p.TryAcquire()
		assert.False(t, ok)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		impatient := start(ctx, p)
		for _, c := range callers {
			c.wantWaiting(t)
		}
		advance(time.Second)
		impatient.wantError(t, context.DeadlineExceeded)

		require.NoError(t, p.Resize(2))
		for _, c := range callers[:2] {
			defer c.wantLease(t).Release()
		}
		callers[2].wantWaiting(t)
		callers[0].lease.Release()
		defer callers[2].wantLease(t).Release()
		callers[1].lease.Release()
		defer callers[3].wantLease(t).Release()
	})

	bubble(t, "or turns them away", func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 2, FailFast: true})
		l := acquire(t, p)
		waiting := startN(t.Context(), p, 2)
		waiting[0].wantLease(t).Release()
		waiting[1].wantLease(t).Release()
		require.NoError(t, p.Resize(0))
		c := start(t.Context(), p)
		c.wantError(t, pool.ErrSuspended)
		assert.True(t, driver.SafeToRetry(c.err))
		l.Release()
		require.NoError(t, p.Resize(1))
		start(t.Context(), p).wantLease(t).Release()
	})
}
