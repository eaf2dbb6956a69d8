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

// An old connection that can't be replaced yet is no reason to look every
// millisecond, as long as it is known when.
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

// A caller may take a connection while the keeper looks at it.
func TestKeeperStaysAwakeForAConnectionThatIsClaimedUnderItsEyes(t *testing.T) {
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
		s.state.Store(uint64(w)) // as if it were to be marked in this sweep
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
