package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
)

// nest makes n Do calls, one inside another, and then calls fn.
func nest(ctx context.Context, p *pool.Pool[*conn], n int, fn func(context.Context) error) error {
	if n == 0 {
		return fn(ctx)
	}
	return p.Do(ctx, func(ctx context.Context, _ *conn) error { return nest(ctx, p, n-1, fn) })
}

// nothing is a function for Do that does nothing.
func nothing(context.Context, *conn) error { return nil }

// A caller that would wait for itself fails at once, and the error says what to do. It
// does not fail if there is room for another connection, or if another caller holds
// one.
func TestNestedDoFailsIfItWouldWaitForItself(t *testing.T) {
	for maxOpen := 1; maxOpen <= 3; maxOpen++ {
		bubble(t, string(rune('0'+maxOpen)), func(t *testing.T) {
			_, p := openFake(t, pool.Config{Name: "depot", MaxOpen: maxOpen})
			began := time.Now()
			err := nest(t.Context(), p, maxOpen, func(ctx context.Context) error {
				_, err := p.Acquire(ctx)
				assert.ErrorIs(t, err, pool.ErrNested, "with Acquire")
				return p.Do(ctx, nothing)
			})
			e := wantAcquireError(t, err, pool.ErrNested)
			assert.Zero(t, time.Since(began))
			assert.True(t, driver.IsPermanent(err), "the same call fails again")
			assert.True(t, driver.SafeToRetry(err))
			assert.Contains(t, e.Error(), `pool "depot": no connection after 0s: pool: this caller is inside Do calls that hold all connections: use the connection that Do passed, or raise MaxOpen (max `)

			assert.NoError(t, nest(t.Context(), p, maxOpen-1, func(ctx context.Context) error { return p.Do(ctx, nothing) }), "room for one more")

			if maxOpen > 1 {
				l := acquire(t, p)
				time.AfterFunc(time.Second, l.Release)
				assert.NoError(t, nest(t.Context(), p, maxOpen-1, func(ctx context.Context) error { return p.Do(ctx, nothing) }), "somebody else releases")
			}
			require.NoError(t, p.Resize(maxOpen+1))
			assert.NoError(t, nest(t.Context(), p, maxOpen, func(ctx context.Context) error { return p.Do(ctx, nothing) }), "resized")
		})
	}
}

// A Do does not count if it no longer holds a connection, or if it holds one of another
// pool.
func TestNestedDoIsRefusedForHeldConnectionsOfThePoolOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1})
		_, other := openFake(t, pool.Config{MaxOpen: 1})
		assert.NoError(t, nest(t.Context(), p, 1, func(ctx context.Context) error { return other.Do(ctx, nothing) }))
		err := nest(t.Context(), p, 1, func(ctx context.Context) error {
			return nest(ctx, other, 1, func(ctx context.Context) error { return p.Do(ctx, nothing) })
		})
		assert.ErrorIs(t, err, pool.ErrNested, "with a Do of another pool in between")

		var kept context.Context
		require.NoError(t, nest(t.Context(), p, 1, func(ctx context.Context) error { kept = ctx; return nil }))
		l := acquire(t, p)
		time.AfterFunc(time.Second, l.Release)
		assert.NoError(t, p.Do(kept, nothing), "from a goroutine that has outlived its Do")
		require.NoError(t, nest(kept, p, 1, func(ctx context.Context) error {
			assert.ErrorIs(t, p.Do(ctx, nothing), pool.ErrNested)
			return nil
		}))

		require.NoError(t, nest(t.Context(), p, 1, func(ctx context.Context) error {
			require.NoError(t, p.Resize(0))
			waiting := start(ctx, p)
			waiting.wantWaiting(t) // like any other caller
			require.NoError(t, p.Resize(2))
			waiting.wantLease(t).Release()
			return nil
		}))
	})
}

// The context that Do passes ends with its caller's context, for the same cause, and
// has its values. Contexts derived from it need no goroutine.
func TestContextOfDoIsThatOfTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1})
		ctx, cancel := context.WithCancelCause(as(t.Context(), "caller"))
		require.ErrorIs(t, p.Do(ctx, func(inner context.Context, _ *conn) error {
			assert.Equal(t, "caller", path(inner))
			child, stop := context.WithCancel(inner)
			defer stop()
			cancel(errScripted)
			assert.Equal(t, errScripted, context.Cause(child), "at once")
			return context.Cause(inner)
		}), errScripted)
	})
}

func TestDoAllocatesItsMarkOnlyInSmallPools(t *testing.T) {
	for n, want := range map[int]float64{1: 1, 3: 1, 4: 0} {
		p := openPlain(t, n)
		fn := func(context.Context, *plainConn) error { return nil }
		allocs := testing.AllocsPerRun(1000, func() { _ = p.Do(context.Background(), fn) })
		if !raceEnabled {
			assert.Equal(t, want, allocs, "MaxOpen %d", n)
		}
	}
}
