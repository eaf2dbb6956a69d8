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

// Connections that died while nobody looked.

func TestHalfOpenPeerCostsNoMoreThanPingTimeout(t *testing.T) {
	const size = 5
	for name, tt := range map[string]struct {
		cfg  pool.Config
		ping drivertest.Step
		most time.Duration
	}{
		"by default":                {pool.Config{}, drivertest.Hang, time.Second},
		"as configured":             {pool.Config{PingTimeout: 200 * time.Millisecond}, drivertest.Hang, 200 * time.Millisecond},
		"Ping obeys nobody":         {pool.Config{}, stall(time.Minute), 1100 * time.Millisecond},
		"with room for new ones":    {pool.Config{MaxOpen: 2 * size}, drivertest.Hang, time.Second},
		"where each use is checked": {pool.Config{ValidateAfter: 1}, drivertest.Hang, time.Second},
	} {
		bubble(t, name, func(t *testing.T) {
			if tt.cfg.MaxOpen == 0 {
				tt.cfg.MaxOpen = size
			}
			f, p := openFake(t, tt.cfg)
			fill(t, p, size)
			advance(time.Minute)
			f.Always(drivertest.Ping, tt.ping)
			f.Always(drivertest.ResetSession, drivertest.Hang)
			began := time.Now()
			l := acquire(t, p)
			assert.LessOrEqual(t, time.Since(began), tt.most)
			assert.Greater(t, l.Conn().ID, size, "a new connection")
			l.Release()
			f.Always(drivertest.Ping, nil)
			f.Always(drivertest.ResetSession, nil)
			advance(2 * time.Minute)
		})
	}

	bubble(t, "nor more than the caller's time", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1})
		fill(t, p, 1)
		advance(time.Minute)
		f.Always(drivertest.Ping, drivertest.Hang)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err := p.Acquire(ctx)
		wantAcquireError(t, err, context.DeadlineExceeded)
		assert.Equal(t, 300*time.Millisecond, time.Since(began))
	})

	// No check is due, so that ResetSession finds it out. One after the other
	// would take 5 seconds.
	bubble(t, "for all of them, in ResetSession", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: size})
		fill(t, p, size)
		f.Always(drivertest.Ping, drivertest.Hang)
		f.Always(drivertest.ResetSession, drivertest.Hang)
		began := time.Now()
		l := acquire(t, p)
		assert.LessOrEqual(t, time.Since(began), 2*time.Second)
		assert.Greater(t, l.Conn().ID, size)
		l.Release()
	})

	bubble(t, "in ResetSession", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1, PingTimeout: 300 * time.Millisecond})
		fill(t, p, 1)
		f.Always(drivertest.ResetSession, drivertest.Hang)
		began := time.Now()
		l := acquire(t, p)
		assert.Equal(t, 300*time.Millisecond, time.Since(began))
		assert.Equal(t, 2, l.Conn().ID)
		l.Release()
	})
}

func TestPoolFullOfDeadConnectionsSucceedsInOneCall(t *testing.T) {
	const size = 10
	for name, tt := range map[string]struct {
		idle   time.Duration
		spares bool // which nobody has used yet
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
				var users [2 * size]*caller[*conn]
				for i := range callers {
					users[i] = start(t.Context(), p)
				}
				for i := range callers {
					l := users[i].wantLease(t)
					assert.NoError(t, l.Conn().Use())
					l.Release()
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

	bubble(t, "and the server is gone", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: size})
		fill(t, p, size)
		f.Down(errScripted)
		e := start(t.Context(), p).wantError(t, errScripted)
		assert.NotErrorIs(t, e, driver.ErrBadConn, "the caller has no use for a bad connection of the pool's")
	})
}

// database/sql hands out a connection whose ResetSession failed.
func TestFailedResetIsNotIgnored(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  pool.Config
		step drivertest.Step
	}{
		"ResetSession": {step: drivertest.Fail(errScripted)},
		"OnAcquire": {cfg: pool.Config{OnAcquire: func(_ context.Context, c driver.Conn) error {
			if c.(*conn).ID == 1 && c.(*conn).Uses() > 1 {
				return errScripted
			}
			return nil
		}}},
	} {
		bubble(t, name+" fails", func(t *testing.T) {
			var why error
			tt.cfg.OnClose = func(_ driver.Conn, reason error) { why = reason }
			f, p := openFake(t, tt.cfg)
			require.NoError(t, p.Do(t.Context(), func(_ context.Context, c *conn) error { return c.Use() }))
			f.Next(drivertest.ResetSession, 1, tt.step)
			_, err := p.Acquire(t.Context())
			wantAcquireError(t, err, errScripted)
			synctest.Wait()
			assert.ErrorIs(t, why, errScripted)
			assert.Zero(t, f.Counts().Open)
			l := acquire(t, p)
			assert.Equal(t, 2, l.Conn().ID)
			l.Release()
		})
	}

	bubble(t, "of a dead connection the next is tried", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 3})
		fill(t, p, 3)
		f.Next(drivertest.ResetSession, 2, drivertest.Fail(driver.ErrBadConn))
		l := start(t.Context(), p).wantLease(t)
		assert.NoError(t, l.Conn().Use())
		assert.Equal(t, 3, f.Counts().Resets)
		assert.Equal(t, 3, f.Counts().Connects)
		l.Release()
	})

	// Else a hook that calls each connection bad would keep the pool dialing.
	bubble(t, "of a new connection the caller is told", func(t *testing.T) {
		f, p := openFake(t, pool.Config{OnAcquire: func(context.Context, driver.Conn) error { return driver.ErrBadConn }})
		start(t.Context(), p).wantError(t, driver.ErrBadConn)
		assert.Equal(t, 1, f.Counts().Connects)
		assert.Zero(t, f.Counts().Open)
	})

	bubble(t, "by the caller's own context", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2})
		fill(t, p, 2)
		f.Always(drivertest.ResetSession, drivertest.Hang)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		c := start(ctx, p)
		advance(100 * time.Millisecond)
		c.wantError(t, context.DeadlineExceeded)
		assert.Equal(t, 1, f.Counts().Resets, "nobody is there to try the next for")
	})
}
