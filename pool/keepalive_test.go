package pool_test

import (
	"context"
	"maps"
	"slices"
	"sync"
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

// take returns what was recorded, and starts over.
func (l *pingLog) take() map[int][]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.at
	l.at = map[int][]time.Time{}
	return at
}

// forever returns cfg without the limits that would close connections in a
// long test.
func forever(cfg pool.Config) pool.Config {
	cfg.MaxIdleTime, cfg.MaxLifetime = -1, -1
	return cfg
}

// Pings come no later than KeepAlive, at most a tenth earlier, and not in step.
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

// Use is as good a sign of life as a Ping. A busy pool keeps its idle rest alive
// all the same.
func TestKeepAlivePingsOnlyConnectionsThatNobodyUses(t *testing.T) {
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
		for range 10 {
			advance(time.Minute)
			assert.Equal(t, []int{3 - leased.Conn().ID}, slices.Collect(maps.Keys(pings.take())))
		}
		leased.Release()
	})
}

// A Ping is a sign of life: no check before use right after it.
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
		assert.Equal(t, 10, p.Stats().Idle, "those that were pinged are back")
		assert.Equal(t, 10, f.Counts().Connects)
	})
}

// pinging opens a pool with n idle connections, or MinIdle, and returns while the
// keepalive of one of them does step.
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

func TestKeepAliveInProgressHoldsUpNobody(t *testing.T) {
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

	bubble(t, "a connection being pinged is not a spare one to come", func(t *testing.T) {
		f, p := pinging(t, 3, pool.Config{MinIdle: 3}, drivertest.Hang)
		acquire(t, p).Discard(nil)
		advance(time.Second)
		assert.Equal(t, 3, p.Stats().Open)
		assert.Equal(t, 4, f.Counts().Connects)
	})
}
