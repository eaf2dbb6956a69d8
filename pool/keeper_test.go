package pool

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/drivertest"
)

// If an old connection can't be replaced yet, and the pool knows when it can be, the
// pool does not sweep every millisecond until then.
func TestKeeperSleepsWhileTheServerWantsAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := New[*drivertest.FakeConn](drivertest.NewFake(t), Config{MaxLifetime: time.Minute, LifetimeJitter: -1})
		require.NoError(t, err)
		defer p.Close()
		l, err := p.Acquire(context.Background())
		require.NoError(t, err)
		l.Release()
		p.mu.Lock()
		p.outage.throttled = 3 * time.Minute
		p.mu.Unlock()

		<-time.After(2 * time.Minute)
		synctest.Wait()
		p.mu.Lock()
		assert.Equal(t, 1, p.openLocked())
		assert.Greater(t, p.keeper.at-p.now(), time.Second)
		p.mu.Unlock()
		<-time.After(time.Minute + 100*time.Millisecond)
		assert.Equal(t, Closes{Lifetime: 1}, p.Stats().Closed)
		assert.Equal(t, 1, p.Stats().Open)
	})
}

// A caller may claim a connection while the keeper inspects it.
func TestKeeperStaysAwakeForAConnectionClaimedDuringItsSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := New[*drivertest.FakeConn](drivertest.NewFake(t), Config{})
		require.NoError(t, err)
		defer p.Close()
		l, err := p.Acquire(context.Background())
		require.NoError(t, err)
		l.Release()
		<-time.After(10 * time.Second)
		s := (*p.slots.Load())[0]
		w := s.load() &^ stale
		s.state.Store(uint64(w)) // the state that this sweep would have marked
		seen := seen{gen: w.gen(), idleSince: 1}
		l, err = p.Acquire(context.Background())
		require.NoError(t, err)
		defer l.Release()
		r := round[*drivertest.FakeConn]{now: p.now(), next: -1}
		p.mu.Lock()
		p.lookAtIdle(&r, s, w, &seen)
		p.mu.Unlock()
		assert.True(t, r.awake)
	})
}

// While the keeper inspects a connection, it may be pinged, or its slot may get another
// one.
func TestKeeperDoesNotPingAConnectionPingedDuringItsSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		p, err := New[*drivertest.FakeConn](f, Config{KeepAlive: time.Minute})
		require.NoError(t, err)
		defer p.Close()
		l, err := p.Acquire(context.Background())
		require.NoError(t, err)
		l.Release()
		s := (*p.slots.Load())[0]
		r := round[*drivertest.FakeConn]{now: p.now(), next: -1, pings: []found[*drivertest.FakeConn]{{s, s.load()}}}
		p.mu.Lock()
		p.pingLocked(&r)
		p.mu.Unlock()
		synctest.Wait()
		assert.Zero(t, f.Counts().Pings)
	})
}
