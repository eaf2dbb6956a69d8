package pool_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

func TestIdleConnectionsAreClosedInTimeWithoutTraffic(t *testing.T) {
	const never = -1
	for name, tt := range map[string]struct {
		cfg         pool.Config
		kept, until time.Duration // until 0 means forever
		want        pool.Closes
	}{
		"MaxIdleTime":                {pool.Config{MaxIdleTime: time.Minute}, 59 * time.Second, 64 * time.Second, pool.Closes{Idle: 10}},
		"MaxIdleTime by default":     {pool.Config{}, 299 * time.Second, 320 * time.Second, pool.Closes{Idle: 10}},
		"MaxLifetime":                {pool.Config{MaxLifetime: time.Minute}, 60*time.Second - 1, 66300 * time.Millisecond, pool.Closes{Lifetime: 10}},
		"MaxLifetime without jitter": {pool.Config{MaxLifetime: time.Minute, LifetimeJitter: never}, 60*time.Second - 1, 61 * time.Second, pool.Closes{Lifetime: 10}},
		"MaxLifetime by default":     {pool.Config{MaxIdleTime: never}, 30 * time.Minute, 33*time.Minute + 10*time.Second, pool.Closes{Lifetime: 10}},
		"never":                      {pool.Config{MaxIdleTime: never, MaxLifetime: never}, 1000 * time.Hour, 0, pool.Closes{}},
	} {
		bubble(t, name, func(t *testing.T) {
			tt.cfg.MaxConnecting = 10
			_, p := openFake(t, tt.cfg)
			fill(t, p, 10)
			advance(tt.kept)
			assert.Equal(t, 10, p.Stats().Idle)
			assert.Zero(t, p.Stats().Closed)
			advance(max(tt.until-tt.kept, 0))
			assert.Equal(t, tt.want, p.Stats().Closed)
			assert.Equal(t, 10-int(tt.want.Idle), p.Stats().Idle, "an old connection is replaced")
		})
	}
}

// The keeper notices that a connection was used even if it never saw it in use.
func TestConnectionUsedNowAndThenIsNotReaped(t *testing.T) {
	for name, validateAfter := range map[string]time.Duration{"checked": 0, "unchecked": -1} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxIdleTime: time.Minute, ValidateAfter: validateAfter})
			for range 20 {
				acquire(t, p).Release()
				advance(50 * time.Second)
			}
			assert.Equal(t, 1, f.Counts().Connects)
		})
	}
}

// The spare connections stay, and none are made to replace the ones closed.
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

// Connections in use do not count as spare.
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

// The last sweep saw one connection in use. It has been released since, and now there
// is room for more. No spare is missing, so the pool must not connect.
func TestSparesAreNotConnectedToBeClosedByMaxIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, MinIdle: 2, MaxIdle: 2})
		require.NoError(t, p.Ready(t.Context()))
		f.Always(drivertest.Connect, drivertest.Delay(time.Millisecond))
		l := acquire(t, p)
		advance(time.Second)
		l.Release()
		require.NoError(t, p.Resize(4))
		advance(time.Second)
		assert.Equal(t, 2, f.Counts().Connects)
		assert.Equal(t, 2, p.Stats().Idle)
	})
}

// Serial load uses few connections, so the pool must close the others.
func TestPoolShrinksUnderSerialLoad(t *testing.T) {
	for name, wrap := range map[string]func(*conn) driver.Conn{"checked": nil, "bare": drivertest.Bare} {
		bubble(t, name, func(t *testing.T) {
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
	}
}

// This is only a preference: a goroutine that moves to another CPU gets the connection
// that was last released there.
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

func TestLostSpareConnectionsAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MinIdle: 2})
		require.NoError(t, p.Ready(t.Context()))
		acquire(t, p).Discard(nil)
		advance(300 * time.Millisecond)
		assert.Equal(t, 2, p.Stats().Idle)
		hijacked := hijack(acquire(t, p))
		advance(300 * time.Millisecond)
		assert.Equal(t, 2, p.Stats().Idle)
		assert.NoError(t, hijacked.Close())
	})
}

// Even a lease from the fast path of Acquire ends on the slow path, which counts the idle
// connections, because others may have become idle meanwhile.
func TestMaxIdleCountsConnectionsThatBecameIdleMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 2, MaxIdle: 1})
		leases := acquireN(t, p, 2)
		leases[0].Release()
		l := acquire(t, p) // on the fast path, because a connection is idle
		leases[1].Release()
		l.Release()
		synctest.Wait()
		assert.Equal(t, 1, p.Stats().Idle)
	})
}

// Even if all keepalives are due in the same sweep, they take only half of the
// connections.
func TestKeepAlivesDueTogetherLeaveHalfOfTheConnectionsToCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{KeepAlive: 10 * time.Millisecond, ValidateAfter: -1, PingTimeout: time.Minute})
		fill(t, p, 10)
		f.Always(drivertest.Ping, drivertest.Hang)
		advance(20 * time.Millisecond)
		assert.Equal(t, 5, f.Counts().Pings)
		releaseAll(acquireN(t, p, 5))
	})
}
