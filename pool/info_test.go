package pool_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// wantInfo fails t unless got equals want. Idle may differ by up to within.
func wantInfo(t testing.TB, got, want pool.Info, within time.Duration) {
	t.Helper()
	require.LessOrEqual(t, (got.Idle - want.Idle).Abs(), within, "Idle is %v, want %v", got.Idle, want.Idle)
	got.Idle = want.Idle
	require.Equal(t, want, got)
}

// Acquire and Release do not read the clock, so the idle time comes from the sweeps.
// It is accurate to a quarter of ValidateAfter or a second, whichever is shorter.
func TestInfoOfALease(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg    pool.Config
		wrap   func(*conn) driver.Conn
		within time.Duration
	}{
		"default":                {within: 250 * time.Millisecond},
		"long ValidateAfter":     {cfg: pool.Config{ValidateAfter: time.Hour}, within: time.Second},
		"short ValidateAfter":    {cfg: pool.Config{ValidateAfter: 100 * time.Millisecond}, within: 25 * time.Millisecond},
		"never pinged":           {cfg: pool.Config{ValidateAfter: -1}, within: time.Second},
		"every use pinged":       {cfg: pool.Config{ValidateAfter: 1}, within: time.Second},
		"no Pinger":              {wrap: drivertest.Bare, within: 250 * time.Millisecond},
		"kept alive":             {cfg: pool.Config{KeepAlive: 20 * time.Second}, within: 250 * time.Millisecond},
		"nothing ever closes it": {cfg: pool.Config{ValidateAfter: -1, MaxIdleTime: -1, MaxLifetime: -1}, within: time.Second},
	} {
		bubble(t, name, func(t *testing.T) {
			f := drivertest.NewFake(t)
			f.Wrap = tt.wrap
			var hook pool.Info
			tt.cfg.OnAcquire = func(_ context.Context, _ driver.Conn, i pool.Info) error { hook = i; return nil }
			tt.cfg.MaxOpen = 1
			p := open[driver.Conn](t, f, tt.cfg)
			f.Always(drivertest.Connect, drivertest.Delay(2*time.Second)) // does not count as age
			var idle time.Duration
			l := acquire(t, p)
			began := time.Now()
			for uses, pause := range []time.Duration{
				0, time.Millisecond, 200 * time.Millisecond, 900 * time.Millisecond, 0, 3 * time.Second,
				33333 * time.Millisecond, 2 * time.Minute, 0, 1500 * time.Millisecond,
			} {
				want := pool.Info{Age: time.Since(began), Idle: idle, Uses: uses}
				wantInfo(t, l.Info(), want, tt.within)
				wantInfo(t, hook, want, tt.within)
				<-time.After(777 * time.Millisecond) // in use
				l.Release()
				idle = pause
				<-time.After(pause)
				l = acquire(t, p)
			}
			c := start(t.Context(), p)
			<-time.After(20 * time.Second)
			wantInfo(t, l.Info(), pool.Info{Age: time.Since(began), Idle: idle, Uses: 10}, 2*tt.within)
			l.Release()
			l = c.wantLease(t)
			wantInfo(t, l.Info(), pool.Info{Age: time.Since(began), Uses: 11}, 0) // handed straight to a waiter
			l.Release()
			assert.Equal(t, 1, f.Counts().Connects)
		})
	}
}

// A spare connection is new to its first holder, however long it was idle. The next
// connection in its slot starts from zero.
func TestInfoBelongsToTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1, MinIdle: 1})
		require.NoError(t, p.Ready(t.Context()))
		for uses := range 2 {
			advance(time.Minute)
			l, err := p.TryAcquire()
			for ; err != nil; l, err = p.TryAcquire() { // the connection is being checked
				advance(0)
			}
			wantInfo(t, l.Info(), pool.Info{Age: time.Duration(uses+1) * time.Minute, Idle: time.Minute, Uses: uses}, 250*time.Millisecond)
			l.Release()
		}
		l := acquire(t, p)
		c := start(t.Context(), p)
		l.Discard(nil)
		l = c.wantLease(t)
		assert.Zero(t, l.Info())
		l.Release()
	})
}

// OnAcquire can reject a connection because of its Info.
func TestOnAcquireRefusesByInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxLifetime: -1, OnAcquire: func(_ context.Context, _ driver.Conn, i pool.Info) error {
			if i.Idle > time.Minute || i.Uses == 3 {
				return driver.ErrBadConn
			}
			return nil
		}})
		for range 6 {
			acquire(t, p).Release()
		}
		assert.Equal(t, 2, f.Counts().Connects, "three uses each")
		acquire(t, p).Release()
		advance(2 * time.Minute)
		acquire(t, p).Release()
		assert.Equal(t, 4, f.Counts().Connects, "the third was idle")
	})
}

type traceKey struct{}

// openTraced returns a pool that records, for each Connect and OnConnect, which caller's
// context it got.
func openTraced(t *testing.T, cfg pool.Config) (*drivertest.Fake, *pool.Pool[*conn], *diary) {
	var d diary
	record := func(ctx context.Context) { d.add("%v", ctx.Value(traceKey{})) }
	cfg.OnConnect = func(ctx context.Context, _ driver.Conn) error { record(ctx); return nil }
	f := drivertest.NewFake(t)
	f.Always(drivertest.Connect, func(ctx context.Context, c *conn) error {
		record(ctx)
		return drivertest.Delay(time.Second)(ctx, c)
	})
	return f, open[*conn](t, f, cfg), &d
}

// as returns a context with the name of a caller.
func as(parent context.Context, caller string) context.Context {
	return context.WithValue(parent, traceKey{}, caller)
}

// A Connect gets the values of the context of the caller that caused it, so that a trace
// shows it there. But it does not end with that context.
func TestConnectHasTheValuesOfTheCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p, traced := openTraced(t, pool.Config{Backoff: pool.Backoff{Initial: 5 * time.Second}})
		f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
		start(as(t.Context(), "refused"), p).wantError(t, errScripted)
		late := start(as(t.Context(), "late"), p)
		assert.Empty(t, traced.take())
		advance(10 * time.Second)
		late.wantLease(t)
		assert.Equal(t, []string{"late", "late"}, traced.take(), "Connect after the backoff, OnConnect")

		ctx, cancel := context.WithTimeout(as(t.Context(), "short"), time.Second/2)
		defer cancel()
		short, long := start(ctx, p), start(as(t.Context(), "long"), p)
		assert.Equal(t, []string{"short", "long"}, traced.take(), "Connect")
		advance(2 * time.Second)
		short.wantError(t, context.DeadlineExceeded)
		long.wantLease(t)
		assert.ElementsMatch(t, []string{"short", "long"}, traced.take(), "OnConnect")
		assert.Equal(t, 3, p.Stats().Open)
	})
}

// A Connect in the background gets no values of a caller.
func TestBackgroundConnectHasNoCallersValues(t *testing.T) {
	for name, cfg := range map[string]pool.Config{
		"spare":       {MinIdle: 1, MaxUses: 1},
		"replacement": {MaxLifetime: 30 * time.Second},
		"TryAcquire":  {},
	} {
		bubble(t, name, func(t *testing.T) {
			_, p, traced := openTraced(t, cfg)
			if cfg.MinIdle == 0 {
				p.TryAcquire()
			}
			advance(2 * time.Second)
			for range 60 { // this caller causes no Connect
				l, err := p.Acquire(as(t.Context(), "a"))
				require.NoError(t, err)
				l.Release()
				advance(2 * time.Second)
			}
			got := traced.take()
			assert.GreaterOrEqual(t, len(got), 2)
			for _, caller := range got {
				assert.Equal(t, "<nil>", caller)
			}
		})
	}
}

func TestPingHasTheValuesOfTheCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p, traced := openTraced(t, pool.Config{KeepAlive: time.Minute, Trace: pool.Trace{
			Wait: func(ctx context.Context, _ pool.WaitStart) (context.Context, func(pool.WaitEnd)) {
				return as(ctx, fmt.Sprint("traced ", ctx.Value(traceKey{}))), nil
			},
		}})
		acquire(t, p).Release()
		traced.take()
		f.Always(drivertest.Ping, func(ctx context.Context, _ *conn) error {
			traced.add("%v", ctx.Value(traceKey{}))
			return nil
		})
		advance(10 * time.Second)
		ctx, cancel := context.WithTimeout(as(t.Context(), "ada"), time.Second)
		defer cancel()
		start(ctx, p).wantLease(t).Release()
		advance(time.Minute)
		assert.Equal(t, []string{"traced ada", "<nil>"}, traced.take(), "before use, and KeepAlive")
	})
}

// A wait for a release says that MaxOpen is too small; a wait for a Connect or
// a Ping does not.
func TestStatsCountWaitsForAReleaseSeparately(t *testing.T) {
	for name, tt := range map[string]struct {
		leased, idle int
		cfg          pool.Config
		callers      int
		want         int64 // callers that wait for a release
	}{
		"empty pool":                 {callers: 4, want: 0},
		"all in use":                 {leased: 4, callers: 3, want: 3},
		"one more than are idle":     {idle: 4, callers: 5, want: 1},
		"all ways":                   {leased: 1, idle: 2, callers: 6, want: 3},
		"connects one after another": {cfg: pool.Config{MaxConnecting: 1}, callers: 4, want: 0},
	} {
		bubble(t, name, func(t *testing.T) {
			tt.cfg.MaxOpen, tt.cfg.AcquireTimeout = 4, 20*time.Second
			f, p := openFake(t, tt.cfg)
			leases := acquireN(t, p, tt.leased+tt.idle)
			releaseAll(leases[tt.leased:])
			advance(10 * time.Second)
			before := p.Stats()
			f.Always(drivertest.Connect, drivertest.Delay(2*time.Second))
			f.Always(drivertest.Ping, drivertest.Delay(time.Second/2))
			callers := startN(t.Context(), p, tt.callers)
			s := p.Stats()
			assert.Equal(t, int64(tt.callers), s.Waits-before.Waits, "Waits")
			assert.Equal(t, tt.want, s.ReleaseWaits-before.ReleaseWaits, "ReleaseWaits")

			advance(19 * time.Second)
			assert.Zero(t, p.Stats().ReleaseWaitTime-before.ReleaseWaitTime, "the callers have not been served")
			advance(2 * time.Second)
			s = p.Stats()
			assert.Equal(t, tt.want, s.Timeouts)
			assert.Equal(t, time.Duration(tt.want)*20*time.Second, s.ReleaseWaitTime-before.ReleaseWaitTime, "ReleaseWaitTime")
			releaseAll(leases[:tt.leased])
			for _, c := range callers[:tt.callers-int(tt.want)] {
				<-c.done
				c.lease.Release()
			}
		})
	}
}
