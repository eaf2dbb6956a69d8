package pool_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// MaxWaiters counts the callers that wait for a release. A caller does not count if
// MaxOpen has room for its connection, even if MaxConnecting makes it wait.
func TestMaxWaitersRejectsNobodyForWhomThereIsRoom(t *testing.T) {
	for name, tt := range map[string]struct {
		maxWaiters   int
		leased, idle int // connections; the idle ones need a check before use
		connecting   int // MaxConnecting
		outage       bool
	}{
		"empty pool":          {maxWaiters: 5},
		"twenty in use":       {maxWaiters: 5, leased: 20},
		"all in use":          {maxWaiters: 5, leased: 50},
		"some to be checked":  {maxWaiters: 5, leased: 20, idle: 20},
		"all to be checked":   {maxWaiters: 5, idle: 50},
		"one at a time":       {maxWaiters: 5, connecting: 1},
		"outage":              {maxWaiters: 5, outage: true},
		"none, empty pool":    {maxWaiters: -1},
		"none, all in use":    {maxWaiters: -1, leased: 50},
		"none, to be checked": {maxWaiters: -1, leased: 20, idle: 20},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{
				MaxOpen: 50, MaxWaiters: tt.maxWaiters, MaxConnecting: tt.connecting,
				MaxIdleTime: -1, AcquireTimeout: time.Hour, Backoff: pool.Backoff{Initial: 5 * time.Second},
			})
			leases := acquireN(t, p, tt.leased+tt.idle)
			releaseAll(leases[tt.leased:])
			advance(10 * time.Second)
			if tt.outage { // the callers wait for the backoff
				f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
				start(t.Context(), p).wantError(t, errScripted)
			}
			f.Always(drivertest.Connect, drivertest.Delay(time.Second))
			f.Always(drivertest.Ping, drivertest.Delay(time.Second/2))

			room := startN(t.Context(), p, 50-tt.leased)
			wait := startN(t.Context(), p, max(tt.maxWaiters, 0))
			began := time.Now()
			for range 3 {
				e := start(t.Context(), p).wantError(t, pool.ErrTooManyWaiters)
				assert.Equal(t, len(room)+len(wait), e.Waiting)
				assert.True(t, driver.SafeToRetry(e))
			}
			assert.Zero(t, time.Since(began))
			assert.Equal(t, int64(3), p.Stats().Rejected)
			for _, c := range room {
				<-c.done
				c.wantLease(t)
			}
			wait.wantWaiting(t)
			releaseAll(leases[:tt.leased])
			append(room, wait...).wantServed(t)
			assert.Equal(t, 50, f.Counts().Peak)
		})
	}
}

// A caller that got a dead connection is not rejected while that connection is
// being closed.
func TestNoWaitersStillReplacesADeadConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1, MaxWaiters: -1})
		fill(t, p, 1)
		f.KillAll()
		f.Always(drivertest.Close, stall(time.Second))
		began := time.Now()
		acquire(t, p).Release()
		assert.Equal(t, time.Second, time.Since(began))
	})
}

func TestNegativeMaxIdleKeepsNoneIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, MaxIdle: -1})
		leases := acquireN(t, p, 2)
		waiting := startN(t.Context(), p, 2)
		releaseAll(leases)
		for _, c := range waiting {
			assert.LessOrEqual(t, c.wantLease(t).Conn().ID, 2, "a release still serves a waiter")
		}
		for i, c := range waiting {
			c.lease.Release()
			synctest.Wait()
			assert.Equal(t, 1-i, p.Stats().Open)
			assert.Zero(t, p.Stats().Idle)
		}
		assert.Equal(t, pool.Closes{Idle: 2}, p.Stats().Closed)

		f.Next(drivertest.Connect, 1, drivertest.Delay(time.Second))
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		start(ctx, p)
		advance(2 * time.Second)
		assert.Zero(t, p.Stats().Open, "a new connection whose caller has left is not kept either")
		assert.Equal(t, pool.Closes{Idle: 3}, p.Stats().Closed)
	})
}

// Without a limit, no caller waits for another, and nothing overflows.
func TestLargestMaxOpenIsNoLimit(t *testing.T) {
	for name, cfg := range map[string]pool.Config{
		"none may wait": {MaxWaiters: -1, MaxLifetime: time.Second},
		"one may wait":  {MaxWaiters: 1, MinIdle: 3},
		"all may wait":  {MaxWaiters: math.MaxInt, MaxConnecting: math.MaxInt, MaxIdle: math.MaxInt},
	} {
		bubble(t, name, func(t *testing.T) {
			cfg.MaxOpen = math.MaxInt
			f, p := openFake(t, cfg)
			f.Always(drivertest.Connect, drivertest.Delay(10*time.Millisecond))
			callers := startN(t.Context(), p, 100)
			advance(10 * time.Second)
			callers.wantServed(t)
			advance(10 * time.Second)
			assert.Equal(t, math.MaxInt, p.Stats().MaxOpen)
		})
	}
}

// The pool notices the room only when a Connect succeeds.
func TestMaxWaitersLetsACallerFindOutThatAFullServerHasRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFull(t, pool.Config{MaxWaiters: -1}, 0)
		leases := acquireN(t, p, 4)
		start(t.Context(), p)
		f.Room(-1, 0)
		advance(time.Hour)
		f.Always(drivertest.Connect, drivertest.Delay(time.Millisecond))
		c := start(t.Context(), p)
		advance(time.Second)
		leases = append(leases, c.wantLease(t))
		releaseAll(leases)
	})
}
