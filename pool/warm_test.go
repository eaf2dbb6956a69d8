package pool_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

func TestWarmBlocksUntilThatManyAreOpen(t *testing.T) {
	for name, tt := range map[string]struct {
		leased, idle int
		cfg          pool.Config
		n            int
		connects     int
		took         time.Duration
	}{
		"empty pool":    {n: 5, connects: 5, took: time.Second},
		"some in use":   {leased: 3, n: 5, connects: 2, took: time.Second},
		"enough":        {leased: 3, idle: 2, n: 5},
		"none":          {},
		"MaxOpen":       {leased: 2, n: 10, connects: 8, took: time.Second},
		"MaxConnecting": {cfg: pool.Config{MaxConnecting: 2}, n: 6, connects: 6, took: 3 * time.Second},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, tt.cfg)
			leases := acquireN(t, p, tt.leased+tt.idle)
			releaseAll(leases[tt.leased:])
			synctest.Wait()
			before := f.Counts().Connects
			f.Always(drivertest.Connect, drivertest.Delay(time.Second))
			began := time.Now()
			require.NoError(t, p.Warm(t.Context(), tt.n))
			assert.Equal(t, tt.took, time.Since(began))
			assert.Equal(t, max(tt.n, tt.leased+tt.idle), p.Stats().Open)
			advance(time.Minute)
			assert.Equal(t, tt.connects, f.Counts().Connects-before)
			releaseAll(leases[:tt.leased])
		})
	}
}

// Warm works once. Connections that are closed later are not replaced.
func TestWarmKeepsNoSpares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxIdleTime: time.Minute})
		require.NoError(t, p.Warm(t.Context(), 5))
		acquire(t, p).Discard(nil)
		leases := acquireN(t, p, 2)
		advance(10 * time.Second)
		assert.Equal(t, 4, p.Stats().Open)
		releaseAll(leases)
		advance(2 * time.Minute)
		assert.Zero(t, p.Stats().Open)
		assert.Equal(t, 5, f.Counts().Connects)
		require.NoError(t, p.Warm(t.Context(), 5))
		assert.Equal(t, 10, f.Counts().Connects, "a second Warm")
	})
}

// Two calls at a time want the same connections, not the sum.
func TestWarmTogetherConnectsAsManyAsTheLarger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		f.Always(drivertest.Connect, drivertest.Delay(time.Second))
		done := make(chan error, 2)
		for _, n := range []int{3, 5} {
			go func() { done <- p.Warm(t.Context(), n) }()
			synctest.Wait()
		}
		assert.NoError(t, <-done)
		assert.NoError(t, <-done)
		advance(time.Minute)
		assert.Equal(t, 5, f.Counts().Connects)
	})
}

// Warm waits for a server that is down, at the pace of the backoff.
func TestWarmWaitsForTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		down(f)
		time.AfterFunc(time.Minute, f.Up)
		began := time.Now()
		require.NoError(t, p.Warm(t.Context(), 5))
		assert.LessOrEqual(t, time.Since(began), time.Minute+6*time.Second, "a step of the backoff")
		assert.LessOrEqual(t, f.Counts().Connects, 30)
		assert.Equal(t, 5, p.Stats().Open)
	})
}

func TestWarmEndsWithAnError(t *testing.T) {
	for name, tt := range map[string]struct {
		connect drivertest.Step
		then    func(p *pool.Pool[*conn]) // 200 ms later
		cancel  bool
		want    error
	}{
		"permanent error": {connect: drivertest.Fail(driver.Permanent(errScripted)), want: errScripted},
		"no answer":       {connect: drivertest.Hang, want: context.DeadlineExceeded},
		"refused":         {connect: drivertest.Fail(errScripted), want: errScripted}, // and the context
		"canceled":        {cancel: true, want: context.Canceled},
		"closed":          {connect: drivertest.Hang, then: func(p *pool.Pool[*conn]) { p.Close() }, want: pool.ErrClosed},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{})
			f.Always(drivertest.Connect, tt.connect)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if tt.cancel {
				cancel()
			}
			if tt.then != nil {
				time.AfterFunc(200*time.Millisecond, func() { tt.then(p) })
			}
			wantAcquireError(t, p.Warm(ctx, 5), tt.want)

			synctest.Wait()
			before := f.Counts().Connects
			f.Always(drivertest.Connect, nil)
			advance(time.Minute)
			assert.Equal(t, before, f.Counts().Connects, "nobody wants more")
		})
	}
}

// Warm ends soon if n is more than the pool may open or keep, and does not
// connect over and over.
func TestWarmBeyondALimitEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg pool.Config
		n   int
	}{
		"MaxOpen": {pool.Config{MaxOpen: 3}, 4},
		"any":     {pool.Config{MaxOpen: 3}, math.MaxInt},
		"MaxIdle": {pool.Config{MaxIdle: 2}, 5},
		"no idle": {pool.Config{MaxIdle: -1}, 5},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, tt.cfg)
			f.Always(drivertest.Connect, drivertest.Delay(time.Second))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			began := time.Now()
			_ = p.Warm(ctx, tt.n)
			assert.LessOrEqual(t, time.Since(began), 2*time.Second)
			advance(time.Minute)
			assert.LessOrEqual(t, f.Counts().Connects, 5)
		})
	}
}

func TestWarmFollowsResize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		f.Always(drivertest.Connect, drivertest.Delay(time.Second))
		time.AfterFunc(time.Millisecond, func() { assert.NoError(t, p.Resize(3)) })
		began := time.Now()
		require.NoError(t, p.Warm(t.Context(), 5))
		assert.LessOrEqual(t, time.Since(began), 2*time.Second)
	})
}

// The error is old; the next attempt may be made.
func TestWarmConnectsAfterThePauseOfAPermanentError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		f.Next(drivertest.Connect, 1, drivertest.Fail(driver.Permanent(errScripted)))
		start(t.Context(), p).wantError(t, errScripted)
		assert.ErrorIs(t, p.Warm(t.Context(), 1), errScripted)
		advance(2 * time.Minute)
		assert.NoError(t, p.Warm(t.Context(), 1))
	})
}
