package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/pool"
)

// member is a Member with nothing to yield.
type member string

func (m member) Yield(int) int  { return 0 }
func (m member) String() string { return string(m) }

// enterN returns n permits of gate for m.
func enterN(t *testing.T, gate pool.Gate, m pool.Member, n int) []pool.Permit {
	t.Helper()
	permits := make([]pool.Permit, n)
	for i := range permits {
		var ok bool
		permits[i], ok = gate.TryEnter(m)
		require.True(t, ok)
	}
	return permits
}

// A pool that has fewer connections than its share gets one connection at a time from
// a richer pool, however many of its callers wait.
func TestAPoolWithManyWaitersIsOwedOneConnectionAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := pool.NewGate(7)
		rich, poor := enterN(t, gate, member("rich"), 6), enterN(t, gate, member("poor"), 1)
		ctx, cancel := context.WithCancel(t.Context())
		for range 3 {
			go func() {
				if permit, err := gate.Enter(ctx, member("poor")); err == nil {
					permit.Leave()
				}
			}()
		}
		advance(time.Second) // longer than any rest
		assert.True(t, rich[0].Recalled(pool.Worth{Wanted: true}))
		assert.False(t, rich[1].Recalled(pool.Worth{Wanted: true}), "one permit is already on its way back")
		cancel()
		for _, permit := range append(rich, poor...) {
			permit.Leave()
		}
	})
}

// A pool does not lose an idle connection to its own callers at the gate: they can
// use it without a new permit.
func TestAPoolKeepsAnIdleConnectionIfOnlyItsOwnCallersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := pool.NewGate(1)
		own := enterN(t, gate, member("a"), 1)[0]
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		enter := func(m member) {
			_, err := gate.Enter(ctx, m)
			assert.ErrorIs(t, err, context.Canceled)
		}
		go enter("a")
		advance(time.Second)
		assert.False(t, own.Recalled(pool.Worth{Unused: time.Hour}))
		go enter("b")
		advance(time.Second)
		assert.True(t, own.Recalled(pool.Worth{Unused: time.Hour}), "another pool waits")
	})
}
