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

// behindSlowGate is behindGate with Connects that take as long as connect.
func behindSlowGate(t *testing.T, connect time.Duration, limit, n int) (*drivertest.Fake, []*pool.Pool[*conn]) {
	f, pools := behindGate(t, limit, n, pool.Config{AcquireTimeout: -1, ConnectTimeout: time.Minute})
	f.Always(drivertest.Connect, drivertest.Delay(connect))
	return f, pools
}

func TestAnIdleConnectionRestsForAsLongAsConnectingTookBeforeAPoolThatHasOneGetsIt(t *testing.T) {
	for name, tc := range map[string]struct{ connect, rest time.Duration }{
		"quick":    {20 * time.Millisecond, 20 * time.Millisecond},
		"too slow": {5 * time.Second, 250 * time.Millisecond},
	} {
		bubble(t, name, func(t *testing.T) {
			_, pools := behindSlowGate(t, tc.connect, 2, 2)
			l, other := acquire(t, pools[0]), acquire(t, pools[1])
			defer other.Release()
			second := start(t.Context(), pools[1])
			l.Release()
			advance(tc.rest - time.Millisecond)
			l = acquire(t, pools[0])
			assert.Equal(t, 1, l.Conn().ID, "its own pool has it meanwhile")
			l.Release()
			advance(2*time.Millisecond + tc.rest/2)
			assert.Equal(t, 1, pools[0].Stats().Idle, "it was used meanwhile")
			advance(tc.rest)
			assert.Zero(t, pools[0].Stats().Open)
			second.wantWaiting(t)
			advance(tc.connect)
			second.wantLease(t).Release()
		})
	}
}

func TestAStarvedPoolGetsAConnectionThatRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const connect = 20 * time.Millisecond
		_, pools := behindSlowGate(t, connect, 4, 5)
		leases := acquireN(t, pools[0], 2)
		leases = append(leases, acquire(t, pools[1]), acquire(t, pools[2]))
		second := start(t.Context(), pools[2])
		releaseAll(leases[:3]) // those of pools 0 and 1, which now rest
		advance(connect / 2)
		starved := []*caller[*conn]{start(t.Context(), pools[3]), start(t.Context(), pools[4])}
		advance(connect)
		for _, c := range starved {
			defer c.wantLease(t).Release()
		}
		second.wantWaiting(t)
		advance(connect)
		second.wantLease(t).Release()
		leases[3].Release()
	})
}

func TestAPoolWithAConnectionWaitsForAsLongAsConnectingTakesBeforeAnotherLosesOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const connect = 20 * time.Millisecond
		_, pools := behindSlowGate(t, connect, 5, 2)
		ctx, cancel := context.WithCancel(t.Context())
		rich, poor := acquireN(t, pools[0], 4), acquire(t, pools[1])
		own := startN(ctx, pools[0], 4)
		more := startN(ctx, pools[1], 3)
		advance(connect - time.Millisecond)
		rich[0].Release()
		defer own[0].wantLease(t).Release()
		advance(time.Millisecond)
		rich[1].Release()
		own[1].wantWaiting(t)
		rich[2].Release() // one permit is already on its way back
		defer own[1].wantLease(t).Release()
		advance(connect)
		defer more[0].wantLease(t).Release()
		rich[3].Release() // now they have 3 and 2
		defer own[2].wantLease(t).Release()
		cancel()
		poor.Release()
	})
}

func TestEachOfManyWaitersIsServedByAnIdleConnectionWhileOthersAreBeingClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, pools := behindGate(t, 3, 4, pool.Config{})
		f.Always(drivertest.Close, stall(10*time.Millisecond))
		fill(t, pools[0], 3)
		var callers crowd[*conn]
		for _, p := range pools[1:] {
			callers = append(callers, start(t.Context(), p))
			advance(time.Millisecond) // so that the pool has yielded one when the next caller comes
		}
		advance(10 * time.Millisecond)
		for _, c := range callers {
			c.wantLease(t).Release()
		}
	})
}

func TestPoolsAtTheGateAreServedInOrderOfArrival(t *testing.T) {
	for name, own := range map[string]int{"starved": 0, "with a connection each": 1} {
		bubble(t, name, func(t *testing.T) {
			_, pools := behindGate(t, 5+5*own, 6, pool.Config{})
			held := acquireN(t, pools[0], 5)
			var callers crowd[*conn]
			for _, p := range pools[1:] {
				defer releaseAll(acquireN(t, p, own))
			}
			for _, p := range pools[1:] {
				callers = append(callers, start(t.Context(), p))
				synctest.Wait()
			}
			for i, c := range callers {
				held[i].Release()
				defer c.wantLease(t).Release()
				callers[i+1:].wantWaiting(t)
			}
		})
	}
}

func TestThePoolThatConnectedLongestAgoYieldsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pools := behindGate(t, 4, 4, pool.Config{})
		fill(t, pools[0], 1)
		fill(t, pools[1], 1)
		fill(t, pools[0], 2)
		fill(t, pools[2], 1)
		fill(t, pools[3], 1)
		assert.Zero(t, pools[1].Stats().Open)
		assert.Equal(t, 2, pools[0].Stats().Open)
	})
}
