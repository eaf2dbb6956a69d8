package pool_test

import (
	"context"
	"io"
	"strings"
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
	const conned = "pool: Lease.Conn after the lease was ended by Release, End, Discard or Hijack"
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
	zero.End(errUnknown)
	zero.Discard(io.EOF)
	assert.PanicsWithValue(t, conned, func() { zero.Conn() })
	assert.PanicsWithValue(t, "pool: Lease.Hijack of the zero lease", func() { zero.Hijack() })
}

// A connection that died during its lease may not be the only dead one.
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
		p.Reset() // does not close it
		c := hijack(l)
		s := p.Stats()
		assert.Equal(t, pool.Stats{Gauges: pool.Gauges{MaxOpen: 1, Limit: 1}, Acquires: 1, Hijacked: 1, Connects: 1, Waits: 1}, s)

		start(t.Context(), p).wantLease(t).Release() // the slot is free
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

func TestLeaseBindMakesTheIOObeyAContext(t *testing.T) {
	bubble(t, "until unbind", func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Wrap = drivertest.Bound
		p := open[*drivertest.BoundConn](t, f, pool.Config{})
		l, err := p.Acquire(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		f.Always(drivertest.Use, drivertest.Hang)
		unbind := l.Bind(ctx)
		began := time.Now()
		assert.ErrorIs(t, l.Conn().Use(), context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(began))
		unbind()
		f.Always(drivertest.Use, nil)
		assert.NoError(t, l.Conn().Use(), "the context has ended, but no longer counts")
		l.Release()
		assert.Panics(t, func() { l.Bind(ctx) }, "the next holder may have the connection")
	})
	bubble(t, "if the driver supports it", func(t *testing.T) {
		_, p := openFake(t, pool.Config{})
		l := acquire(t, p)
		ctx, cancel := context.WithCancel(t.Context())
		unbind := l.Bind(ctx)
		cancel()
		assert.NoError(t, l.Conn().Use())
		unbind()
		l.Release()
	})
}

func TestConnectionsThatAreNotACFailPermanently(t *testing.T) {
	bubble(t, "another type", func(t *testing.T) {
		wantNoC[*conn](t, drivertest.Bare, "the driver's connection is a *drivertest.BareConn, not a *drivertest.FakeConn: open the pool for the type that the driver returns")
	})
	bubble(t, "a type without the interface", func(t *testing.T) {
		wantNoC[driver.Pinger](t, drivertest.Bare, "the driver's connection is a *drivertest.BareConn, not a driver.Pinger: method Ping is missing or has another type")
	})
	bubble(t, "a type whose method has another result", func(t *testing.T) {
		wantNoC[interface{ Use() string }](t, drivertest.Bare, "the driver's connection is a *drivertest.BareConn, not a interface { Use() string }: method Use is missing or has another type")
	})
	bubble(t, "a client of another type", func(t *testing.T) {
		wantNoC[*conn](t, func(c *conn) driver.Conn { return adapter{c} }, "the driver's connection is a string, not a *drivertest.FakeConn: open the pool for the type that the driver returns")
	})
	bubble(t, "a client that is nil", func(t *testing.T) {
		wantNoC[driver.Pinger](t, func(c *conn) driver.Conn { return clientless{c} }, "the driver's connection is a <nil>, not a driver.Pinger: open the pool for the type that the driver returns")
	})
	bubble(t, "nothing", func(t *testing.T) {
		wantNoC[*conn](t, func(*conn) driver.Conn { return nil }, "the driver returned neither a connection nor an error")
	})
}

// adapter is an Adapter whose client is a string.
type adapter struct{ driver.Conn }

func (adapter) Client() any { return "client" }

// clientless is an Adapter whose client is nil.
type clientless struct{ driver.Conn }

func (clientless) Client() any { return nil }

// wantNoC fails t unless Acquire fails permanently with the error text in a pool of C
// whose driver returns the connections made by wrap.
func wantNoC[C any](t *testing.T, wrap func(*conn) driver.Conn, text string) {
	f := &drivertest.Fake{Wrap: wrap}
	e := start(t.Context(), open[C](t, f, pool.Config{})).wantError(t, nil)
	assert.EqualError(t, e.Cause, text)
	assert.True(t, driver.IsPermanent(e))
	if strings.Contains(text, " not a ") {
		assert.Regexp(t, `^pool "\*drivertest.Fake": wrong type of connection after 0s: the driver's connection is a `, e.Error())
		assert.NotContains(t, e.Error(), "next attempt", "no attempt helps")
	}
}
