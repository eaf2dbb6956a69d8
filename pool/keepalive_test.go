package pool_test

import (
	"context"
	"errors"
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

// pingLog records when each connection of a Fake is pinged.
type pingLog struct {
	mu sync.Mutex
	at map[int][]time.Time // by connection
}

// logPings makes every Ping of f do step, which may be nil, and records it.
func logPings(f *drivertest.Fake, step drivertest.Step) *pingLog {
	l := &pingLog{at: map[int][]time.Time{}}
	f.Always(drivertest.Ping, func(ctx context.Context, c *conn) error {
		l.mu.Lock()
		l.at[c.ID] = append(l.at[c.ID], time.Now())
		l.mu.Unlock()
		if step == nil {
			return nil
		}
		return step(ctx, c)
	})
	return l
}

// take returns what was recorded, and begins anew.
func (l *pingLog) take() map[int][]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.at
	l.at = map[int][]time.Time{}
	return at
}

// forever keeps connections from ending for other reasons than the test's.
func forever(cfg pool.Config) pool.Config {
	cfg.MaxIdleTime, cfg.MaxLifetime = -1, -1
	return cfg
}

// 32: no later than KeepAlive, no more than a tenth earlier, and not in step.
func TestEachIdleConnectionIsPingedOnItsOwnSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, forever(pool.Config{KeepAlive: 30 * time.Second}))
		began := time.Now()
		pings := logPings(f, nil)
		fill(t, p, 10)
		advance(time.Hour)
		inStep := map[time.Time]int{}
		all := pings.take()
		require.Len(t, all, 10)
		for id, times := range all {
			last := began
			for _, at := range times {
				gap := at.Sub(last)
				assert.LessOrEqual(t, gap, 30*time.Second, "connection %d", id)
				assert.GreaterOrEqual(t, gap, 27*time.Second-time.Second, "connection %d", id)
				inStep[at]++
				last = at
			}
			assert.GreaterOrEqual(t, len(times), 120)
		}
		assert.Greater(t, len(inStep), 300, "different times of about 1,250 pings")
		assert.Equal(t, 10, p.Stats().Idle)
		assert.Zero(t, f.Counts().Closes)
	})
}

func TestKeepAliveIsOffByDefault(t *testing.T) {
	for name, keepAlive := range map[string]time.Duration{"zero": 0, "negative": -1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := openFake(t, forever(pool.Config{KeepAlive: keepAlive}))
				fill(t, p, 3)
				advance(100 * time.Hour)
				assert.Zero(t, f.Counts().Pings)
			})
		})
	}
}

// 32: use is as good a sign of life as a Ping.
func TestKeepAliveSkipsConnectionsInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, forever(pool.Config{MaxOpen: 2, KeepAlive: 30 * time.Second, ValidateAfter: -1}))
		advance(time.Second)
		fill(t, p, 2)
		pings := logPings(f, nil)
		leased := acquire(t, p)
		for range 60 {
			advance(20 * time.Second)
			acquire(t, p).Release()
		}
		assert.Empty(t, pings.take(), "one is leased all the time, the other used every 20 s")
		leased.Release()
	})
}

// 32: a busy pool keeps the idle rest alive.
func TestKeepAliveGoesOnWhileOthersAreInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, forever(pool.Config{MaxOpen: 4, KeepAlive: 30 * time.Second, ValidateAfter: -1}))
		leases := acquireN(t, p, 4)
		leases[3].Release()
		pings := logPings(f, nil)
		for range 10 {
			advance(time.Minute)
			assert.NotEmpty(t, pings.take())
		}
		releaseAll(leases[:3])
	})
}

// 32: the seed's keepalive dies of the first error that it does not know.
func TestKeepAliveSurvivesAnyErrorPanicAndGoexit(t *testing.T) {
	for name, step := range map[string]drivertest.Step{
		"error":  drivertest.Fail(errors.New("unheard of")),
		"panic":  drivertest.Panic("ping"),
		"goexit": drivertest.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := openFake(t, forever(pool.Config{MinIdle: 3, KeepAlive: 30 * time.Second}))
				require.NoError(t, p.Ready(t.Context()))
				for range 3 {
					f.Next(drivertest.Ping, 1, step)
					advance(31 * time.Second)
				}
				assert.Equal(t, 3, p.Stats().Idle)
				assert.Equal(t, int64(3), p.Stats().PingFailures)
				assert.Equal(t, 3, f.Counts().Closes, "each failure cost one connection")
				seen := f.Counts().Pings
				advance(31 * time.Second)
				assert.GreaterOrEqual(t, f.Counts().Pings, seen+3)
				wantAllSlots(t, f, p, 10)
			})
		})
	}
}

// waitForClose is a Ping that ends when its connection is closed, and not before.
func waitForClose(_ context.Context, c *conn) error {
	return drivertest.Hang(context.Background(), c)
}

// 32: and a peer that does not answer costs PingTimeout.
func TestKeepAlivePingIsBoundedByPingTimeout(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  time.Duration
		step drivertest.Step
		want time.Duration
	}{
		"default":            {0, drivertest.Hang, time.Second},
		"set":                {3 * time.Second, drivertest.Hang, 3 * time.Second},
		"ignores its ctx":    {0, waitForClose, time.Second + 100*time.Millisecond},
		"ignores also close": {0, stall(time.Minute), time.Second + 100*time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var closed time.Time
				f, p := openFake(t, forever(pool.Config{
					KeepAlive: 30 * time.Second, PingTimeout: tt.cfg,
					OnClose: func(driver.Conn, error) { closed = time.Now() },
				}))
				pings := logPings(f, tt.step)
				fill(t, p, 1)
				advance(40 * time.Second)
				assert.Zero(t, p.Stats().Open)
				assert.Equal(t, tt.want, closed.Sub(pings.take()[1][0]))
				advance(time.Minute)
			})
		})
	}
}

// 35: half of the idle connections at least are left to callers.
func TestKeepAliveLeavesHalfOfTheIdleToCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, forever(pool.Config{KeepAlive: 30 * time.Second, ValidateAfter: -1, PingTimeout: time.Minute}))
		fill(t, p, 10)
		gate := make(chan struct{})
		f.Always(drivertest.Ping, drivertest.HangUntil(gate))
		advance(40 * time.Second)
		var leases []pool.Lease[*conn]
		for {
			l, ok := p.TryAcquire()
			if !ok {
				break
			}
			leases = append(leases, l)
		}
		assert.GreaterOrEqual(t, len(leases), 5)
		assert.Less(t, len(leases), 10, "some are pinged")
		close(gate)
		releaseAll(leases)
		advance(time.Second)
		assert.Equal(t, 10, p.Stats().Idle, "those that were pinged are back")
		assert.Equal(t, 10, f.Counts().Connects)
	})
}

// lastIdlePinged opens a pool and waits for the keepalive of its only
// connection, which takes until the gate is closed.
func lastIdlePinged(t *testing.T, maxOpen int) (*drivertest.Fake, *pool.Pool[*conn], chan struct{}) {
	f, p := openFake(t, forever(pool.Config{MaxOpen: maxOpen, KeepAlive: 30 * time.Second, PingTimeout: 15 * time.Second}))
	fill(t, p, 1)
	gate := make(chan struct{})
	f.Next(drivertest.Ping, 1, drivertest.HangUntil(gate))
	for f.Counts().Pings == 0 {
		advance(100 * time.Millisecond)
	}
	return f, p, gate
}

// 35: the last idle one comes to the caller as soon as its Ping is done.
func TestCallerGetsTheLastIdleConnectionAfterItsPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p, gate := lastIdlePinged(t, 1)
		c := start(t.Context(), p)
		c.wantWaiting(t)
		close(gate)
		assert.Equal(t, 1, c.wantLease(t).Conn().ID)
		c.lease.Release()
	})
}

// 35: whichever comes first, that or a new one, where there is room.
func TestKeepAliveOfTheLastIdleHoldsUpNoCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p, gate := lastIdlePinged(t, 2)
		c := start(t.Context(), p)
		assert.Equal(t, 2, c.wantLease(t).Conn().ID, "a Connect was quicker")
		close(gate)
		assert.Equal(t, 1, acquire(t, p).Conn().ID)
		c.lease.Release()
		assert.Equal(t, 2, f.Counts().Connects)
	})
}

// 35: a keepalive that hangs is no check for a caller, who gets one of another.
func TestKeepAliveOfADeadConnectionHoldsUpNoCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, forever(pool.Config{MaxOpen: 3, KeepAlive: 30 * time.Second, PingTimeout: 15 * time.Second}))
		fill(t, p, 3)
		f.Next(drivertest.Ping, 1, drivertest.Hang)
		for f.Counts().Pings == 0 {
			advance(100 * time.Millisecond)
		}
		began := time.Now()
		leases := acquireN(t, p, 2)
		assert.Zero(t, time.Since(began))
		assert.Equal(t, 3, f.Counts().Connects)
		releaseAll(leases)
	})
}

// 35, 30: nor does it count as a spare one to come.
func TestKeepAliveDoesNotHoldUpTheRefill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, forever(pool.Config{MinIdle: 3, KeepAlive: 30 * time.Second, PingTimeout: 15 * time.Second}))
		require.NoError(t, p.Ready(t.Context()))
		f.Next(drivertest.Ping, 1, drivertest.Hang)
		for f.Counts().Pings == 0 {
			advance(100 * time.Millisecond)
		}
		acquire(t, p).Discard(nil)
		advance(time.Second)
		assert.Equal(t, 3, p.Stats().Open)
		assert.Equal(t, 4, f.Counts().Connects)
	})
}

// 35: if its Ping hangs, a new connection comes after PingTimeout at the latest.
func TestCallerIsHeldNoLongerThanPingTimeoutByAKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, forever(pool.Config{MaxOpen: 1, KeepAlive: 30 * time.Second}))
		fill(t, p, 1)
		f.Always(drivertest.Ping, drivertest.Hang)
		for f.Counts().Pings == 0 {
			advance(100 * time.Millisecond)
		}
		began := time.Now()
		l := acquire(t, p)
		assert.LessOrEqual(t, time.Since(began), time.Second)
		assert.Equal(t, 2, l.Conn().ID)
		l.Release()
	})
}
