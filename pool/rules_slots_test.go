package pool_test

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// The package doc has numbered guarantees. TestRule1 and so on test them.

func TestRule1_TheServerNeverCountsMoreThanMaxOpen(t *testing.T) {
	const limit = 4
	use := func(_ context.Context, c *conn) error { return c.Use() }
	bad := func(context.Context, *conn) error { return driver.ErrBadConn }
	for name, tt := range map[string]struct {
		cfg    pool.Config
		script func(f *drivertest.Fake)
		use    func(ctx context.Context, c *conn) error
	}{
		"many callers at once": {use: use},
		"callers that give up": {use: use, script: func(f *drivertest.Fake) {
			f.Always(drivertest.Connect, drivertest.Delay(5*time.Second))
		}},
		"discards":                          {use: bad},
		"one use each":                      {use: use, cfg: pool.Config{MaxUses: 1}},
		"few idle connections":              {use: use, cfg: pool.Config{MaxIdle: 1}},
		"spare ones":                        {use: use, cfg: pool.Config{MinIdle: limit}},
		"short lives":                       {use: use, cfg: pool.Config{MaxLifetime: 20 * time.Millisecond}},
		"short lives that want replacement": {use: use, cfg: pool.Config{MaxLifetime: 20 * time.Millisecond, MinIdle: 2}},
		"keepalives that fail": {use: use, cfg: pool.Config{KeepAlive: 20 * time.Millisecond, MinIdle: 2}, script: func(f *drivertest.Fake) {
			f.Always(drivertest.Ping, drivertest.Fail(errScripted))
		}},
		"OnConnect refuses": {use: use, cfg: pool.Config{OnConnect: func(context.Context, driver.Conn) error { return errScripted }}},
		"connections of another type": {use: use, script: func(f *drivertest.Fake) {
			f.Wrap = drivertest.Bare
		}},
		"a driver that ignores its context": {use: use, cfg: pool.Config{ConnectTimeout: 100 * time.Millisecond}, script: func(f *drivertest.Fake) {
			f.Always(drivertest.Connect, stall(7*time.Second))
		}},
	} {
		bubble(t, name, func(t *testing.T) {
			f := drivertest.NewFake(t)
			f.Always(drivertest.Connect, drivertest.Delay(30*time.Millisecond))
			f.Always(drivertest.Use, drivertest.Delay(10*time.Millisecond))
			f.Always(drivertest.Close, stall(40*time.Millisecond))
			if tt.script != nil {
				tt.script(f)
			}
			tt.cfg.MaxOpen = limit
			p := open[*conn](t, f, tt.cfg)
			load(p, 20, 20, tt.use)
			advance(10 * time.Second)
			assert.Equal(t, limit, f.Counts().Peak)
		})
	}

	bubble(t, "a closing connection counts for at most 5 seconds", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2})
		gate := make(chan struct{})
		defer close(gate)
		f.Always(drivertest.Close, drivertest.StallUntil(gate))
		for _, l := range acquireN(t, p, 2) {
			l.Discard(nil)
		}
		callers := startN(t.Context(), p, 2)
		callers.wantWaiting(t)
		assert.Equal(t, 2, p.Stats().Closing)
		gate <- struct{}{}
		l := callers[0].wantLease(t)
		advance(5*time.Second - 1)
		callers[1].wantWaiting(t)
		assert.Equal(t, 2, f.Counts().Peak)
		advance(1)
		callers[1:].wantServed(t)
		assert.Zero(t, p.Stats().Closing)
		l.Release()
	})

	bubble(t, "a connect that outlives its timeout counts", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1, ConnectTimeout: time.Second})
		gate := make(chan struct{})
		f.Next(drivertest.Connect, 1, drivertest.StallUntil(gate))
		c := start(t.Context(), p)
		advance(1100 * time.Millisecond)
		c.wantError(t, context.DeadlineExceeded)
		c = start(t.Context(), p)
		advance(time.Second)
		c.wantWaiting(t)
		assert.Equal(t, 1, f.Counts().Connects)
		close(gate)
		c.wantLease(t).Release()
		assert.Equal(t, 1, f.Counts().Connects, "the late connection is used in the end")
	})

	bubble(t, "resize and reset under load", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: limit})
		f.Always(drivertest.Use, drivertest.Delay(10*time.Millisecond))
		f.Always(drivertest.Close, stall(40*time.Millisecond))
		done := make(chan struct{})
		go func() {
			defer close(done)
			load(p, 20, 50, use)
		}()
		for i := range 50 {
			advance(9 * time.Millisecond)
			require.NoError(t, p.Resize(1+i%limit))
			if i%5 == 0 {
				p.Reset()
			}
		}
		<-done
		assert.Equal(t, limit, f.Counts().Peak)
	})
}

// The test combines each way to end a lease with each way to misuse it afterward.
var (
	ends = map[string]func(pool.Lease[*conn]){
		"Release": func(l pool.Lease[*conn]) { l.Release() },
		"End":     func(l pool.Lease[*conn]) { l.End(errUnknown) },
		"Discard": func(l pool.Lease[*conn]) { l.Discard(errScripted) },
		"Hijack":  func(l pool.Lease[*conn]) { hijack(l).Close() },
	}
	misuses = map[string]struct {
		do     func(pool.Lease[*conn])
		panics bool
	}{
		"Release": {func(l pool.Lease[*conn]) { l.Release() }, false},
		"End":     {func(l pool.Lease[*conn]) { l.End(errUnknown) }, false},
		"Discard": {func(l pool.Lease[*conn]) { l.Discard(errScripted) }, false},
		"Conn":    {func(l pool.Lease[*conn]) { l.Conn() }, true},
		"Hijack":  {func(l pool.Lease[*conn]) { l.Hijack() }, true},
	}
)

func TestRule2_AStaleLeaseHarmsNobody(t *testing.T) {
	// Each function makes something happen to the slot after the lease, and returns
	// a function that undoes it.
	meanwhile := map[string]func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) (undo func()){
		"held by the next caller": func(t *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn]) func() {
			return acquire(t, p).Release
		},
		"held by the next caller, then closed": func(t *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn]) func() {
			l := acquire(t, p)
			p.Reset()
			return l.Release
		},
		"idle": func(t *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn]) func() {
			acquire(t, p).Release()
			return func() {}
		},
		"being checked": func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) func() {
			acquire(t, p).Release()
			gate := make(chan struct{})
			f.Next(drivertest.Ping, 1, drivertest.HangUntil(gate))
			advance(3 * time.Second)
			c := start(t.Context(), p)
			c.wantWaiting(t)
			return func() { close(gate); c.wantLease(t).Release() }
		},
		"being closed": func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) func() {
			gate := make(chan struct{})
			f.Next(drivertest.Close, 1, drivertest.StallUntil(gate))
			acquire(t, p).Discard(nil)
			synctest.Wait()
			return func() { close(gate) }
		},
		"being connected": func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) func() {
			p.Reset()
			gate := make(chan struct{})
			f.Next(drivertest.Connect, 1, drivertest.HangUntil(gate))
			c := start(t.Context(), p)
			c.wantWaiting(t)
			return func() { close(gate); c.wantLease(t).Release() }
		},
		"empty": func(_ *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn]) func() {
			p.Reset()
			synctest.Wait()
			return func() {}
		},
	}
	for end, endLease := range ends {
		for state, bring := range meanwhile {
			for misuse, m := range misuses {
				bubble(t, end+", "+state+", "+misuse, func(t *testing.T) {
					f, p := openFake(t, pool.Config{MaxOpen: 1})
					l := acquire(t, p)
					stale := l
					endLease(l)
					synctest.Wait()
					undo := bring(t, f, p)
					before, counts := p.Stats(), f.Counts()
					if m.panics {
						assert.Panics(t, func() { m.do(stale) })
					} else {
						m.do(stale)
					}
					synctest.Wait()
					assert.Equal(t, before, p.Stats())
					assert.Equal(t, counts, f.Counts())
					undo()
					synctest.Wait()
					wantAllSlots(t, f, p, 1)
				})
			}
		}
	}
}

// The Fake detects two users of a connection, and so does the race detector.
func TestRule2_AConnectionHasOneHolderAtATime(t *testing.T) {
	for name, cfg := range map[string]pool.Config{
		"fast path":       {},
		"check every use": {ValidateAfter: time.Nanosecond},
		"slow release":    {MaxUses: 7},
		"short lives":     {MaxLifetime: 2 * time.Millisecond},
		"keepalive":       {KeepAlive: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.MaxOpen = 3
			f, p := openFake(t, cfg)
			var held [10_000]atomic.Bool // by FakeConn.ID
			load(p, 12, 100, func(_ context.Context, c *conn) error {
				mine := c.ID < len(held) && held[c.ID].CompareAndSwap(false, true)
				assert.True(t, mine, "connection %d has two holders", c.ID)
				defer held[c.ID].Store(false)
				if rand.IntN(50) == 0 {
					p.Reset()
				}
				return c.Use()
			})
			assert.Empty(t, f.Violations())
		})
	}
}
