package pool

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/drivertest"
)

// A waiter leaves just after it was served, and the gate has just closed its connection.
func TestALeaseThatAStrictGateEndsBeforeItsCallerHasItCostsNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := New[*drivertest.FakeConn](drivertest.NewFake(t), Config{MaxOpen: 1})
		require.NoError(t, err)
		defer p.Close()
		l, err := p.Acquire(t.Context())
		require.NoError(t, err)
		w := &waiter[*drivertest.FakeConn]{ready: make(chan struct{}, 1), ctx: t.Context()}
		p.mu.Lock()
		require.NoError(t, p.joinLocked(w, false))
		p.mu.Unlock()
		l.Release()
		s := l.slot
		p.mu.Lock()
		require.True(t, p.severLocked(s, permitLost))
		p.mu.Unlock()
		assert.Equal(t, context.Canceled, p.leave(w, context.Canceled))
		synctest.Wait()
		assert.Equal(t, free, s.load().phase())
		assert.False(t, s.load().has(cut), "the next connection may have the slot")
		assert.True(t, s.raw == nil, "the slot keeps no connection alive")
		assert.EqualValues(t, 1, p.Stats().Acquires)
	})
}
