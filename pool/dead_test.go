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

// These tests are about connections that died while they were idle.

func TestHalfOpenPeerCostsNoMoreThanPingTimeout(t *testing.T) {
	const size = 5
	for name, tt := range map[string]struct {
		cfg   pool.Config
		ping  drivertest.Step
		fresh bool // no check is due, so ResetSession finds it dead
		most  time.Duration
	}{
		"by default":                {pool.Config{}, drivertest.Hang, false, time.Second},
		"as configured":             {pool.Config{PingTimeout: 200 * time.Millisecond}, drivertest.Hang, false, 200 * time.Millisecond},
		"Ping ignores its context":  {pool.Config{}, stall(time.Minute), false, 1100 * time.Millisecond},
		"with room for new ones":    {pool.Config{MaxOpen: 2 * size}, drivertest.Hang, false, time.Second},
		"where each use is checked": {pool.Config{ValidateAfter: 1}, drivertest.Hang, false, time.Second},
		"in ResetSession":           {pool.Config{ValidateAfter: -1}, drivertest.Hang, true, 2 * time.Second},
		"one, in ResetSession":      {pool.Config{MaxOpen: 1, PingTimeout: 300 * time.Millisecond}, drivertest.Hang, true, 300 * time.Millisecond},
	} {
		bubble(t, name, func(t *testing.T) {
			if tt.cfg.MaxOpen == 0 {
				tt.cfg.MaxOpen = size
			}
			f, p := openFake(t, tt.cfg)
			n := min(size, tt.cfg.MaxOpen)
			fill(t, p, n)
			if !tt.fresh {
				advance(time.Minute)
			}
			f.Always(drivertest.Ping, tt.ping)
			f.Always(drivertest.ResetSession, drivertest.Hang)
			began := time.Now()
			l := acquire(t, p)
			assert.LessOrEqual(t, time.Since(began), tt.most)
			assert.Greater(t, l.Conn().ID, n, "a new connection")
			l.Release()
			f.Always(drivertest.Ping, nil)
			f.Always(drivertest.ResetSession, nil)
			advance(2 * time.Minute)
		})
	}
}

func TestPoolFullOfDeadConnectionsSucceedsInOneCall(t *testing.T) {
	const size = 10
	for name, tt := range map[string]struct {
		idle   time.Duration
		spares bool // never used
	}{
		"found by ResetSession":         {},
		"found by a check":              {idle: time.Minute},
		"spares, found by ResetSession": {spares: true},
		"spares, found by a check":      {idle: time.Minute, spares: true},
	} {
		for who, callers := range map[string]int{"one caller": 1, "as many callers": size, "more callers": 2 * size} {
			bubble(t, name+", "+who, func(t *testing.T) {
				cfg := pool.Config{MaxOpen: size}
				if tt.spares {
					cfg.MinIdle = size
				}
				f, p := openFake(t, cfg)
				if require.NoError(t, p.Ready(t.Context())); !tt.spares {
					fill(t, p, size)
				}
				advance(tt.idle)
				f.KillAll()
				for _, c := range startN(t.Context(), p, callers)[:min(callers, size)] {
					assert.NoError(t, c.wantLease(t).Conn().Use())
					defer c.lease.Release()
				}
				assert.LessOrEqual(t, f.Counts().Peak, size)
			})
		}
	}

	bubble(t, "that were spares, in one call of Ping", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: size, MinIdle: size})
		require.NoError(t, p.Ready(t.Context()))
		f.KillAll()
		assert.NoError(t, p.Ping(t.Context()))
	})

	bubble(t, "of which one lives", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: size})
		fill(t, p, size)
		for _, c := range f.Conns()[:size-1] {
			c.Kill()
		}
		f.Always(drivertest.Connect, drivertest.Fail(errScripted))
		l := start(t.Context(), p).wantLease(t)
		assert.NoError(t, l.Conn().Use())
		l.Release()
	})

	bubble(t, "unless the server is gone", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: size})
		fill(t, p, size)
		f.Down(errScripted)
		e := start(t.Context(), p).wantError(t, errScripted)
		assert.NotErrorIs(t, e, driver.ErrBadConn, "the caller never had a connection")
	})
}

// Otherwise a hook that rejects every connection would keep the pool connecting.
func TestHookThatCallsANewConnectionBadFailsTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{OnAcquire: func(context.Context, driver.Conn, pool.Info) error { return driver.ErrBadConn }})
		start(t.Context(), p).wantError(t, driver.ErrBadConn)
		assert.Equal(t, 1, f.Counts().Connects)
		assert.Zero(t, f.Counts().Open)
	})
}

// resettable is a connection without Ping: only ResetSession can check it.
type resettable struct{ c *conn }

func (r resettable) Close() error                           { return r.c.Close() }
func (r resettable) ResetSession(ctx context.Context) error { return r.c.ResetSession(ctx) }

// Each of many dead connections may take PingTimeout to fail.
func TestAcquireTimeoutEndsTheSearchAmongDeadConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Wrap = func(c *conn) driver.Conn { return resettable{c} }
		p := open[resettable](t, f, pool.Config{MaxOpen: 20, AcquireTimeout: 2500 * time.Millisecond})
		fill(t, p, 20)
		f.Always(drivertest.ResetSession, func(context.Context, *conn) error {
			<-time.After(900 * time.Millisecond)
			return errScripted
		})
		_, err := p.Acquire(context.Background())
		e := wantAcquireError(t, err, pool.ErrTimeout)
		assert.Equal(t, 2700*time.Millisecond, e.Waited, "with the ResetSession of the last one")
		assert.EqualValues(t, 1, p.Stats().Timeouts)
	})
}
