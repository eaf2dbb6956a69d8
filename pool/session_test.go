package pool_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// withoutPing is a Fake.Wrap for connections that only a reset can check.
func withoutPing(c *conn) driver.Conn { return resettable{c} }

// Whatever error ResetSession returns, the pool discards only that connection, and the
// caller gets the next one.
func TestNoErrorOfResetSessionReachesTheCaller(t *testing.T) {
	for name, err := range map[string]error{
		"of no class":  errScripted,
		"bad":          driver.ErrBadConn,
		"permanent":    driver.Permanent(errScripted),
		"throttled":    driver.Throttled(errScripted, time.Minute),
		"of a context": context.DeadlineExceeded, // not that of the caller
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{})
			fill(t, p, 10)
			f.Next(drivertest.ResetSession, 1, drivertest.Fail(err))
			acquire(t, p).Release()
			synctest.Wait()
			assert.Equal(t, [2]int{9, 10}, [2]int{p.Stats().Idle, f.Counts().Connects}, "idle, connects")

			f.Next(drivertest.ResetSession, 9, drivertest.Fail(err))
			began := time.Now()
			for _, l := range acquireN(t, p, 10) {
				assert.NoError(t, l.Conn().Use())
				defer l.Release()
			}
			assert.Zero(t, time.Since(began))
			assert.Equal(t, pool.Closes{Bad: 10}, p.Stats().Closed)
		})
	}
}

// The end of the caller's context in ResetSession says nothing about the idle
// connections.
func TestResetSessionCutShortByTheCallerClosesOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		fill(t, p, 10)
		f.Always(drivertest.ResetSession, drivertest.Hang)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := p.Acquire(ctx)
		wantAcquireError(t, err, context.DeadlineExceeded)
		assert.Equal(t, 1, f.Counts().Resets, "the caller has left, so no other connection is tried")
		assert.Equal(t, 9, p.Stats().Idle)
	})
}

// A proxy answers pings, but the server behind it is gone, so every ResetSession
// hangs. A caller waits for one PingTimeout and one Connect.
func TestHungResetSessionsCostOnePingTimeout(t *testing.T) {
	const connectTime = 200 * time.Millisecond
	for name, tt := range map[string]struct {
		wrap    func(*conn) driver.Conn
		idle    time.Duration // how long the connections are idle before the first caller
		callers int
		apart   time.Duration
	}{
		"just used":              {callers: 1},
		"pinged first":           {callers: 1, idle: 10 * time.Second},
		"no Pinger":              {callers: 1, wrap: withoutPing},
		"together":               {callers: 8},
		"together, pinged first": {callers: 8, idle: 10 * time.Second},
		"one after the other":    {callers: 8, apart: 150 * time.Millisecond},
	} {
		bubble(t, name, func(t *testing.T) {
			f := drivertest.NewFake(t)
			f.Wrap = tt.wrap
			p := open[driver.Conn](t, f, pool.Config{})
			fill(t, p, 10)
			advance(tt.idle)
			f.Always(drivertest.ResetSession, drivertest.Hang)
			f.Always(drivertest.Connect, drivertest.Delay(connectTime))
			took := make([]time.Duration, tt.callers)
			var callers sync.WaitGroup
			for i := range took {
				callers.Go(func() {
					began := time.Now()
					acquire(t, p) // not released: otherwise the next holder would reset it
					took[i] = time.Since(began)
				})
				advance(tt.apart)
			}
			callers.Wait()
			assert.LessOrEqual(t, slices.Max(took), time.Second+connectTime)
		})
	}
}

// TryAcquire waits for at most one PingTimeout.
func TestTryAcquireWaitsForOneHungResetSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Wrap = withoutPing
		p := open[driver.Conn](t, f, pool.Config{})
		fill(t, p, 10)
		f.Always(drivertest.ResetSession, drivertest.Hang)
		began := time.Now()
		try(p)
		assert.Equal(t, time.Second, time.Since(began))
	})
}
