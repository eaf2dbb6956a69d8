package pool_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// In a bubble, a goroutine that is left blocked fails the test.
func TestRule9_CloseAndShutdownLeaveNothingBehind(t *testing.T) {
	// bring returns callers that must fail with ErrClosed.
	type bring = func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) crowd[*conn]
	connecting := func(step drivertest.Step) bring {
		return func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) crowd[*conn] {
			f.Always(drivertest.Connect, step)
			return startN(t.Context(), p, 1)
		}
	}
	idle := func(closing drivertest.Step) bring {
		return func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) crowd[*conn] {
			fill(t, p, 4)
			f.Always(drivertest.Close, closing)
			return nil
		}
	}
	nothing := func(*testing.T, *drivertest.Fake, *pool.Pool[*conn]) crowd[*conn] { return nil }
	situations := map[string]struct {
		cfg   pool.Config
		bring bring
	}{
		"new":  {bring: nothing},
		"idle": {bring: idle(nil)},
		"spares": {cfg: pool.Config{MinIdle: 3, KeepAlive: time.Second}, bring: func(t *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn]) crowd[*conn] {
			require.NoError(t, p.Ready(t.Context()))
			advance(time.Minute)
			return nil
		}},
		"spares to come":              {cfg: pool.Config{MinIdle: 3}, bring: nothing},
		"connecting":                  {bring: connecting(drivertest.Hang)},
		"connecting, context ignored": {bring: connecting(stall(3 * time.Second))},
		"in OnConnect": {bring: connecting(nil),
			cfg: pool.Config{OnConnect: func(ctx context.Context, _ driver.Conn) error { <-ctx.Done(); return ctx.Err() }}},
		"in the backoff": {bring: func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) crowd[*conn] {
			f.Always(drivertest.Connect, drivertest.Fail(errScripted))
			return startN(t.Context(), p, 2)[1:]
		}},
		"waiters": {bring: func(t *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn]) crowd[*conn] {
			leases := acquireN(t, p, 4)
			time.AfterFunc(time.Second, func() { releaseAll(leases) })
			return startN(t.Context(), p, 10)
		}},
		"leases that end later": {bring: func(t *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn]) crowd[*conn] {
			leases := acquireN(t, p, 4)
			time.AfterFunc(time.Second, func() {
				leases[0].Release()
				leases[1].Discard(nil)
				hijack(leases[2]).Close()
				leases[3].Release()
			})
			return nil
		}},
		"being checked": {bring: func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) crowd[*conn] {
			fill(t, p, 4)
			advance(10 * time.Second)
			f.Always(drivertest.Ping, drivertest.Hang)
			return startN(t.Context(), p, 3)
		}},
		"being reset": {bring: func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) crowd[*conn] {
			idle(stall(2*time.Second))(t, f, p)
			p.Reset()
			return nil
		}},
		"slow to close":   {bring: idle(stall(2 * time.Second))},
		"panics on Close": {bring: idle(drivertest.Panic("scripted panic"))},
		"exits on Close":  {bring: idle(drivertest.Goexit)},
		"suspended": {bring: func(t *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn]) crowd[*conn] {
			require.NoError(t, p.Resize(0))
			return startN(t.Context(), p, 1)
		}},
		"under load": {cfg: pool.Config{MinIdle: 2, KeepAlive: time.Millisecond, MaxLifetime: 5 * time.Millisecond}, bring: func(_ *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) crowd[*conn] {
			for op := drivertest.Connect; op <= drivertest.Use; op++ {
				f.Always(op, drivertest.Delay(2*time.Millisecond))
			}
			go load(p, 10, 1000, func(_ context.Context, c *conn) error { return c.Use() })
			advance(50 * time.Millisecond)
			return nil
		}},
	}
	ends := map[string]func(p *pool.Pool[*conn]) error{
		"Close":    (*pool.Pool[*conn]).Close,
		"Shutdown": func(p *pool.Pool[*conn]) error { return p.Shutdown(context.Background()) },
	}
	for situation, tt := range situations {
		for end, do := range ends {
			bubble(t, situation+", "+end, func(t *testing.T) {
				f := drivertest.NewFake(t)
				tt.cfg.MaxOpen = 4
				p, err := pool.New[*conn](f, tt.cfg)
				require.NoError(t, err)
				callers := tt.bring(t, f, p)
				callers.wantWaiting(t)
				assert.NoError(t, do(p))
				callers.wantError(t, pool.ErrClosed)
				advance(time.Second) // until the last lease has ended
				s := p.Stats()
				assert.Equal(t, [5]int{}, [5]int{s.Open, s.Idle, s.Connecting, s.Closing, s.Waiting}, "open, idle, connecting, closing, waiting")
				advance(2 * time.Second) // until the last Close has ended
				before := f.Counts()
				assert.Equal(t, [2]int{}, [2]int{before.Open, before.Connecting}, "open and connecting, as the server counts them")

				advance(time.Hour)
				_, err = p.Acquire(t.Context())
				wantAcquireError(t, err, pool.ErrClosed)
				_, ok := try(p)
				assert.False(t, ok)
				wantAcquireError(t, p.Ready(t.Context()), pool.ErrClosed)
				wantAcquireError(t, p.Ping(t.Context()), pool.ErrClosed)
				p.Reset()
				assert.NoError(t, p.Resize(9))
				assert.NoError(t, p.Close())
				assert.NoError(t, p.Shutdown(t.Context()))
				advance(time.Hour)
				assert.Equal(t, before, f.Counts(), "a closed pool no longer calls its driver")
			})
		}
	}
}

func TestRule9_GoroutinesAndTimersAreGone(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	watchdog(t)
	collected := make(chan struct{})
	func() {
		f := drivertest.NewFake(t)
		p, err := pool.New[*conn](f, pool.Config{MaxOpen: 8, MinIdle: 4, KeepAlive: time.Hour, AcquireTimeout: time.Hour})
		require.NoError(t, err)
		load(p, 20, 20, func(_ context.Context, c *conn) error { return c.Use() })
		f.Always(drivertest.Connect, drivertest.Fail(errScripted))
		p.Reset() // during the backoff
		_, err = p.Acquire(t.Context())
		require.ErrorIs(t, err, errScripted)
		require.NoError(t, p.Close())
		assert.Zero(t, f.Counts().Open)
		runtime.AddCleanup(p, func(struct{}) { close(collected) }, struct{}{})
	}()
	for range 100 {
		runtime.GC()
		select {
		case <-collected:
			return
		case <-time.After(20 * time.Millisecond): // for the goroutines of the runtime
		}
	}
	t.Error("something keeps the closed pool alive")
}

func TestRule9_CloseReportsADriverThatDoesNotReturn(t *testing.T) {
	for name, stick := range map[string]func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn], gate chan struct{}){
		"1 Connect, 0 Ping or Close": func(_ *testing.T, f *drivertest.Fake, p *pool.Pool[*conn], gate chan struct{}) {
			f.Always(drivertest.Connect, drivertest.StallUntil(gate))
			try(p)
		},
		"0 Connect, 1 Ping or Close": func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn], gate chan struct{}) {
			fill(t, p, 1)
			advance(10 * time.Second)
			f.Always(drivertest.Ping, drivertest.StallUntil(gate))
			try(p)
		},
		"0 Connect, 2 Ping or Close": func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn], gate chan struct{}) {
			fill(t, p, 2)
			f.Always(drivertest.Close, drivertest.StallUntil(gate))
		},
	} {
		bubble(t, name, func(t *testing.T) {
			f := drivertest.NewFake(t)
			p, err := pool.New[*conn](f, pool.Config{Name: "depot"})
			require.NoError(t, err)
			gate := make(chan struct{})
			stick(t, f, p, gate)
			synctest.Wait()
			began := time.Now()
			err = p.Close()
			assert.EqualError(t, err, fmt.Sprintf(`pool "depot": the driver is still running after 5s: %s`, name))
			assert.Equal(t, 5*time.Second, time.Since(began))
			close(gate)
			synctest.Wait()
			assert.NoError(t, p.Close())
			assert.Zero(t, f.Counts().Open)
		})
	}
}
