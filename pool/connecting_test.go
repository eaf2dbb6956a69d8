package pool_test

import (
	"context"
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

// mostConnecting makes each Connect of f take d, and returns the highest number
// of Connects in progress at once.
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

// Callers leave at once, and their Connects go on; but those stay bounded.
func TestAbandonedConnectsStayBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 20, MaxConnecting: 4})
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

func TestReadyWaitsUntilMinIdleAreOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Always(drivertest.Connect, drivertest.Delay(time.Second))
		p := open[*conn](t, f, pool.Config{MaxOpen: 8, MinIdle: 8})
		began := time.Now()
		require.NoError(t, p.Ready(t.Context()))
		assert.Equal(t, time.Second, time.Since(began), "they connect in parallel")
		assert.Equal(t, 8, p.Stats().Idle)
		leases := acquireN(t, p, 8)
		require.NoError(t, p.Ready(t.Context()), "connections in use count")
		releaseAll(leases)

		f.Down(errScripted)
		_, none := openFake(t, pool.Config{})
		require.NoError(t, none.Ready(t.Context()), "without MinIdle there is nothing to wait for")
	})
}

func TestReadyReturnsWhyThePoolIsNotReady(t *testing.T) {
	for name, tt := range map[string]struct {
		step  drivertest.Step
		close bool
		cause error
		after time.Duration
	}{
		"a permanent error, at once":              {step: drivertest.Fail(driver.Permanent(errScripted)), cause: errScripted},
		"the context, and the last connect error": {step: drivertest.Fail(errScripted), cause: context.DeadlineExceeded, after: 3 * time.Second},
		"the end of the pool":                     {step: drivertest.Hang, close: true, cause: pool.ErrClosed},
	} {
		bubble(t, name, func(t *testing.T) {
			f := drivertest.NewFake(t)
			f.Always(drivertest.Connect, tt.step)
			p := open[*conn](t, f, pool.Config{MinIdle: 2})
			if tt.close {
				go p.Close()
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			err := p.Ready(ctx)
			e := wantAcquireError(t, err, tt.cause)
			assert.Equal(t, tt.after, e.Waited)
			if !tt.close {
				assert.ErrorIs(t, err, errScripted)
			}
		})
	}
}

// database/sql keeps its other waiters waiting for the one that hangs.
func TestOneHungConnectBlocksNobodyElse(t *testing.T) {
	for name, hang := range map[string]drivertest.Step{"obeys its context": drivertest.Hang, "ignores its context": stall(time.Hour)} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 6})
			f.Next(drivertest.Connect, 1, hang)
			callers := startN(t.Context(), p, 5)
			for _, c := range callers[:4] {
				defer c.wantLease(t).Release()
			}
			// The last caller depends on the hung Connect until it fails.
			callers[4].wantWaiting(t)
			advance(10*time.Second + 300*time.Millisecond)
			callers[4].wantLease(t).Release()
			assert.Equal(t, 6, f.Counts().Connects)
			advance(time.Hour)
		})
	}
}

// A Connect that ignores its context serves nobody after its failure was
// reported: neither the caller that depended on it nor a later one waits for it.
func TestStuckConnectDoesNotHoldUpOtherCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logLines
		f, p := openFake(t, pool.Config{MaxOpen: 3, AcquireTimeout: -1, Logger: log.logger(0)})
		gate := make(chan struct{})
		f.Next(drivertest.Connect, 1, drivertest.StallUntil(gate))
		ctx, cancel := context.WithCancel(t.Context())
		first := start(ctx, p)
		cancel()
		first.wantError(t, context.Canceled)
		advance(2 * time.Second)
		early := start(t.Context(), p)
		early.wantWaiting(t)
		advance(600 * time.Millisecond) // a quarter of ConnectTimeout, and a sweep
		early.wantLease(t)

		advance(7500 * time.Millisecond) // ConnectTimeout and the grace
		log.want(t, `"msg"="connect failed" "error"="the driver has not returned from Connect 100ms after the ConnectTimeout of 10s`)
		late := start(t.Context(), p)
		advance(120 * time.Millisecond) // the backoff
		late.wantLease(t)
		assert.Equal(t, 1, p.Stats().Connecting)

		close(gate)
		early.lease.Release()
		synctest.Wait()
		assert.Equal(t, 0, p.Stats().Connecting)
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
		advance(11 * time.Second) // their failures are reported
		acquire(t, p).Release()
	})
}
