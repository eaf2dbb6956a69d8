package pool_test

import (
	"context"
	"runtime"
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

// 25: reaping that waits for the next Acquire never comes on a quiet night.
func TestIdleConnectionsAreReapedWithoutTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxIdleTime: time.Minute})
		fill(t, p, 10)
		advance(time.Minute - time.Second)
		assert.Equal(t, 10, p.Stats().Idle)
		advance(5 * time.Second)
		assert.Zero(t, p.Stats().Open)
		assert.Equal(t, pool.Closes{Idle: 10}, p.Stats().Closed)
		assert.Zero(t, f.Counts().Open)
	})
}

func TestDefaultMaxIdleTimeIsFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{})
		fill(t, p, 3)
		advance(5*time.Minute - time.Second)
		assert.Equal(t, 3, p.Stats().Idle)
		advance(21 * time.Second)
		assert.Zero(t, p.Stats().Idle)
	})
}

func TestNegativeMaxIdleTimeMeansForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxIdleTime: -1, MaxLifetime: -1})
		fill(t, p, 3)
		advance(1000 * time.Hour)
		assert.Equal(t, 3, p.Stats().Idle)
	})
}

// A connection that is used now and then is not idle, for whatever reason the
// keeper did not see it leased.
func TestConnectionInUseNowAndThenIsNotReaped(t *testing.T) {
	for name, cfg := range map[string]pool.Config{
		"checked":   {MaxIdleTime: time.Minute},
		"unchecked": {MaxIdleTime: time.Minute, ValidateAfter: -1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := openFake(t, cfg)
				for range 20 {
					acquire(t, p).Release()
					advance(50 * time.Second)
				}
				assert.Equal(t, 1, f.Counts().Connects)
			})
		})
	}
}

// 26: the spare ones stay, and no new ones are made for those reaped.
func TestReapingStopsAtMinIdleAndDoesNotChurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MinIdle: 3, MaxIdleTime: time.Second, MaxLifetime: -1})
		fill(t, p, 10)
		for range 100 {
			advance(100 * time.Millisecond)
			require.GreaterOrEqual(t, p.Stats().Idle, 3)
		}
		advance(time.Hour)
		assert.Equal(t, 3, p.Stats().Idle)
		assert.Equal(t, 10, f.Counts().Connects)
		assert.Equal(t, pool.Closes{Idle: 7}, p.Stats().Closed)
	})
}

// 27: database/sql makes 2,806 connects of 4,000 such rounds.
func TestSteadyLoadMakesNoConnectsAfterWarmUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 20})
		var workers sync.WaitGroup
		for range 20 {
			workers.Go(func() {
				for range 200 {
					l := acquire(t, p)
					<-time.After(time.Millisecond)
					l.Release()
					<-time.After(time.Millisecond)
				}
			})
		}
		workers.Wait()
		assert.LessOrEqual(t, f.Counts().Connects, 20)
		assert.Zero(t, f.Counts().Closes)
	})
}

func TestMaxIdleClosesTheSurplusAtRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxIdle: 2})
		releaseAll(acquireN(t, p, 5))
		synctest.Wait()
		assert.Equal(t, 2, p.Stats().Idle)
		assert.Equal(t, 2, f.Counts().Open)
		assert.Equal(t, pool.Closes{Idle: 3}, p.Stats().Closed)
	})
}

// A waiter has more use for a connection than MaxIdle has for its close.
func TestMaxIdleDoesNotKeepAConnectionFromAWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, MaxIdle: 1})
		leases := acquireN(t, p, 2)
		waiting := startN(t.Context(), p, 2)
		releaseAll(leases)
		for _, c := range waiting {
			c.wantLease(t)
		}
		assert.Equal(t, 2, f.Counts().Connects)
		waiting[0].lease.Release()
		waiting[1].lease.Release()
	})
}

// 29: what the server still counts takes a slot, and not for ever.
func TestClosingConnectionCountsAgainstMaxOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, AcquireTimeout: -1})
		f.Always(drivertest.Close, stall(3*time.Second))
		for _, l := range acquireN(t, p, 2) {
			l.Discard(nil)
		}
		began := time.Now()
		c := start(t.Context(), p)
		c.wantWaiting(t)
		assert.Equal(t, pool.Stats{
			MaxOpen: 2, Closing: 2, Waiting: 1,
			Acquires: 2, Waits: 3, Connects: 2, Closed: pool.Closes{Bad: 2},
		}, p.Stats())
		<-c.done
		c.wantLease(t).Release()
		assert.Equal(t, 3*time.Second, time.Since(began))
		assert.Equal(t, 2, f.Counts().Peak)
	})
}

func TestCloseThatHangsGivesItsSlotBackAfterFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1})
		gate := make(chan struct{})
		defer close(gate)
		f.Next(drivertest.Close, 1, drivertest.StallUntil(gate))
		acquire(t, p).Discard(nil)
		began := time.Now()
		acquire(t, p).Release()
		assert.Equal(t, 5*time.Second, time.Since(began))
	})
}

// 29: a hundred operations a second, each cut short, on a peer slow to hang up.
func TestCutShortOperationsNeverExceedMaxOpenAtTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Wrap = drivertest.Bound
		f.Always(drivertest.Use, drivertest.Hang)
		f.Always(drivertest.Close, stall(200*time.Millisecond))
		p := open[*drivertest.BoundConn](t, f, pool.Config{MaxOpen: 5})
		var ops sync.WaitGroup
		for range 300 {
			ops.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
				defer cancel()
				p.Do(ctx, func(_ context.Context, c *drivertest.BoundConn) error { return c.Use() })
			})
			<-time.After(10 * time.Millisecond)
		}
		ops.Wait()
		assert.Equal(t, 5, f.Counts().Peak)
		assert.Greater(t, f.Counts().Closes, 30)
	})
}

// 30: what is in use is no spare.
func TestMinIdleIsOnTopOfConnectionsInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MinIdle: 3})
		leases := acquireN(t, p, 4)
		advance(time.Second)
		assert.Equal(t, [2]int{4, 3}, [2]int{p.Stats().Leased, p.Stats().Idle})
		leases = append(leases, acquireN(t, p, 4)...)
		advance(time.Second)
		assert.Equal(t, [2]int{8, 2}, [2]int{p.Stats().Leased, p.Stats().Idle}, "up to MaxOpen")
		releaseAll(leases)
		assert.Equal(t, 10, f.Counts().Peak)
	})
}

func TestMinIdleIsConnectedFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MinIdle: 3})
		synctest.Wait()
		assert.Equal(t, 3, p.Stats().Idle)
		assert.Equal(t, 3, f.Counts().Connects)
	})
}

// 30, 17: a spare connection that was lost, or taken away, is made up for.
func TestLostSpareConnectionsAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MinIdle: 2})
		require.NoError(t, p.Ready(t.Context()))
		acquire(t, p).Discard(nil)
		advance(300 * time.Millisecond)
		assert.Equal(t, 2, p.Stats().Idle)
		hijacked := acquire(t, p).Hijack()
		advance(300 * time.Millisecond)
		assert.Equal(t, 2, p.Stats().Idle)
		assert.NoError(t, hijacked.Close())
	})
}

// 34: under serial load only few connections are used, and the rest goes.
func TestPoolShrinksUnderSerialLoad(t *testing.T) {
	for name, wrap := range map[string]func(*conn) driver.Conn{"checked": nil, "bare": drivertest.Bare} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := drivertest.NewFake(t)
				f.Wrap = wrap
				p := open[driver.Conn](t, f, pool.Config{MaxOpen: 50, MaxIdleTime: 10 * time.Second})
				fill(t, p, 50)
				for range 2000 {
					l := acquire(t, p)
					<-time.After(5 * time.Millisecond)
					l.Release()
					<-time.After(5 * time.Millisecond)
				}
				assert.LessOrEqual(t, p.Stats().Open, 2*runtime.GOMAXPROCS(0))
			})
		})
	}
}

// 34: as far as that costs nothing: a goroutine that moves to another CPU finds
// what was released there.
func TestLastUsedConnectionIsTakenFirst(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forgetful")
	}
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{})
		fill(t, p, 10)
		same := 0
		l := acquire(t, p)
		for range 100 {
			used := l.Conn().ID
			l.Release()
			if l = acquire(t, p); l.Conn().ID == used {
				same++
			}
		}
		l.Release()
		assert.Greater(t, same, 80)
	})
}
