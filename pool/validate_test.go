package pool_test

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// One dead connection puts all in doubt, and each that is found then does the
// same; but none is pinged again for it, and no new one.
func TestDoubtPingsNoConnectionTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, forever(pool.Config{MaxOpen: 60, MinIdle: 60}))
		f.Always(drivertest.Connect, drivertest.Delay(time.Millisecond))
		require.NoError(t, p.Ready(t.Context()))
		advance(10 * time.Second) // all want a check before use
		pings := logPings(f, func(ctx context.Context, c *conn) error {
			if c.ID <= 20 { // these are dead, which shows one after the other
				drivertest.Delay(time.Duration(c.ID)*10*time.Millisecond)(ctx, c)
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
			assert.LessOrEqual(t, id, 60, "a new one")
		}
		assert.Equal(t, 60, p.Stats().Idle)
		assert.Equal(t, 20, f.Counts().Closes)
	})
}

// In a large pool, no more than so many are pinged at once for that.
func TestChecksInDoubtAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, forever(pool.Config{MaxOpen: 200, MinIdle: 200, MaxConnecting: 200}))
		require.NoError(t, p.Ready(t.Context()))
		advance(10 * time.Second)
		f.Next(drivertest.Ping, 1, drivertest.Fail(errScripted))
		f.Always(drivertest.Ping, drivertest.Delay(time.Second/2))
		acquire(t, p).Release()
		advance(time.Second)
		assert.Equal(t, 1+64+1, f.Counts().Pings, "and one more for the caller")
		assert.Equal(t, 200, p.Stats().Idle)
	})
}

func TestFreshConnectionIsNotCheckedBeforeUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		for range 100 {
			acquire(t, p).Release()
			advance(700 * time.Millisecond)
		}
		assert.Zero(t, f.Counts().Pings)
	})
}

func TestConnectionIdleForLongerThanValidateAfterIsCheckedBeforeUse(t *testing.T) {
	for name, tt := range map[string]struct{ validateAfter, idle time.Duration }{
		"default":     {0, 1001 * time.Millisecond},
		"set":         {10 * time.Second, 10001 * time.Millisecond},
		"much longer": {10 * time.Second, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := openFake(t, pool.Config{ValidateAfter: tt.validateAfter})
				fill(t, p, 1)
				for i := range 20 {
					advance(tt.idle + time.Duration(i)*37*time.Millisecond)
					acquire(t, p).Release()
					assert.Equal(t, i+1, f.Counts().Pings)
				}
				assert.Equal(t, 1, f.Counts().Connects)
			})
		})
	}
}

func TestTinyValidateAfterChecksBeforeEveryUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1, ValidateAfter: 1})
		acquire(t, p).Release()
		require.Zero(t, f.Counts().Pings, "a new one is known to live")
		for i := range 20 {
			acquire(t, p).Release()
			assert.Equal(t, i+1, f.Counts().Pings)
		}
	})
}

func TestNegativeValidateAfterNeverChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, forever(pool.Config{ValidateAfter: -1}))
		for range 10 {
			acquire(t, p).Release()
			advance(time.Hour)
		}
		assert.Zero(t, f.Counts().Pings)
		assert.Equal(t, 1, f.Counts().Connects)
	})
}

// What can't be pinged is used as it is.
func TestConnectionWithoutPingIsNeverChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Wrap = drivertest.Bare
		p := open[*drivertest.BareConn](t, f, forever(pool.Config{ValidateAfter: 1, KeepAlive: time.Second}))
		for range 10 {
			acquire(t, p).Release()
			advance(time.Minute)
		}
		assert.Zero(t, f.Counts().Pings)
		assert.Equal(t, 1, f.Counts().Connects)
	})
}

func TestTinyValidateAfterChecksWhatIsHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1, ValidateAfter: 1})
		l := acquire(t, p)
		callers := startN(t.Context(), p, 3)
		for i, c := range callers {
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

// As after a Ping whose answer brought more than was asked for.
func TestConnectionThatIsNotValidAfterItsPingIsNotHandedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1})
		fill(t, p, 1)
		advance(time.Minute)
		f.Next(drivertest.IsValid, 1, drivertest.Fail(errScripted))
		l := acquire(t, p)
		assert.Equal(t, 2, l.Conn().ID)
		l.Release()
		assert.EqualValues(t, 1, p.Stats().PingFailures)
	})
}
