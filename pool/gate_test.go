package pool_test

import (
	"context"
	"fmt"
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

// behindGate returns n pools of connections to one server, with the same gate.
func behindGate(t *testing.T, limit, n int, cfg pool.Config) (*drivertest.Fake, []*pool.Pool[*conn]) {
	f := drivertest.NewFake(t)
	cfg.Gate = pool.NewGate(limit)
	pools := make([]*pool.Pool[*conn], n)
	for i := range pools {
		cfg.Name = fmt.Sprint("pool-", i)
		pools[i] = open[*conn](t, f, cfg)
	}
	return f, pools
}

func TestAGateLimitsThePoolsBehindItTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, pools := behindGate(t, 3, 4, pool.Config{MaxOpen: 10})
		f.Always(drivertest.Connect, drivertest.Delay(time.Millisecond))
		f.Always(drivertest.Close, stall(time.Millisecond))
		var callers sync.WaitGroup
		for i := range 100 {
			callers.Go(func() {
				assert.NoError(t, pools[i%4].Do(t.Context(), func(context.Context, *conn) error {
					<-time.After(10 * time.Millisecond)
					return nil
				}))
			})
		}
		callers.Wait()
		synctest.Wait()
		assert.Equal(t, 3, f.Counts().Peak)
		for _, p := range pools {
			assert.Zero(t, p.Stats().Gated)
			assert.Zero(t, p.Stats().ConnectFailures)
		}
	})
}

func TestAnIdleConnectionOfOnePoolDoesNotBlockAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, pools := behindGate(t, 2, 2, pool.Config{})
		a, b := acquire(t, pools[0]), acquire(t, pools[0])
		a.Release()
		advance(2 * time.Second) // until the keeper has seen a idle
		b.Release()
		advance(2 * time.Second)
		acquire(t, pools[1]).Release()
		assert.Equal(t, 1, pools[0].Stats().Idle)
		assert.EqualValues(t, 1, pools[0].Stats().Closed.Yielded)
		assert.True(t, f.Counts().Peak <= 2)
	})
}

func TestAStarvedPoolGetsTheNextConnectionThatIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys = 49
		_, pools := behindGate(t, 50, 1+keys, pool.Config{MaxOpen: 1000, AcquireTimeout: -1})
		var callers sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for range 1000 {
			callers.Go(func() {
				for ctx.Err() == nil {
					pools[0].Do(ctx, func(context.Context, *conn) error {
						<-time.After(time.Second)
						return nil
					})
				}
			})
		}
		advance(1500 * time.Millisecond)
		assert.Equal(t, 50, pools[0].Stats().Leased)
		for _, p := range pools[1:] {
			callers.Go(func() {
				began := time.Now()
				l, err := p.Acquire(ctx)
				require.NoError(t, err)
				assert.LessOrEqual(t, time.Since(began), time.Second)
				<-time.After(time.Second)
				l.Release()
			})
		}
		advance(600 * time.Millisecond)
		assert.Equal(t, 1, pools[0].Stats().Leased+pools[0].Stats().Closing)
		advance(3 * time.Second)
		assert.GreaterOrEqual(t, pools[0].Stats().Leased, 49)
		cancel()
		callers.Wait()
	})
}

func TestEachReleaseServesOneStarvedPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys = 49
		_, pools := behindGate(t, 50, 1+keys, pool.Config{MaxOpen: 1000, AcquireTimeout: -1})
		ctx, cancel := context.WithCancel(t.Context())
		held := acquireN(t, pools[0], 50)
		rich := startN(ctx, pools[0], 50)
		var poor []*caller[*conn]
		for _, p := range pools[1:] {
			poor = append(poor, start(ctx, p))
		}
		for i, c := range poor {
			held[i].Release()
			c.wantLease(t)
		}
		for _, c := range rich {
			c.wantWaiting(t)
		}
		cancel()
		releaseAll(held[keys:])
		for _, c := range poor {
			c.lease.Release()
		}
	})
}

func TestWaitingAtTheGateIsVisibleAndNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pools := behindGate(t, 1, 2, pool.Config{ConnectTimeout: time.Second, AcquireTimeout: 5 * time.Second})
		l := acquire(t, pools[0])
		still, leave := context.WithCancel(t.Context())
		left := make(chan error)
		go func() { // this caller still waits at the gate after the next one has timed out
			<-time.After(time.Second)
			_, err := pools[1].Acquire(still)
			left <- err
		}()
		_, err := pools[1].Acquire(t.Context())
		e := wantAcquireError(t, err, pool.ErrTimeout)
		assert.Zero(t, e.Connecting)
		assert.ErrorContains(t, err, "waiting for room: gate: 1 of 1 connection, 2 pools, ")
		leave()
		assert.ErrorIs(t, <-left, context.Canceled)
		advance(time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			<-time.After(time.Second / 2)
			assert.Equal(t, 1, pools[1].Stats().Gated)
		}()
		_, err = pools[1].Acquire(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "waiting for room: gate")
		advance(time.Millisecond)
		assert.Zero(t, pools[1].Stats().Gated, "no caller wants it any more")
		assert.Zero(t, pools[1].Stats().ConnectFailures)
		l.Release()
		acquire(t, pools[1]).Release()
	})
}

func TestAnOutageTakesNoMoreConnectionsFromOtherPoolsThanItTries(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		open int // connections that the server has accepted before
	}{
		"a server that is down": {errScripted, 0},
		"a full server":         {driver.Full(errScripted, 0), 2},
	} {
		bubble(t, name, func(t *testing.T) {
			gate := pool.NewGate(20)
			f, broken := drivertest.NewFake(t), drivertest.NewFake(t)
			healthy := open[*conn](t, f, pool.Config{MaxOpen: 20, Gate: gate})
			failing := open[*conn](t, broken, pool.Config{MaxOpen: 20, Gate: gate, AcquireTimeout: 10 * time.Second})
			defer releaseAll(acquireN(t, failing, tt.open))
			broken.Always(drivertest.Connect, drivertest.Fail(tt.err))
			tries := func() int { return broken.Counts().Connects }
			start(t.Context(), failing)
			advance(time.Second)
			before, ctx := tries(), t.Context()
			for range 30 {
				fill(t, healthy, 20-tt.open)
				advance(3 * time.Second)
				for range 10 { // at once, when the backoff allows an attempt
					go failing.Acquire(ctx)
				}
				advance(3 * time.Second)
			}
			assert.GreaterOrEqual(t, tries()-before, 30)
			assert.LessOrEqual(t, healthy.Stats().Closed.Yielded, int64(tries()-before))
		})
	}
}

func TestMinIdleTakesNothingFromOtherPools(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, pools := behindGate(t, 3, 2, pool.Config{MinIdle: 2, MaxOpen: 5})
		advance(time.Second)
		assert.Equal(t, 3, pools[0].Stats().Open+pools[1].Stats().Open)
		connects := f.Counts().Connects
		advance(time.Hour / 4)
		assert.LessOrEqual(t, f.Counts().Connects, connects+10)
		acquire(t, pools[1]).Release()
		l1, l2, l3 := acquire(t, pools[1]), acquire(t, pools[1]), acquire(t, pools[1])
		assert.Equal(t, 3, pools[1].Stats().Leased)
		for _, l := range []pool.Lease[*conn]{l1, l2, l3} {
			l.Release()
		}
	})
}
