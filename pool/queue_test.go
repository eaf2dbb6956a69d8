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

func TestOneMoreThanMaxWaitersFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1, MaxWaiters: 3})
		l := acquire(t, p)
		waiting := startN(t.Context(), p, 3)
		for range 2 {
			e := start(t.Context(), p).wantError(t, pool.ErrTooManyWaiters)
			assert.Equal(t, 3, e.Waiting)
			assert.True(t, driver.SafeToRetry(e))
		}
		assert.Equal(t, int64(2), p.Stats().Rejected)

		l.Release()
		l = waiting[0].wantLease(t)
		waiting = append(waiting[1:], start(t.Context(), p))
		waiting[2].wantWaiting(t) // there is room for one again
		l.Release()
		for _, c := range waiting {
			c.wantLease(t).Release()
		}
	})
}

// MaxWaiters counts callers that wait for others, not for a Connect.
func TestMaxWaitersDoesNotCountCallersWhoseConnectionIsBeingMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 4, MaxWaiters: 1})
		gate := make(chan struct{})
		f.Always(drivertest.Connect, drivertest.HangUntil(gate))
		callers := startN(t.Context(), p, 5)
		start(t.Context(), p).wantError(t, pool.ErrTooManyWaiters)
		close(gate)
		for _, c := range callers {
			c.wantLease(t).Release()
		}
	})
}

// A caller whose connection turns out to be dead keeps its place in the queue.
func TestMaxWaitersDoesNotRejectACallerWithADeadConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1, MaxWaiters: 1})
		l := acquire(t, p)
		first := start(t.Context(), p)
		f.Always(drivertest.Close, stall(time.Second))
		f.Next(drivertest.ResetSession, 1, func(context.Context, *conn) error {
			<-time.After(time.Second)
			return driver.ErrBadConn
		})
		l.Release()
		second := start(t.Context(), p)
		advance(1500 * time.Millisecond)
		first.wantWaiting(t)
		second.wantWaiting(t)
		advance(time.Second)
		first.wantLease(t).Release()
		second.wantLease(t).Release()
	})
}

// releaseDead releases connections that turn out to be dead while their next
// holders prepare them, the first one after 400 ms, and so on.
func releaseDead(f *drivertest.Fake, leases []pool.Lease[*conn]) {
	for i, l := range leases {
		f.Next(drivertest.ResetSession, 1, func(context.Context, *conn) error {
			<-time.After(time.Duration(i+1) * 400 * time.Millisecond)
			return driver.ErrBadConn
		})
		l.Release()
		synctest.Wait()
	}
	advance(time.Second)
}

func TestCallersWithDeadConnectionsKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, AcquireTimeout: 10 * time.Second})
		leases := acquireN(t, p, 2)
		var callers []*caller[*conn]
		for range 3 {
			callers = append(callers, start(t.Context(), p))
			advance(time.Second)
		}
		gate := make(chan struct{})
		f.Always(drivertest.Connect, drivertest.HangUntil(gate))
		releaseDead(f, leases)
		require.Equal(t, 3, p.Stats().Waiting)
		for i, c := range callers[:2] {
			gate <- struct{}{}
			defer c.wantLease(t).Release()
			callers[i+1].wantWaiting(t)
		}
		advance(8 * time.Second) // the third began at 2 s
		callers[2].wantError(t, pool.ErrTimeout)
	})
}

func TestCallersWithDeadConnectionsKeepTheirDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, AcquireTimeout: 10 * time.Second})
		leases := acquireN(t, p, 2)
		first := start(t.Context(), p)
		advance(time.Second)
		second := start(t.Context(), p)
		f.Always(drivertest.Connect, drivertest.Hang)
		releaseDead(f, leases)
		for _, c := range []*caller[*conn]{first, second} {
			<-c.done
			assert.Equal(t, 10*time.Second, c.wantError(t, pool.ErrTimeout).Waited)
		}
		assert.Equal(t, 20*time.Second, p.Stats().WaitTime+1200*time.Millisecond, "all but the time with the dead connections")
	})
}

// One timer serves all waiters, and still each has its own deadline.
func TestEachWaiterHasItsOwnAcquireTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1, AcquireTimeout: 10 * time.Second})
		l := acquire(t, p)
		var callers []*caller[*conn]
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 50 {
			if i%5 == 0 {
				callers = append(callers, start(ctx, p)) // these leave, also the first in the queue
			} else {
				callers = append(callers, start(t.Context(), p))
			}
			advance(100 * time.Millisecond)
		}
		cancel()
		advance(5*time.Second - 50*time.Millisecond)
		for i, c := range callers {
			if i%5 == 0 {
				c.wantError(t, context.Canceled)
				advance(100 * time.Millisecond)
				continue
			}
			c.wantWaiting(t)
			advance(50 * time.Millisecond)
			e := c.wantError(t, pool.ErrTimeout)
			assert.Equal(t, 10*time.Second, e.Waited)
			advance(50 * time.Millisecond)
		}
		assert.Equal(t, int64(40), p.Stats().Timeouts)
		assert.Equal(t, int64(10), p.Stats().Canceled)
		l.Release()
	})
}

func TestThousandsOfWaitersLeavingTogetherHoldUpNobody(t *testing.T) {
	watchdog(t)
	for name, tt := range map[string]struct {
		cfg pool.Config
		ctx func(parent context.Context) (context.Context, context.CancelFunc)
	}{
		"by their context": {pool.Config{AcquireTimeout: -1}, func(parent context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(parent, time.Second)
		}},
		"by AcquireTimeout": {pool.Config{AcquireTimeout: time.Second}, context.WithCancel},
	} {
		bubble(t, name, func(t *testing.T) {
			tt.cfg.MaxOpen = 1
			_, p := openFake(t, tt.cfg)
			l := acquire(t, p)
			var left atomic.Int64
			for range 10_000 {
				ctx, cancel := tt.ctx(t.Context())
				go func() {
					defer cancel()
					if _, err := p.Acquire(ctx); assert.ErrorIs(t, err, context.DeadlineExceeded) {
						left.Add(1)
					}
				}()
			}
			advance(500 * time.Millisecond)
			last := start(t.Context(), p)
			require.Equal(t, 10_001, p.Stats().Waiting)
			advance(500 * time.Millisecond)
			assert.Equal(t, int64(10_000), left.Load())
			assert.Equal(t, 1, p.Stats().Waiting)
			l.Release()
			last.wantLease(t).Release()
		})
	}
}
