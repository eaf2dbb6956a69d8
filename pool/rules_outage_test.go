package pool_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

func TestRule7_MinIdleIsBackWithinOneBackoffStepOfTheServer(t *testing.T) {
	const spare = 4
	ready := func(t *testing.T, p *pool.Pool[*conn]) { require.NoError(t, p.Ready(t.Context())) }
	nothing := func(*testing.T, *drivertest.Fake, *pool.Pool[*conn]) {}
	for name, tt := range map[string]struct {
		first bool // the server is down before the pool is opened
		begin func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn])
	}{
		"down from the start": {true, nothing},
		"found by keepalive": {false, func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) {
			ready(t, p)
			down(f)
		}},
		"found by a holder": {false, func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) {
			ready(t, p)
			leases := acquireN(t, p, spare)
			down(f)
			for _, l := range leases {
				l.Discard(l.Conn().Use())
			}
		}},
		"found by callers": {false, func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) {
			ready(t, p)
			down(f)
			for range 100 {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				err := p.Do(ctx, func(_ context.Context, c *conn) error { return c.Use() })
				assert.Error(t, err)
				cancel()
			}
		}},
		"found at a rotation": {false, func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) {
			ready(t, p)
			down(f)
			p.Reset()
		}},
	} {
		for _, length := range []time.Duration{50 * time.Millisecond, time.Second, 20 * time.Second, time.Hour} {
			bubble(t, fmt.Sprintf("%s, for %v", name, length), func(t *testing.T) {
				f := drivertest.NewFake(t)
				if tt.first {
					down(f)
				}
				p := open[*conn](t, f, pool.Config{MaxOpen: 8, MinIdle: spare, KeepAlive: time.Second})
				tt.begin(t, f, p)
				advance(length)
				f.Up()
				advance(time.Second)     // until the next keepalive, in a short outage
				advance(6 * time.Second) // Backoff.Max plus its jitter
				s := p.Stats()
				assert.GreaterOrEqual(t, s.Idle, spare)
				assert.Equal(t, s.Open, f.Counts().Open)
				wantServes(t, p, 8)
			})
		}
	}

	// Attempts that hang in a black hole end after ConnectTimeout.
	bubble(t, "black hole", func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Always(drivertest.Connect, drivertest.Hang)
		p := open[*conn](t, f, pool.Config{MinIdle: spare, ConnectTimeout: 3 * time.Second})
		advance(time.Hour)
		f.Up()
		advance(9 * time.Second)
		assert.Equal(t, spare, p.Stats().Idle)
	})
}

// MinIdle, keepalives and a crowd of callers together make no more attempts than one
// backoff allows.
func TestRule7_AttemptsInAnOutageFollowOneBackoff(t *testing.T) {
	bubble(t, "all together", func(t *testing.T) {
		const connecting = 3
		f, p := openFake(t, pool.Config{MaxOpen: 50, MinIdle: 10, MaxConnecting: connecting, KeepAlive: time.Second, Backoff: pool.Backoff{Jitter: -1}})
		require.NoError(t, p.Ready(t.Context()))
		before := f.Counts().Connects
		down(f)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var callers sync.WaitGroup
		for range 100 {
			callers.Go(func() {
				for ctx.Err() == nil {
					p.Do(ctx, func(context.Context, *conn) error { return nil })
					<-time.After(time.Millisecond)
				}
			})
		}
		callers.Wait()
		n := wantBackoff(t, f, before+connecting-1) // the first attempts may start together
		assert.InDelta(t, 125, n, 10, "and they go on")
	})
}

func TestRule8_APermanentErrorReachesAllWaitersAtOnce(t *testing.T) {
	wrong := driver.Permanent(errScripted)
	for name, tt := range map[string]struct {
		cfg  pool.Config
		step drivertest.Step
		wrap func(*conn) driver.Conn
	}{
		"from Connect":   {step: drivertest.Fail(wrong)},
		"wrapped":        {step: drivertest.Fail(fmt.Errorf("login: %w", wrong))},
		"joined":         {step: drivertest.Fail(errors.Join(errors.New("first address refused"), wrong))},
		"in a panic":     {step: drivertest.Panic(wrong)},
		"from OnConnect": {cfg: pool.Config{OnConnect: func(context.Context, driver.Conn) error { return wrong }}},
		"wrong type":     {wrap: drivertest.Bare},
		"no connection":  {wrap: func(*conn) driver.Conn { return nil }},
	} {
		bubble(t, name, func(t *testing.T) {
			f := drivertest.NewFake(t)
			f.Wrap = tt.wrap
			gate := make(chan struct{})
			f.Next(drivertest.Connect, 1, func(ctx context.Context, c *conn) error {
				<-gate
				if tt.step == nil {
					return nil
				}
				return tt.step(ctx, c)
			})
			tt.cfg.MaxConnecting = 1
			p := open[*conn](t, f, tt.cfg)
			callers := startN(t.Context(), p, 20) // most join after the attempt has begun
			advance(time.Second)
			close(gate)
			for _, c := range callers {
				require.True(t, c.returned(), "Acquire still waits")
				assert.True(t, driver.IsPermanent(c.err), "%v", c.err)
			}
			late := start(t.Context(), p)
			require.True(t, late.returned())
			assert.True(t, driver.IsPermanent(late.err), "%v", late.err)
			assert.Equal(t, 1, f.Counts().Connects)
		})
	}

	bubble(t, "but not waiters that a connection may still serve", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2})
		l := acquire(t, p)
		f.Always(drivertest.Connect, drivertest.Fail(wrong))
		c := start(t.Context(), p)
		c.wantWaiting(t)
		l.Release()
		c.wantLease(t).Release()
	})
}

// Many servers lock an account after a few wrong passwords a minute.
func TestRule8_NoAccountIsLocked(t *testing.T) {
	wrong := driver.Permanent(errScripted)
	for name, cfg := range map[string]pool.Config{
		"callers":             {},
		"callers, fail fast":  {FailFast: true},
		"spares":              {MinIdle: 1},
		"spares and rotation": {MinIdle: 1, MaxLifetime: 10 * time.Second, KeepAlive: time.Second},
	} {
		bubble(t, name, func(t *testing.T) {
			f := drivertest.NewFake(t)
			cfg.MaxOpen = 4
			cfg.MaxConnecting = 1
			p := open[*conn](t, f, cfg)
			fill(t, p, 4)
			f.Always(drivertest.Connect, drivertest.Fail(wrong))
			f.KillAll()
			before := f.Counts().Connects
			for range 60 * 10 {
				load(p, 3, 3, func(_ context.Context, c *conn) error { return c.Use() })
				advance(time.Second)
			}
			attempts := f.Counts().Connects - before
			assert.LessOrEqual(t, attempts, 11)
			assert.GreaterOrEqual(t, attempts, 9, "once a minute, a caller finds out whether the password is right by now")
			f.Always(drivertest.Connect, nil)
			p.Reset()
			wantServes(t, p, 4)
		})
	}

	bubble(t, "nobody asks", func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Always(drivertest.Connect, drivertest.Fail(wrong))
		p := open[*conn](t, f, pool.Config{MinIdle: 4, MaxConnecting: 1, KeepAlive: time.Second})
		advance(24 * time.Hour)
		assert.Equal(t, 1, f.Counts().Connects)
		assert.True(t, driver.IsPermanent(p.Ready(t.Context())))
	})
}
