package pool_test

import (
	"context"
	"io"
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

func TestConnectionIdleForLongerThanValidateAfterIsCheckedBeforeUse(t *testing.T) {
	const never = -1
	for name, tt := range map[string]struct {
		validateAfter, idle time.Duration
		pings               int // in 20 uses
		wrap                func(*conn) driver.Conn
	}{
		"default, in time":       {0, 700 * time.Millisecond, 0, nil},
		"default, late":          {0, 1001 * time.Millisecond, 20, nil},
		"set":                    {10 * time.Second, 10001 * time.Millisecond, 20, nil},
		"set, and much later":    {10 * time.Second, time.Minute, 20, nil},
		"tiny means every use":   {1, 0, 20, nil},
		"negative means never":   {never, time.Hour, 0, nil},
		"no Ping means no check": {1, time.Minute, 0, drivertest.Bare},
	} {
		bubble(t, name, func(t *testing.T) {
			f := drivertest.NewFake(t)
			f.Wrap = tt.wrap
			p := open[driver.Conn](t, f, forever(pool.Config{MaxOpen: 1, ValidateAfter: tt.validateAfter}))
			acquire(t, p).Release()
			require.Zero(t, f.Counts().Pings, "a new connection needs no check")
			for i := range 20 {
				late := 0
				if tt.pings > 0 {
					late = i
				}
				advance(tt.idle + time.Duration(late)*37*time.Millisecond)
				acquire(t, p).Release()
			}
			assert.Equal(t, tt.pings, f.Counts().Pings)
			assert.Equal(t, 1, f.Counts().Connects)
		})
	}
}

func TestTinyValidateAfterChecksConnectionsHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1, ValidateAfter: 1})
		l := acquire(t, p)
		for i, c := range startN(t.Context(), p, 3) {
			c.wantWaiting(t)
			l.Release()
			l = c.wantLease(t)
			assert.Equal(t, i+1, f.Counts().Pings)
		}
		c := start(t.Context(), p)
		f.KillAll()
		l.Release()
		assert.Equal(t, 2, c.wantLease(t).Conn().ID)
		c.lease.Release()
	})
}

// The peer may send more than the answer to the Ping.
func TestConnectionThatIsInvalidAfterItsPingIsNotHandedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1})
		fill(t, p, 1)
		advance(time.Minute)
		f.Next(drivertest.IsValid, 1, drivertest.Fail(errScripted))
		assert.Equal(t, 2, acquire(t, p).Conn().ID)
		assert.EqualValues(t, 1, p.Stats().PingFailures)
	})
}

// One dead connection makes the pool check all others, and each further dead one
// could do so again. But no connection is pinged twice for that, and new ones are not
// pinged at all.
func TestSuspicionPingsNoConnectionTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, forever(pool.Config{MaxOpen: 60, MinIdle: 60}))
		f.Always(drivertest.Connect, drivertest.Delay(time.Millisecond))
		require.NoError(t, p.Ready(t.Context()))
		advance(10 * time.Second) // all need a check before use
		var n atomic.Int64
		pings := logPings(f, func(ctx context.Context, c *conn) error {
			if n := n.Add(1); n <= 20 { // these connections are dead, and fail one after the other
				drivertest.Delay(time.Duration(n)*10*time.Millisecond)(ctx, c)
				return io.EOF
			}
			return drivertest.Delay(time.Millisecond)(ctx, c)
		})
		for range 5 {
			acquire(t, p).Release()
		}
		advance(500 * time.Millisecond)
		for id, times := range pings.take() {
			assert.Len(t, times, 1, "connection %d", id)
			assert.LessOrEqual(t, id, 60, "a new connection was pinged")
		}
		assert.Equal(t, 60, p.Stats().Idle)
		assert.Equal(t, 20, f.Counts().Closes)
	})
}

func TestChecksOnSuspicionAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, forever(pool.Config{MaxOpen: 200, MinIdle: 200, MaxConnecting: 200}))
		require.NoError(t, p.Ready(t.Context()))
		advance(10 * time.Second)
		f.Next(drivertest.Ping, 1, drivertest.Fail(errScripted))
		f.Always(drivertest.Ping, drivertest.Delay(time.Second/2))
		acquire(t, p).Release()
		advance(time.Second)
		assert.Equal(t, 1+64+1, f.Counts().Pings, "the first and the last are for the caller")
		assert.Equal(t, 200, p.Stats().Idle)
	})
}

// connectFailed returns a pool with one idle connection. The last Connect of the pool
// failed with err some time ago.
func connectFailed(t *testing.T, cfg pool.Config, err error, ago time.Duration) (*drivertest.Fake, *pool.Pool[*conn]) {
	cfg.MaxOpen = 2
	f, p := openFake(t, cfg)
	l := acquire(t, p)
	f.Next(drivertest.Connect, 1, drivertest.Fail(err))
	c := start(t.Context(), p)
	if !cfg.FailFast {
		advance(4 * time.Second) // after that, waiters no longer count on l
	}
	c.wantError(t, errScripted)
	l.Release()
	advance(ago)
	return f, p
}

func TestCallerWhoseOnlyConnectionFailsItsCheck(t *testing.T) {
	wrong := driver.Permanent(errScripted)
	bubble(t, "gets a new attempt instead of an old permanent error", func(t *testing.T) {
		f, p := connectFailed(t, pool.Config{}, wrong, 2*time.Minute)
		require.NoError(t, p.Resize(1)) // so the attempt must follow the check
		f.KillAll()
		start(t.Context(), p).wantLease(t)
	})

	bubble(t, "waits for the attempt in progress instead", func(t *testing.T) {
		f, p := connectFailed(t, pool.Config{}, wrong, 2*time.Minute)
		f.KillAll()
		f.Next(drivertest.Connect, 1, drivertest.Delay(time.Second))
		c := start(t.Context(), p)
		c.wantWaiting(t)
		advance(time.Second)
		c.wantLease(t)
	})

	bubble(t, "fails fast in the backoff", func(t *testing.T) {
		f, p := connectFailed(t, pool.Config{FailFast: true, Backoff: pool.Backoff{Initial: 5 * time.Second}}, errScripted, 2*time.Second)
		f.KillAll()
		start(t.Context(), p).wantError(t, errScripted)
	})

	// The check passes, but by then the connection must be closed.
	bubble(t, "or that is to be closed, gets the connect error", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, Backoff: pool.Backoff{Initial: 5 * time.Second}})
		fill(t, p, 1)
		advance(2 * time.Second)
		f.Always(drivertest.Ping, drivertest.Delay(300*time.Millisecond))
		f.Always(drivertest.Connect, drivertest.Fail(errScripted))
		first := start(t.Context(), p)
		p.Reset()
		second := start(t.Context(), p)
		first.wantWaiting(t)
		second.wantWaiting(t) // although its own Connect failed
		advance(300 * time.Millisecond)
		first.wantError(t, errScripted)
		second.wantError(t, errScripted)
	})
}
