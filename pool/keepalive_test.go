package pool_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// pingLog records when each connection of a Fake is pinged.
type pingLog struct {
	mu sync.Mutex
	at map[int][]time.Time // by connection
}

// logPings records every Ping of f, which does step. step may be nil.
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

// take returns and clears the record.
func (l *pingLog) take() map[int][]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.at
	l.at = map[int][]time.Time{}
	return at
}

// forever returns cfg without the limits that would close connections in a long test.
func forever(cfg pool.Config) pool.Config {
	cfg.MaxIdleTime, cfg.MaxLifetime = -1, -1
	return cfg
}

// Pings come up to a tenth earlier than KeepAlive, never later, and not in step.
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
		assert.Greater(t, len(inStep), 300, "different times among about 1,250 pings")
		assert.Equal(t, 10, p.Stats().Idle)
		assert.Zero(t, f.Counts().Closes)
	})
}

// A lease may end without an error although the connection is dead, so busy
// connections are pinged too. But the pool does not ping one during a lease.
func TestKeepAlivePingsABusyConnectionBetweenItsUses(t *testing.T) {
	const keepAlive = 30 * time.Second
	for name, tt := range map[string]struct {
		callers    int // for one connection
		use, pause time.Duration
		most       time.Duration // the longest time between two pings
	}{
		"used now and then":         {1, 10 * time.Millisecond, 20 * time.Second, keepAlive},
		"used all the time":         {1, 500 * time.Millisecond, 0, keepAlive + 500*time.Millisecond},
		"with a queue":              {5, 500 * time.Millisecond, 0, keepAlive + 500*time.Millisecond},
		"with a pause between uses": {1, 700 * time.Millisecond, 50 * time.Millisecond, keepAlive + 700*time.Millisecond},
		"long leases":               {1, time.Minute, time.Second, time.Minute + time.Second},
		"long leases with a queue":  {2, time.Minute, 0, time.Minute},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, forever(pool.Config{MaxOpen: 1, KeepAlive: keepAlive, ValidateAfter: -1, AcquireTimeout: -1}))
			pings := logPings(f, drivertest.Delay(time.Millisecond))
			last, end := time.Now(), time.Now().Add(time.Hour)
			var all sync.WaitGroup
			for range tt.callers {
				all.Go(func() {
					for time.Now().Before(end) {
						l := acquire(t, p)
						sleep(tt.use)
						l.Release()
						sleep(tt.pause)
					}
				})
			}
			all.Wait()
			times := pings.take()[1]
			for _, at := range times {
				assert.LessOrEqual(t, at.Sub(last), tt.most+time.Millisecond)
				assert.GreaterOrEqual(t, at.Sub(last), 26*time.Second)
				last = at
			}
			assert.GreaterOrEqual(t, len(times), 55)
			assert.Equal(t, 1, f.Counts().Connects)
		})
	}
}

// The holder hides its error and releases the connection as if it were good.
func TestKeepAliveFindsABusyConnectionDead(t *testing.T) {
	for _, n := range []int{1, 5} {
		bubble(t, fmt.Sprintf("connections=%d", n), func(t *testing.T) {
			failed := 0
			var mu sync.Mutex
			failures(t, n, pinger, func(_ context.Context, c requester) error {
				if c.Use() != nil {
					mu.Lock()
					defer mu.Unlock()
					failed++
				}
				return nil
			})
			assert.LessOrEqual(t, failed, 51*n, "requests of 1 second, out of 200 per caller in 4 seconds")
		})
	}
}

// Keepalives take at most half of the connections of a busy pool.
func TestKeepAliveLeavesHalfOfTheBusyConnectionsToCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 10
		f, p := openFake(t, forever(pool.Config{MaxOpen: size, KeepAlive: 30 * time.Second, ValidateAfter: -1, PingTimeout: time.Minute}))
		var pinged, most atomic.Int64
		f.Always(drivertest.Ping, func(ctx context.Context, c *conn) error {
			if n := pinged.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer pinged.Add(-1)
			return drivertest.Delay(10*time.Second)(ctx, c)
		})
		var uses [2 * size]int
		var all sync.WaitGroup
		for i := range uses {
			all.Go(func() {
				for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); uses[i]++ {
					l := acquire(t, p)
					<-time.After(100 * time.Millisecond)
					l.Release()
				}
			})
		}
		all.Wait()
		assert.EqualValues(t, size/2, most.Load(), "pinged at once")
		assert.GreaterOrEqual(t, f.Counts().Pings, 10*600/40-size)
		assert.Equal(t, size, f.Counts().Connects)
		for _, n := range uses {
			assert.Greater(t, n, 600*10/4)
		}
	})
}

// A connection that was pinged a moment ago needs no check before use.
func TestKeepAliveSparesTheCheckBeforeUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, forever(pool.Config{KeepAlive: 5 * time.Second, ValidateAfter: 10 * time.Second}))
		fill(t, p, 1)
		advance(time.Minute)
		seen := f.Counts().Pings
		acquire(t, p).Release()
		assert.Equal(t, seen, f.Counts().Pings)
	})
}

func TestKeepAliveLeavesHalfOfTheIdleConnectionsToCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, forever(pool.Config{KeepAlive: 30 * time.Second, ValidateAfter: -1, PingTimeout: time.Minute}))
		fill(t, p, 10)
		gate := make(chan struct{})
		f.Always(drivertest.Ping, drivertest.HangUntil(gate))
		advance(40 * time.Second)
		var leases []pool.Lease[*conn]
		for l, ok := try(p); ok; l, ok = try(p) {
			leases = append(leases, l)
		}
		assert.GreaterOrEqual(t, len(leases), 5)
		assert.Less(t, len(leases), 10, "some are being pinged")
		close(gate)
		releaseAll(leases)
		advance(time.Second)
		assert.Equal(t, 10, p.Stats().Idle, "the pinged ones are back")
		assert.Equal(t, 10, f.Counts().Connects)
	})
}

// pinging opens a pool with n idle connections, or with MinIdle, and returns it while
// the keepalive of one of them runs step.
func pinging(t *testing.T, n int, cfg pool.Config, step drivertest.Step) (*drivertest.Fake, *pool.Pool[*conn]) {
	cfg.KeepAlive, cfg.PingTimeout = 30*time.Second, 15*time.Second
	f, p := openFake(t, forever(cfg))
	require.NoError(t, p.Ready(t.Context()))
	if cfg.MinIdle == 0 {
		fill(t, p, n)
	}
	f.Next(drivertest.Ping, 1, step)
	for f.Counts().Pings == 0 {
		advance(100 * time.Millisecond)
	}
	return f, p
}

func TestKeepAliveInProgressBlocksNobody(t *testing.T) {
	bubble(t, "a caller in a full pool gets the connection after its Ping", func(t *testing.T) {
		gate := make(chan struct{})
		_, p := pinging(t, 1, pool.Config{MaxOpen: 1}, drivertest.HangUntil(gate))
		c := start(t.Context(), p)
		c.wantWaiting(t)
		close(gate)
		assert.Equal(t, 1, c.wantLease(t).Conn().ID)
		c.lease.Release()
	})

	bubble(t, "a caller gets a new connection where there is room", func(t *testing.T) {
		gate := make(chan struct{})
		f, p := pinging(t, 1, pool.Config{MaxOpen: 2}, drivertest.HangUntil(gate))
		c := start(t.Context(), p)
		assert.Equal(t, 2, c.wantLease(t).Conn().ID)
		close(gate)
		assert.Equal(t, 1, acquire(t, p).Conn().ID)
		assert.Equal(t, 2, f.Counts().Connects)
	})

	bubble(t, "callers get the other idle connections", func(t *testing.T) {
		f, p := pinging(t, 3, pool.Config{MaxOpen: 3}, drivertest.Hang)
		for _, c := range startN(t.Context(), p, 2) {
			defer c.wantLease(t).Release()
		}
		assert.Equal(t, 3, f.Counts().Connects)
	})

	bubble(t, "a connection being pinged does not count as a new spare", func(t *testing.T) {
		f, p := pinging(t, 3, pool.Config{MinIdle: 3}, drivertest.Hang)
		acquire(t, p).Discard(nil)
		advance(time.Second)
		assert.Equal(t, 3, p.Stats().Open)
		assert.Equal(t, 4, f.Counts().Connects)
	})
}
