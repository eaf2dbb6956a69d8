package pool_test

import (
	"context"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// The driver, the hook and the log all block while the lease ends. If Release called
// any of them, it would not return.
func TestRule5_ReleaseDoesNotBlock(t *testing.T) {
	type before = func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn])
	release := func(l pool.Lease[*conn]) { l.Release() }
	waiter := func(t *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn]) { start(t.Context(), p) }
	invalid := func(_ *testing.T, f *drivertest.Fake, _ *pool.Pool[*conn]) {
		f.Always(drivertest.IsValid, drivertest.Fail(errScripted))
	}
	call := func(fn func(p *pool.Pool[*conn])) []before {
		return []before{func(_ *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn]) { fn(p) }}
	}
	for name, tt := range map[string]struct {
		cfg    pool.Config
		before []before
		end    func(l pool.Lease[*conn])
	}{
		"to the idle connections":                 {end: release},
		"to a waiter":                             {end: release, before: []before{waiter}},
		"of an invalid connection":                {end: release, before: []before{invalid}},
		"of an invalid connection, with a waiter": {end: release, before: []before{invalid, waiter}},
		"of a surplus connection":                 {end: release, cfg: pool.Config{MaxIdle: 1}},
		"of a used up connection":                 {end: release, cfg: pool.Config{MaxUses: 2}},
		"of an old connection":                    {end: release, cfg: pool.Config{MaxLifetime: time.Millisecond}},
		"where each use is checked":               {end: release, cfg: pool.Config{ValidateAfter: 1}, before: []before{waiter}},
		"refused by OnRelease":                    {end: release, cfg: pool.Config{OnRelease: func(driver.Conn) error { return errScripted }}},
		"after Reset":                             {end: release, before: call((*pool.Pool[*conn]).Reset)},
		"after Resize":                            {end: release, before: call(func(p *pool.Pool[*conn]) { require.NoError(t, p.Resize(0)) })},
		"after Close":                             {end: release, before: call(func(p *pool.Pool[*conn]) { go p.Close(); synctest.Wait() })},
		"Discard":                                 {end: func(l pool.Lease[*conn]) { l.Discard(io.EOF) }, before: []before{waiter}},
		"Hijack":                                  {end: func(l pool.Lease[*conn]) { go hijack(l).Close() }, before: []before{waiter}},
	} {
		bubble(t, name, func(t *testing.T) {
			gate := make(chan struct{})
			stuck := func(driver.Conn) error { <-gate; return nil }
			var full atomic.Bool
			tt.cfg.MaxOpen = 2
			tt.cfg.OnConnect = func(_ context.Context, c driver.Conn) error {
				if full.Load() {
					return stuck(c)
				}
				return nil
			}
			tt.cfg.OnClose = func(c driver.Conn, _ error) { stuck(c) }
			tt.cfg.Logger = funcr.New(func(string, string) {
				if full.Load() {
					stuck(nil)
				}
			}, funcr.Options{Verbosity: 9})
			f, p := openFake(t, tt.cfg)
			defer close(gate)
			leases := acquireN(t, p, 2)
			advance(2 * time.Millisecond)
			full.Store(true)
			for _, op := range []drivertest.Op{drivertest.Connect, drivertest.Ping, drivertest.ResetSession, drivertest.Close} {
				f.Always(op, drivertest.StallUntil(gate))
			}
			for _, do := range tt.before {
				do(t, f, p)
			}
			began := time.Now()
			for _, l := range leases {
				tt.end(l)
			}
			assert.Zero(t, time.Since(began))
			p.Stats()
		})
	}
}

// Code that the pool calls may call the pool. If the pool held a lock, that would hang.
func TestRule5_HooksAndLogMayCallThePool(t *testing.T) {
	watchdog(t)
	synctest.Test(t, func(t *testing.T) {
		var self atomic.Pointer[pool.Pool[*conn]]
		var called diary
		ask := func(who string) {
			if p := self.Load(); p != nil {
				p.Stats()
				require.NoError(t, p.Resize(2))
			}
			called.add("%s", who)
		}
		f := drivertest.NewFake(t)
		for op := drivertest.Connect; op <= drivertest.Close; op++ {
			f.Always(op, func(context.Context, *conn) error { ask(op.String()); return nil })
		}
		p := open[*conn](t, f, pool.Config{
			MaxOpen: 2, KeepAlive: 5 * time.Second, MaxLifetime: time.Minute,
			OnConnect: func(context.Context, driver.Conn) error { ask("OnConnect"); return nil },
			OnAcquire: func(context.Context, driver.Conn, pool.Info) error { ask("OnAcquire"); return nil },
			OnRelease: func(driver.Conn) error { ask("OnRelease"); return nil },
			OnClose:   func(driver.Conn, error) { ask("OnClose") },
			BadConn:   func(error) bool { ask("BadConn"); return true },
			Logger: funcr.New(func(_, line string) {
				_, message, _ := strings.Cut(line, `"msg"="`)
				message, _, _ = strings.Cut(message, `"`)
				ask("log: " + message)
			}, funcr.Options{Verbosity: 9}),
		})
		self.Store(p)

		use := func(_ context.Context, c *conn) error { return c.Use() }
		for range 3 {
			require.NoError(t, p.Do(t.Context(), use))
			advance(10 * time.Second)
		}
		require.ErrorIs(t, p.Do(t.Context(), func(context.Context, *conn) error { return errScripted }), errScripted)
		f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
		require.ErrorIs(t, p.Do(t.Context(), use), errScripted)
		require.NoError(t, p.Do(t.Context(), use))
		f.Next(drivertest.Ping, 1, drivertest.Fail(errScripted))
		advance(10 * time.Second)
		require.NoError(t, p.Do(t.Context(), use))
		advance(2 * time.Minute)
		require.NoError(t, p.Close())
		assert.Subset(t, called.take(), []string{
			"Connect", "Ping", "ResetSession", "IsValid", "Use", "Close",
			"OnConnect", "OnAcquire", "OnRelease", "OnClose", "BadConn",
			"log: connected", "log: connect failed", "log: closed",
			"log: connection passed its check", "log: connection failed its check",
		})
	})
}

// A call that blocks for one connection delays no caller that does not need it.
func TestRule5_ABlockedCallDelaysNobodyElse(t *testing.T) {
	for name, block := range map[string]func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn], gate chan struct{}){
		"Connect": func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn], gate chan struct{}) {
			l := acquire(t, p)
			f.Next(drivertest.Connect, 1, drivertest.StallUntil(gate))
			_, ok := try(p)
			assert.False(t, ok)
			synctest.Wait()
			assert.Equal(t, 1, p.Stats().Connecting)
			l.Release()
		},
		"Ping": func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn], gate chan struct{}) {
			leases := acquireN(t, p, 2)
			leases[0].Release()
			advance(10 * time.Second)
			f.Next(drivertest.Ping, 1, drivertest.StallUntil(gate))
			_, ok := try(p)
			assert.False(t, ok)
			synctest.Wait()
			assert.Equal(t, 1, f.Counts().Pings)
			leases[1].Release()
		},
		"Close": func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn], gate chan struct{}) {
			f.Next(drivertest.Close, 1, drivertest.StallUntil(gate))
			acquire(t, p).Discard(nil)
		},
		"ResetSession": func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn], gate chan struct{}) {
			fill(t, p, 1)
			f.Next(drivertest.ResetSession, 1, drivertest.StallUntil(gate))
			c := start(t.Context(), p)
			c.wantWaiting(t)
			t.Cleanup(func() { c.wantLease(t).Release() })
		},
		"IsValid": func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn], gate chan struct{}) {
			l := acquire(t, p)
			f.Next(drivertest.IsValid, 1, drivertest.StallUntil(gate))
			go l.Release()
		},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 2})
			gate := make(chan struct{})
			defer close(gate)
			block(t, f, p, gate)
			synctest.Wait()
			for range 3 {
				l := start(t.Context(), p).wantLease(t)
				assert.NoError(t, l.Conn().Use())
				l.Release()
			}
			p.Stats()
		})
	}
}

func TestRule6_AnUnfinishedConnectionIsNotPooledAgain(t *testing.T) {
	type test = func(p *pool.Pool[driver.Conn], f *drivertest.Fake)
	do := func(fn func(cancel context.CancelFunc) error) test {
		return func(p *pool.Pool[driver.Conn], _ *drivertest.Fake) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			p.Do(ctx, func(context.Context, driver.Conn) error { return fn(cancel) })
		}
	}
	canceled := do(func(cancel context.CancelFunc) error { cancel(); return errScripted })
	well := do(func(context.CancelFunc) error { return nil })
	cutShort := func(hide bool) test {
		return func(p *pool.Pool[driver.Conn], f *drivertest.Fake) {
			f.Always(drivertest.Use, drivertest.Hang)
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			p.Do(ctx, func(_ context.Context, c driver.Conn) error {
				if err := c.(*drivertest.BoundConn).Use(); !hide {
					return err
				}
				return nil
			})
		}
	}
	script := func(op drivertest.Op, step drivertest.Step, then test) test {
		return func(p *pool.Pool[driver.Conn], f *drivertest.Fake) { f.Always(op, step); then(p, f) }
	}
	for name, tt := range map[string]struct {
		cfg  pool.Config
		wrap func(*conn) driver.Conn
		use  test
	}{
		"panic": {use: do(func(context.CancelFunc) error { panic("user") })},
		"panic in Call": {use: func(p *pool.Pool[driver.Conn], _ *drivertest.Fake) {
			pool.Call(context.Background(), p, func(context.Context, driver.Conn) (int, error) { panic("user") })
		}},
		"Goexit":                          {use: do(func(context.CancelFunc) error { runtime.Goexit(); return nil })},
		"canceled":                        {use: canceled},
		"canceled, whatever BadConn says": {use: canceled, cfg: pool.Config{BadConn: func(error) bool { return false }}},
		"a deadline of the holder's own":  {use: do(func(context.CancelFunc) error { return context.DeadlineExceeded })},
		"cut short by Bind":               {use: cutShort(false), wrap: drivertest.Bound},
		"cut short by Bind, and the holder hides it": {use: cutShort(true), wrap: drivertest.Bound},
		"panic in Bind":       {use: well, wrap: func(c *conn) driver.Conn { return &badBinder{c, true} }},
		"panic in unbind":     {use: well, wrap: func(c *conn) driver.Conn { return &badBinder{c, false} }},
		"panic in BadConn":    {use: do(func(context.CancelFunc) error { return errScripted }), cfg: pool.Config{BadConn: func(error) bool { panic("BadConn") }}},
		"not valid":           {use: script(drivertest.IsValid, drivertest.Fail(errScripted), well)},
		"panic in IsValid":    {use: script(drivertest.IsValid, drivertest.Panic("IsValid"), well)},
		"Goexit in OnRelease": {use: well, cfg: pool.Config{OnRelease: func(driver.Conn) error { runtime.Goexit(); return nil }}},
		"panic in OnAcquire":  {use: well, cfg: pool.Config{OnAcquire: func(context.Context, driver.Conn, pool.Info) error { panic("OnAcquire") }}},
		"panic in Ping": {use: script(drivertest.Ping, drivertest.Panic("Ping"), func(p *pool.Pool[driver.Conn], _ *drivertest.Fake) {
			p.Ping(context.Background())
		})},
	} {
		bubble(t, name, func(t *testing.T) {
			f := drivertest.NewFake(t)
			f.Wrap = tt.wrap
			tt.cfg.MaxOpen = 1
			p := open[driver.Conn](t, f, tt.cfg)
			apart(func() { tt.use(p, f) })
			synctest.Wait()
			assert.Empty(t, f.Conns())
			assert.Equal(t, int64(1), p.Stats().Closed.Bad+p.Stats().Closed.Invalid)
		})
	}

	bubble(t, "nor is it given to a waiter", func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1})
		var c *caller[*conn]
		apart(func() {
			p.Do(t.Context(), func(context.Context, *conn) error {
				c = start(context.Background(), p)
				panic("user")
			})
		})
		l := c.wantLease(t)
		assert.Equal(t, 2, l.Conn().ID)
		l.Release()
	})
}

// badBinder panics in Bind or in unbind.
type badBinder struct {
	*conn
	early bool
}

func (b *badBinder) Bind(context.Context) (unbind func()) {
	if b.early {
		panic("Bind")
	}
	return func() { panic("unbind") }
}

// A connection whose lease ended normally returns to the pool.
func TestRule6_AFinishedConnectionIsKept(t *testing.T) {
	for name, use := range map[string]func(ctx context.Context, cancel context.CancelFunc, c *drivertest.BoundConn) error{
		"no error":                 func(_ context.Context, _ context.CancelFunc, c *drivertest.BoundConn) error { return c.Use() },
		"an error of the protocol": func(context.Context, context.CancelFunc, *drivertest.BoundConn) error { return answer{} },
		"canceled after the last use": func(_ context.Context, cancel context.CancelFunc, c *drivertest.BoundConn) error {
			defer cancel()
			return c.Use()
		},
	} {
		bubble(t, name, func(t *testing.T) {
			f := drivertest.NewFake(t)
			f.Wrap = drivertest.Bound
			p := open[*drivertest.BoundConn](t, f, pool.Config{})
			for range 3 {
				ctx, cancel := context.WithCancel(t.Context())
				p.Do(ctx, func(ctx context.Context, c *drivertest.BoundConn) error { return use(ctx, cancel, c) })
				cancel()
			}
			assert.Equal(t, 1, f.Counts().Connects)
		})
	}
}
