package pool_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// 12: with one Connect under way and 20 callers in the queue.
func TestPermanentErrorReachesAllWaitersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxConnecting: 1})
		gate := make(chan struct{})
		f.Next(drivertest.Connect, 1, func(ctx context.Context, c *conn) error {
			<-gate
			return driver.Permanent(errScripted)
		})
		callers := startN(t.Context(), p, 20)
		close(gate)
		for _, c := range callers {
			e := c.wantError(t, errScripted)
			assert.True(t, driver.IsPermanent(c.err))
			assert.ErrorIs(t, e.Connect, errScripted)
		}
		assert.Equal(t, 1, f.Counts().Connects)
	})
}

// 12, the other half: a passing error is for those alone whose wait it ended.
func TestPassingErrorLeavesLaterWaitersInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxConnecting: 1})
		gate := make(chan struct{})
		f.Next(drivertest.Connect, 1, func(context.Context, *conn) error {
			<-gate
			return errScripted
		})
		first := start(t.Context(), p)
		later := startN(t.Context(), p, 3)
		close(gate)
		first.wantError(t, errScripted)
		for _, c := range later {
			c.wantWaiting(t)
		}
		advance(time.Second)
		for _, c := range later {
			c.wantLease(t).Release()
		}
	})
}

// 12: no account is locked by a pool that has the wrong password.
func TestPermanentErrorStopsTheBackgroundAndLeavesOneProbeAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Always(drivertest.Connect, drivertest.Fail(driver.Permanent(errScripted)))
		p := open[*conn](t, f, pool.Config{MinIdle: 2, MaxConnecting: 1})
		advance(time.Hour)
		require.Equal(t, 1, f.Counts().Connects, "nobody asked for a connection")

		began := time.Now()
		for range 10 * 60 {
			for _, c := range startN(t.Context(), p, 3) {
				c.wantError(t, errScripted)
				assert.True(t, driver.IsPermanent(c.err))
			}
			advance(time.Second)
		}
		assert.Equal(t, 10*time.Minute, time.Since(began), "callers are told at once")
		assert.Equal(t, 1+10, f.Counts().Connects, "one a minute")
		advance(time.Hour)
		assert.Equal(t, 1+10, f.Counts().Connects, "and none without callers")
	})
}

// 12: the probe is a caller's, and its success ends the pause.
func TestSuccessfulProbeEndsThePermanentPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Next(drivertest.Connect, 1, drivertest.Fail(driver.Permanent(errScripted)))
		p := open[*conn](t, f, pool.Config{MinIdle: 3, MaxConnecting: 1})
		advance(59 * time.Second)
		_, err := p.Acquire(t.Context())
		wantAcquireError(t, err, errScripted)
		advance(time.Second)
		acquire(t, p).Release()
		advance(time.Second)
		assert.Equal(t, 3, p.Stats().Idle, "the background refill goes on")
	})
}

// 12: Reset is for new credentials, and must not wait for the minute to pass.
func TestResetEndsThePermanentPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Next(drivertest.Connect, 1, drivertest.Fail(driver.Permanent(errScripted)))
		p := open[*conn](t, f, pool.Config{MinIdle: 3, MaxConnecting: 1})
		synctest.Wait()
		require.Zero(t, p.Stats().Open)
		p.Reset()
		synctest.Wait()
		assert.Equal(t, 3, p.Stats().Idle)
	})
}

// 12: a probe that fails for another reason does not hide the cause.
func TestPassingErrorDoesNotHideThePermanentOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxConnecting: 1})
		f.Next(drivertest.Connect, 1, drivertest.Fail(driver.Permanent(errScripted)))
		f.Always(drivertest.Connect, drivertest.Fail(errors.New("refused")))
		_, err := p.Acquire(t.Context())
		wantAcquireError(t, err, errScripted)
		advance(time.Minute)
		for range 2 { // the probe, and a caller who gets none
			_, err = p.Acquire(t.Context())
			wantAcquireError(t, err, errScripted)
			assert.True(t, driver.IsPermanent(err), "this is why there is one attempt a minute")
			advance(59 * time.Second)
		}
		assert.Equal(t, 2, f.Counts().Connects)
	})
}
