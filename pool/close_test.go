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

// For what Close and Shutdown leave behind, see rules_end_test.go.

// In puddle, waiters sleep until a connection comes back, and so does Close.
func TestCloseWakesWaitersAndDoesNotWaitForHolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1})
		l := acquire(t, p)
		callers := startN(t.Context(), p, 3)
		began := time.Now()
		require.NoError(t, p.Close())
		assert.Zero(t, time.Since(began))
		for _, c := range callers {
			assert.True(t, driver.IsPermanent(c.wantError(t, pool.ErrClosed)), "no retry helps")
		}
		assert.NoError(t, l.Conn().Use(), "the holder may finish")
		l.Release()
		synctest.Wait()
		assert.Zero(t, f.Counts().Open)
	})
}

// In database/sql, Close returns at once while connections are in use.
func TestShutdownWaitsForTheLastLease(t *testing.T) {
	bubble(t, "to end", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 3})
		leases := acquireN(t, p, 3)
		result := make(chan error, 1)
		go func() { result <- p.Shutdown(t.Context()) }()
		for _, l := range leases[1:] {
			advance(time.Second)
			assert.NoError(t, l.Conn().Use())
			l.Release()
		}
		synctest.Wait()
		assert.Empty(t, result)
		c := hijack(leases[0])
		assert.NoError(t, <-result)
		assert.NoError(t, c.Use(), "the pool no longer owns it")
		assert.Equal(t, []*conn{c}, f.Conns())
		c.Close()
	})

	bubble(t, "and closes it when the time is up", func(t *testing.T) {
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
		assert.EqualError(t, err, `pool "depot": shutdown closed 2 connections in use: context deadline exceeded`)
		assert.Equal(t, time.Minute, time.Since(began))
		assert.Error(t, <-used, "its I/O fails")
		assert.Zero(t, f.Counts().Open)
		why.want(t, 3, pool.ErrClosed)

		// The holders notice from the errors of their I/O, not from a panic.
		assert.True(t, leases[1].Conn().IsClosed())
		leases[0].Discard(nil)
		assert.True(t, hijack(leases[1]).IsClosed())
		assert.Panics(t, func() { leases[1].Conn() }, "its lease has ended")
		assert.Panics(t, func() { leases[2].Conn() }, "this lease ended before Shutdown")
		assert.Equal(t, 3, f.Counts().Closes)
		assert.Zero(t, p.Stats().Open)
		assert.NoError(t, p.Shutdown(t.Context()))
	})

	bubble(t, "and five seconds for its Close", func(t *testing.T) {
		f, p := openFake(t, pool.Config{Name: "depot"})
		l := acquire(t, p)
		f.Always(drivertest.Close, stall(8*time.Second))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err := p.Shutdown(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "closed 1 connection in use: ")
		assert.ErrorContains(t, err, "still running after 5s: 0 Connect, 1 Ping or Close")
		assert.Equal(t, 6*time.Second, time.Since(began))
		l.Release()
		advance(2 * time.Second)
	})
}

// If there is no lease, the error does not mention one.
func TestShutdownWaitsForACheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{Name: "depot"})
		fill(t, p, 1)
		advance(10 * time.Second)
		f.Always(drivertest.Ping, stall(2*time.Second))
		start(t.Context(), p)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.EqualError(t, p.Shutdown(ctx), `pool "depot": shutdown: context canceled`)
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
			for range 10 {
				ends.Go(func() { assert.NoError(t, p.Close()) })
				ends.Go(func() { assert.NoError(t, p.Shutdown(t.Context())) })
			}
			synctest.Wait()
			releaseAll(leases)
			ends.Wait()
			assert.Equal(t, 4, f.Counts().Closes)
			assert.Equal(t, int64(4), p.Stats().Closed.Shutdown)
		})
	}
}
