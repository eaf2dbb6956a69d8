package endpoints_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// await waits until ok returns true.
func await(ctx context.Context, t testing.TB, ok func() bool) {
	t.Helper()
	for !ok() {
		require.NoError(t, ctx.Err())
		<-time.After(time.Millisecond)
	}
}

// Eight callers write. The primary is demoted, and the other server is promoted when no
// connection to the old primary is left. Then the servers change roles again.
func TestNoWriteGoesToADemotedPrimaryAfterItsFirstRefusal(t *testing.T) {
	stores := []*store{startStore(true), startStore(false)}
	for _, s := range stores {
		t.Cleanup(s.Close)
	}
	w, err := OpenWriter(stores[0].Addr(), stores[1].Addr())
	require.NoError(t, err)
	defer w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, w.Warm(ctx, 8))

	var over atomic.Bool
	var written atomic.Int64
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for !over.Load() {
				if assert.NoError(t, w.Write(ctx, "line")) {
					written.Add(1)
				}
			}
		})
	}
	for _, failover := range []struct{ from, to *store }{{stores[0], stores[1]}, {stores[1], stores[0]}} {
		await(ctx, t, func() bool { return failover.from.writes.Load() > 100 })
		failover.from.primary.Store(false)
		demoted := time.Now()
		require.NoError(t, failover.from.AwaitOpen(ctx, 0))
		left := time.Since(demoted)
		before := failover.to.writes.Load()
		promoted := time.Now()
		failover.to.primary.Store(true)
		await(ctx, t, func() bool { return failover.to.writes.Load() > before })
		took := time.Since(promoted)
		require.NoError(t, w.Warm(ctx, 8))
		moved := time.Since(promoted)
		await(ctx, t, func() bool { return failover.to.writes.Load() > before+100 })
		refused, last := failover.from.refused.Swap(0), time.Unix(0, failover.from.last.Load()).Sub(demoted)
		assert.LessOrEqual(t, refused, int64(8), "the callers that had a connection")
		t.Logf("%d refused, the last %v after the demotion, all connections closed after %v; promotion: first good write after %v, all connections after %v",
			refused, last, left, took, moved)
	}
	over.Store(true)
	callers.Wait()
	assert.Equal(t, written.Load(), stores[0].writes.Load()+stores[1].writes.Load(), "each write was made once")
}
