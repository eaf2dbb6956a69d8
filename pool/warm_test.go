package pool_test

import (
	"context"
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

// Warm connects once. It does not replace connections that close later.
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

// Two concurrent calls share the same connections. Their numbers do not add up.
func TestWarmTogetherConnectsAsManyAsTheLarger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxConnecting: 1})
		f.Always(drivertest.Connect, drivertest.Delay(time.Second))
		done := make(chan error, 2)
		for _, n := range []int{5, 3} {
			go func() { done <- p.Warm(t.Context(), n) }()
			synctest.Wait()
		}
		assert.NoError(t, <-done)
		assert.NoError(t, <-done)
		advance(time.Minute)
		assert.Equal(t, 5, f.Counts().Connects)
	})
}

// While the server is down, Warm waits and follows the backoff.
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

// Ready fails in the same way.
func TestWarmEndsWithAnError(t *testing.T) {
	for name, tt := range map[string]struct {
		connect drivertest.Step
		then    func(p *pool.Pool[*conn]) // 200 ms later
		cancel  bool
		want    []error
		after   time.Duration
	}{
		"permanent error": {connect: drivertest.Fail(driver.Permanent(errScripted)), want: []error{errScripted}},
		"no answer":       {connect: drivertest.Hang, want: []error{context.DeadlineExceeded}, after: 5 * time.Second},
		"refused":         {connect: drivertest.Fail(errScripted), want: []error{errScripted, context.DeadlineExceeded}, after: 5 * time.Second},
		"canceled":        {connect: drivertest.Hang, cancel: true, want: []error{context.Canceled}},
		"closed": {connect: drivertest.Hang, then: func(p *pool.Pool[*conn]) { p.Close() },
			want: []error{pool.ErrClosed}, after: 200 * time.Millisecond},
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
			err := p.Warm(ctx, 5)
			for _, want := range tt.want {
				assert.Equal(t, tt.after, wantAcquireError(t, err, want).Waited)
			}

			synctest.Wait()
			before := f.Counts().Connects
			f.Always(drivertest.Connect, nil)
			advance(time.Minute)
			assert.Equal(t, before, f.Counts().Connects, "no caller wants more")
		})
	}
}

// The pool can't keep more than the limits allow, so Warm does not try.
func TestWarmBeyondALimitIsAnError(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  pool.Config
		n    int
		want string
	}{
		"MaxOpen": {pool.Config{MaxOpen: 3}, 4, "Warm(4); want 0 to MaxOpen, which is 3"},
		"MaxIdle": {pool.Config{MaxIdle: 2}, 3, "Warm(3); want 0 to MaxIdle, which is 2"},
		"no idle": {pool.Config{MaxIdle: -1}, 1, "Warm(1); want 0 to MaxIdle, which is 0"},
		"below 0": {pool.Config{}, -1, "Warm(-1); want 0 to MaxOpen, which is 10"},
	} {
		bubble(t, name, func(t *testing.T) {
			tt.cfg.Name = "depot"
			f, p := openFake(t, tt.cfg)
			assert.EqualError(t, p.Warm(t.Context(), tt.n), `pool "depot": `+tt.want)
			advance(time.Minute)
			assert.Zero(t, f.Counts().Connects)
		})
	}
}

// The error is old, so the next attempt is allowed.
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
