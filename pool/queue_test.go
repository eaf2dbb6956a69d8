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

// releaseDead releases connections that turn out to be dead while they are prepared
// for their next holders, the first one after 400 ms, the second after 800 ms, and so on.
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

func TestCallersWithDeadConnectionsKeepTheirOrderAndDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, AcquireTimeout: 10 * time.Second})
		leases := acquireN(t, p, 2)
		var callers crowd[*conn]
		for range 3 {
			callers = append(callers, start(t.Context(), p))
			advance(time.Second)
		}
		gate := make(chan struct{})
		f.Always(drivertest.Connect, drivertest.HangUntil(gate))
		releaseDead(f, leases) // the first two callers get them
		require.Equal(t, 3, p.Stats().Waiting)
		gate <- struct{}{}
		defer callers[0].wantLease(t).Release() // after 4 s, of which it had a dead connection for 0.4 s
		for _, c := range callers[1:] {
			c.wantWaiting(t)
			<-c.done
			assert.Equal(t, 10*time.Second, c.wantError(t, pool.ErrTimeout).Waited)
		}
		assert.Equal(t, 24*time.Second, p.Stats().WaitTime+1200*time.Millisecond, "without the time with the dead connections")
	})
}

// One timer serves all waiters, yet each has its own deadline.
func TestEachWaiterHasItsOwnAcquireTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1, AcquireTimeout: 10 * time.Second})
		l := acquire(t, p)
		var callers crowd[*conn]
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 50 {
			if i%5 == 0 {
				callers = append(callers, start(ctx, p)) // these leave, including the first in the queue
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

func TestThousandsOfWaitersLeavingTogetherBlockNobody(t *testing.T) {
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
