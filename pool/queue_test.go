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

// 33: whoever has had a connection joins behind those who have not.
func TestReleasingCallerDoesNotOvertakeTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1})
		order := make(chan int, 100)
		var callers sync.WaitGroup
		for i := range 5 {
			callers.Go(func() {
				for range 20 {
					l, err := p.Acquire(context.Background())
					if assert.NoError(t, err) {
						order <- i
						<-time.After(time.Millisecond)
						l.Release() // and back again, at once
					}
				}
			})
			synctest.Wait()
		}
		callers.Wait()
		for i := range 100 {
			assert.Equal(t, i%5, <-order, "turn %d", i)
		}
	})
}

// 18: shed load at once, with an error of its own.
func TestOneMoreThanMaxWaitersFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1, MaxWaiters: 3})
		l := acquire(t, p)
		waiting := startN(t.Context(), p, 3)
		began := time.Now()
		for range 2 {
			_, err := p.Acquire(t.Context())
			e := wantAcquireError(t, err, pool.ErrTooManyWaiters)
			assert.Equal(t, 3, e.Waiting)
			assert.True(t, driver.SafeToRetry(err))
		}
		assert.Zero(t, time.Since(began))
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

// 18: a caller waits for others, or for a connection of its own.
func TestMaxWaitersDoesNotCountThoseWhoseConnectionIsBeingMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 4, MaxWaiters: 1})
		gate := make(chan struct{})
		f.Always(drivertest.Connect, drivertest.HangUntil(gate))
		callers := startN(t.Context(), p, 5)
		_, err := p.Acquire(t.Context())
		wantAcquireError(t, err, pool.ErrTooManyWaiters)
		close(gate)
		for _, c := range callers {
			c.wantLease(t).Release()
		}
	})
}

// 18, 33: whose connection turns out to be dead has its place in the queue
// already.
func TestMaxWaitersDoesNotTurnAwayWhoWasServedADeadConnection(t *testing.T) {
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

// releaseDead releases connections, each of which takes the time of its next
// holder before it shows that it is dead, the first released the least.
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

// 33: also among those who come back.
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

// The same for their deadlines.
func TestCallersWithDeadConnectionsKeepTheirDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, AcquireTimeout: 10 * time.Second})
		leases := acquireN(t, p, 2)
		first := start(t.Context(), p)
		advance(time.Second)
		second := start(t.Context(), p)
		f.Always(drivertest.Connect, drivertest.Hang)
		releaseDead(f, leases)
		<-first.done
		<-second.done
		assert.Equal(t, 10*time.Second, first.wantError(t, pool.ErrTimeout).Waited)
		assert.Equal(t, 10*time.Second, second.wantError(t, pool.ErrTimeout).Waited)
	})
}

// One timer does for all waiters, and still each has its own deadline.
func TestEachWaiterHasItsOwnAcquireTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1, AcquireTimeout: 10 * time.Second})
		l := acquire(t, p)
		var callers []*caller[*conn]
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 50 {
			if i%5 == 0 {
				callers = append(callers, start(ctx, p)) // these leave, the first in the queue as well
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

func TestDefaultAcquireTimeoutIsHalfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1})
		l := acquire(t, p)
		_, err := p.Acquire(t.Context())
		e := wantAcquireError(t, err, pool.ErrTimeout)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 30*time.Second, e.Waited)
		l.Release()
	})
}

func TestNegativeAcquireTimeoutLeavesItToTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1, AcquireTimeout: -1})
		l := acquire(t, p)
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		_, err := p.Acquire(ctx)
		e := wantAcquireError(t, err, context.DeadlineExceeded)
		assert.NotErrorIs(t, err, pool.ErrTimeout)
		assert.Equal(t, 24*time.Hour, e.Waited)
		l.Release()
	})
}

// AcquireTimeout is about Acquire as a whole: a dead connection on the way does
// not start it anew.
func TestAcquireTimeoutCountsFromTheBeginningAfterADeadConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1, AcquireTimeout: 10 * time.Second})
		l := acquire(t, p)
		first := start(t.Context(), p)
		advance(8 * time.Second)
		second := start(t.Context(), p)
		f.Always(drivertest.Connect, drivertest.Delay(5*time.Second))
		l.Conn().Kill()
		l.Release()
		advance(2 * time.Second)
		e := first.wantError(t, pool.ErrTimeout)
		assert.Equal(t, 10*time.Second, e.Waited)
		second.wantWaiting(t)
		assert.Equal(t, 10*time.Second, p.Stats().WaitTime, "8 s and 2 s")
		advance(3 * time.Second)
		second.wantLease(t).Release()
	})
}

// 36: a farewell to a dead peer is the pool's, not the releaser's.
func TestReleaseAndDiscardDoNotWaitForASlowClose(t *testing.T) {
	for name, end := range map[string]func(*drivertest.Fake, pool.Lease[*conn]){
		"discard": func(_ *drivertest.Fake, l pool.Lease[*conn]) { l.Discard(errScripted) },
		"invalid": func(f *drivertest.Fake, l pool.Lease[*conn]) {
			f.Next(drivertest.IsValid, 1, drivertest.Fail(errScripted))
			l.Release()
		},
		"surplus": func(_ *drivertest.Fake, l pool.Lease[*conn]) { l.Release() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := openFake(t, pool.Config{MinIdle: 1, MaxIdle: 1, OnClose: func(driver.Conn, error) { <-time.After(time.Second) }})
				require.NoError(t, p.Ready(t.Context()))
				l := acquire(t, p)
				advance(time.Second) // a spare one is there again
				f.Always(drivertest.Close, stall(3*time.Second))
				began := time.Now()
				end(f, l)
				assert.Zero(t, time.Since(began))
				assert.Equal(t, 1, p.Stats().Closing)
				acquire(t, p).Release()
				assert.Zero(t, time.Since(began), "nor does the next caller wait")
				advance(4 * time.Second)
				assert.Zero(t, p.Stats().Closing)
			})
		})
	}
}

// 36: nor does Release connect or ping what it leaves behind.
func TestReleaseDoesNoIO(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, MinIdle: 1})
		leases := acquireN(t, p, 2)
		waiting := start(t.Context(), p)
		f.Always(drivertest.Connect, drivertest.Hang)
		f.Always(drivertest.Ping, drivertest.Hang)
		f.Always(drivertest.ResetSession, drivertest.Hang)
		before := f.Counts()
		began := time.Now()
		leases[0].Release() // to the waiter, whose ResetSession is its own affair
		leases[1].Release()
		assert.Zero(t, time.Since(began))
		after := f.Counts()
		assert.Equal(t, [2]int{before.Connects, before.Pings}, [2]int{after.Connects, after.Pings})
		f.Always(drivertest.ResetSession, nil)
		f.Always(drivertest.Connect, nil)
		<-waiting.done
		waiting.lease.Release()
	})
}

// 18: a caller who does not want to wait, and still gets the pool going.
func TestTryAcquireDoesNotWaitButStartsAConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2})
		f.Always(drivertest.Connect, drivertest.Delay(time.Second))
		began := time.Now()
		for range 3 {
			_, ok := p.TryAcquire()
			assert.False(t, ok)
		}
		assert.Zero(t, time.Since(began))
		assert.Equal(t, 1, p.Stats().Connecting, "one Connect for all who ask meanwhile")
		advance(time.Second)
		first, ok := p.TryAcquire()
		require.True(t, ok)
		_, ok = p.TryAcquire()
		assert.False(t, ok)
		advance(time.Second)
		second, ok := p.TryAcquire()
		require.True(t, ok)
		_, ok = p.TryAcquire()
		assert.False(t, ok)
		advance(time.Second)
		assert.Equal(t, 2, f.Counts().Connects, "up to MaxOpen")
		first.Release()
		second.Release()

		require.NoError(t, p.Close())
		_, ok = p.TryAcquire()
		assert.False(t, ok)
	})
}

// 11, 18: and it follows the backoff like all others.
func TestTryAcquireFollowsTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{Backoff: pool.Backoff{Jitter: -1}})
		down(f)
		for range 1000 {
			p.TryAcquire()
			advance(time.Millisecond)
		}
		wantGaps(t, gaps(f, 0), 100*time.Millisecond, 160*time.Millisecond, 256*time.Millisecond)
		assert.Less(t, f.Counts().Connects, 8)
	})
}
