package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// A Connect that ignores its context serves nobody once its failure was told.
// Neither the caller who had counted on it nor one who comes later waits for it.
func TestStuckConnectDoesNotHoldUpOtherCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 3, AcquireTimeout: -1})
		gate := make(chan struct{})
		f.Next(drivertest.Connect, 1, drivertest.StallUntil(gate))
		ctx, cancel := context.WithCancel(t.Context())
		first := start(ctx, p)
		cancel()
		first.wantError(t, context.Canceled)
		advance(5 * time.Second)
		early := start(t.Context(), p)
		early.wantWaiting(t)

		advance(5*time.Second + 100*time.Millisecond) // ConnectTimeout, and some
		advance(120 * time.Millisecond)               // the backoff
		early.wantLease(t)
		start(t.Context(), p).wantLease(t)
		assert.Equal(t, 1, p.Stats().Connecting)

		close(gate)
		early.lease.Release()
		synctest.Wait()
		assert.Equal(t, 0, p.Stats().Connecting)
	})
}

// What a Connect from before Reset brings is evicted, so nobody waits for it.
// Its success says nothing about the server that Reset was for, either.
func TestResetStartsConnectsBesideThoseUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 3, Backoff: pool.Backoff{Initial: 3 * time.Second}})
		old := make(chan struct{})
		f.Next(drivertest.Connect, 1, drivertest.HangUntil(old))
		c := start(t.Context(), p)
		p.Reset()
		c.wantLease(t)

		f.Always(drivertest.Connect, drivertest.Fail(errScripted))
		start(t.Context(), p).wantError(t, errScripted)
		connects := f.Counts().Connects
		close(old)
		start(t.Context(), p).wantWaiting(t)
		assert.Equal(t, connects, f.Counts().Connects, "the backoff goes on")
	})
}

func TestStuckConnectsLeaveRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 20, MaxConnecting: 4})
		gate := make(chan struct{})
		defer close(gate)
		f.Next(drivertest.Connect, 4, drivertest.StallUntil(gate))
		for _, c := range startN(t.Context(), p, 4) {
			defer func() { assert.True(t, c.returned()) }()
		}
		advance(11 * time.Second) // their failure is told
		acquire(t, p).Release()
	})
}

func TestStuckConnectIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logLines
		f, p := openFake(t, pool.Config{MaxOpen: 1, Logger: log.logger(0)})
		gate := make(chan struct{})
		defer close(gate)
		f.Next(drivertest.Connect, 1, drivertest.StallUntil(gate))
		start(t.Context(), p)
		advance(11 * time.Second)
		log.want(t, `"msg"="connect failed" "error"="the driver has not returned from Connect 100ms after the ConnectTimeout of 10s`)
	})
}

// The server moved, and its old address swallows what is sent there.
func TestResetEndsTheConnectsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logLines
		f, p := openFake(t, pool.Config{MaxConnecting: 2, Logger: log.logger(0)})
		f.Next(drivertest.Connect, 2, drivertest.Hang)
		ctx, cancel := context.WithCancel(t.Context())
		left := startN(ctx, p, 2)
		cancel()
		for _, c := range left {
			c.wantError(t, context.Canceled)
		}
		p.Reset()
		start(t.Context(), p).wantLease(t).Release()
		log.want(t)
	})
}
