package pool_test

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// rules_slots_test.go tests that an ended lease harms nobody.

func TestEndedLeaseSaysSo(t *testing.T) {
	const conned = "pool: Lease.Conn after the lease was ended by Release, Discard or Hijack"
	for name, end := range ends {
		bubble(t, name, func(t *testing.T) {
			_, p := openFake(t, pool.Config{})
			l := acquire(t, p)
			end(l)
			assert.PanicsWithValue(t, conned, func() { l.Conn() })
			assert.PanicsWithValue(t, "pool: Lease.Hijack after the lease was ended", func() { l.Hijack() })
		})
	}
	var zero pool.Lease[*conn]
	zero.Release()
	zero.Discard(io.EOF)
	assert.PanicsWithValue(t, conned, func() { zero.Conn() })
	assert.PanicsWithValue(t, "pool: Lease.Hijack of the zero lease", func() { zero.Hijack() })
}

// A connection that killed its lease may not be the only dead one.
func TestDiscardOfADeadConnectionPutsTheOthersUnderSuspicion(t *testing.T) {
	for name, tt := range map[string]struct {
		err   error
		pings int
	}{
		"dead":                      {io.EOF, 1},
		"a protocol error":          {errScripted, 0},
		"no error":                  {nil, 0},
		"the holder's own deadline": {pool.ErrTimeout, 0},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 3})
			leases := acquireN(t, p, 3)
			releaseAll(leases[1:])
			leases[0].Discard(tt.err)
			acquire(t, p).Release()
			assert.Equal(t, tt.pings, f.Counts().Pings)
		})
	}
}

func TestPoolForgetsAHijackedConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1, KeepAlive: time.Second, MaxLifetime: time.Minute})
		l := acquire(t, p)
		p.Reset() // which it outlives
		c := l.Hijack()
		s := p.Stats()
		assert.Equal(t, pool.Stats{Gauges: pool.Gauges{MaxOpen: 1, Limit: 1}, Acquires: 1, Hijacked: 1, Connects: 1, Waits: 1}, s)

		start(t.Context(), p).wantLease(t).Release() // its slot is free
		advance(time.Hour)
		p.Reset()
		require.NoError(t, p.Resize(0))
		require.NoError(t, p.Close())
		advance(time.Hour)
		assert.NoError(t, c.Use())
		assert.Equal(t, []*conn{c}, f.Conns())
		assert.NoError(t, c.Close())
	})
}

func TestLeaseGivesTheDriversConnectionAsC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		p := open[interface{ Use() error }](t, f, pool.Config{})
		l := acquire(t, p)
		assert.Same(t, f.Conns()[0], l.Conn())
		l.Release()
	})
}

func TestConnectionsThatAreNotACFailForGood(t *testing.T) {
	bubble(t, "another type", func(t *testing.T) {
		wantNoC[*conn](t, drivertest.Bare, "the driver's connection is a *drivertest.BareConn, not a *drivertest.FakeConn: open the pool for the type that the driver returns")
	})
	bubble(t, "a type without the interface", func(t *testing.T) {
		wantNoC[driver.Pinger](t, drivertest.Bare, "the driver's connection is a *drivertest.BareConn, not a driver.Pinger: open the pool for the type that the driver returns")
	})
	bubble(t, "nothing", func(t *testing.T) {
		wantNoC[*conn](t, func(*conn) driver.Conn { return nil }, "the driver returned neither a connection nor an error")
	})
}

// wantNoC fails t unless Acquire fails for good with the error text, in a pool of
// C whose driver returns what wrap makes.
func wantNoC[C any](t *testing.T, wrap func(*conn) driver.Conn, text string) {
	f := &drivertest.Fake{Wrap: wrap}
	e := start(t.Context(), open[C](t, f, pool.Config{})).wantError(t, nil)
	assert.EqualError(t, e.Cause, text)
	assert.True(t, driver.IsPermanent(e))
}
