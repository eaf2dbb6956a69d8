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

func TestZeroLeaseHasEnded(t *testing.T) {
	var l pool.Lease[*conn]
	l.Release()
	l.Discard(io.EOF)
	assert.PanicsWithValue(t, "pool: Lease.Conn after the lease was ended by Release, Discard or Hijack", func() { l.Conn() })
	assert.PanicsWithValue(t, "pool: Lease.Hijack of the zero lease", func() { l.Hijack() })
}

func TestEndedLeaseSaysSo(t *testing.T) {
	for name, end := range ends {
		bubble(t, name, func(t *testing.T) {
			_, p := openFake(t, pool.Config{})
			l := acquire(t, p)
			end(l)
			assert.PanicsWithValue(t, "pool: Lease.Conn after the lease was ended by Release, Discard or Hijack", func() { l.Conn() })
			assert.PanicsWithValue(t, "pool: Lease.Hijack after the lease was ended", func() { l.Hijack() })
			l.Release()
			l.Discard(nil)
		})
	}
}

// Release in a defer, as everybody writes it, must leave alone what Discard and
// Hijack have done.
func TestLeaseEndsOnce(t *testing.T) {
	for first, end := range ends {
		for second, again := range ends {
			if second == "Hijack" {
				continue // panics
			}
			bubble(t, first+" and "+second, func(t *testing.T) {
				f, p := openFake(t, pool.Config{MaxOpen: 1})
				l := acquire(t, p)
				end(l)
				again(l)
				again(l)
				synctest.Wait()
				open := 0
				if first == "Release" {
					open = 1
				}
				assert.Equal(t, open, p.Stats().Open)
				assert.Equal(t, 1-open, f.Counts().Closes)
				assert.Equal(t, int64(1), p.Stats().Acquires)
				wantAllSlots(t, f, p, 1)
			})
		}
	}
}

func TestLeaseOutlivesTheMarkThatItsConnectionIsToGo(t *testing.T) {
	bubble(t, "reset", func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		l := acquire(t, p)
		p.Reset()
		assert.NoError(t, l.Conn().Use())
		c := l.Hijack()
		assert.NoError(t, c.Use())
		assert.Zero(t, p.Stats().Open)
		assert.Equal(t, 1, f.Counts().Open)
		assert.NoError(t, c.Close())
	})
}

func TestDiscardTellsOnCloseWhy(t *testing.T) {
	bubble(t, "an error", func(t *testing.T) {
		var why reasons
		_, p := openFake(t, pool.Config{OnClose: why.add})
		acquire(t, p).Discard(io.ErrUnexpectedEOF)
		why.want(t, 1, io.ErrUnexpectedEOF)
		assert.Equal(t, int64(1), p.Stats().Closed.Bad)
	})

	bubble(t, "no error", func(t *testing.T) {
		var why error
		_, p := openFake(t, pool.Config{OnClose: func(_ driver.Conn, reason error) { why = reason }})
		acquire(t, p).Discard(nil)
		synctest.Wait()
		assert.EqualError(t, why, "pool: discarded by its holder")
		assert.Equal(t, int64(1), p.Stats().Closed.Bad)
	})
}

// What killed one connection may have killed the others.
func TestDiscardOfADeadConnectionPutsTheOthersUnderSuspicion(t *testing.T) {
	for name, tt := range map[string]struct {
		err   error
		pings int
	}{
		"dead":                 {io.EOF, 1},
		"an error of protocol": {errScripted, 0},
		"no error":             {nil, 0},
		"the holder's own end": {pool.ErrTimeout, 0},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 3})
			leases := acquireN(t, p, 3)
			releaseAll(leases[1:])
			leases[0].Discard(tt.err)
			l := acquire(t, p)
			assert.Equal(t, tt.pings, f.Counts().Pings)
			l.Release()
		})
	}
}

func TestHijackedConnectionIsThePoolsNoMore(t *testing.T) {
	bubble(t, "for good", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1, KeepAlive: time.Second, MaxLifetime: time.Minute})
		c := acquire(t, p).Hijack()
		assert.Equal(t, pool.Stats{MaxOpen: 1, Acquires: 1, Hijacked: 1}, zeroed(p.Stats()))

		start(t.Context(), p).wantLease(t).Release() // its slot is free
		advance(time.Hour)
		p.Reset()
		require.NoError(t, p.Resize(0))
		require.NoError(t, p.Close())
		advance(time.Hour)
		assert.False(t, c.IsClosed())
		assert.NoError(t, c.Use())
		assert.Equal(t, []*conn{c}, f.Conns())
		assert.NoError(t, c.Close())
	})
}

// zeroed is s without what every connection leaves in it.
func zeroed(s pool.Stats) pool.Stats {
	s.Connects, s.ConnectTime = 0, 0
	s.Waits, s.WaitTime = 0, 0
	return s
}

// Copies are the same lease: they end together, and may be kept anywhere.
func TestCopiesAreTheSameLease(t *testing.T) {
	bubble(t, "both ways", func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1})
		l := acquire(t, p)
		twin := l
		assert.Equal(t, l, twin)
		assert.Same(t, l.Conn(), twin.Conn())
		twin.Release()
		assert.Panics(t, func() { l.Conn() })

		next := acquire(t, p)
		assert.NotEqual(t, l, next, "the same connection, another lease")
		l.Discard(io.EOF)
		assert.NoError(t, next.Conn().Use())
		next.Release()
	})
}

// What a pool of C hands out is the driver's connection itself.
func TestLeaseGivesTheConnectionAsC(t *testing.T) {
	type user interface{ Use() error }
	bubble(t, "an interface", func(t *testing.T) {
		f := drivertest.NewFake(t)
		p := open[user](t, f, pool.Config{})
		l := acquire(t, p)
		assert.Same(t, f.Conns()[0], l.Conn())
		l.Release()
	})

	bubble(t, "a type that it is not", func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Wrap = drivertest.Bare
		p := open[*conn](t, f, pool.Config{Name: "depot"})
		e := start(t.Context(), p).wantError(t, nil)
		assert.EqualError(t, e.Cause, "the driver's connection is a *drivertest.BareConn, which is no *drivertest.FakeConn: open the pool for what the driver returns")
		assert.True(t, driver.IsPermanent(e))
		assert.Zero(t, f.Counts().Open)
	})

	bubble(t, "an interface that it is not", func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Wrap = drivertest.Bare
		p := open[driver.Pinger](t, f, pool.Config{})
		e := start(t.Context(), p).wantError(t, nil)
		assert.ErrorContains(t, e, "is a *drivertest.BareConn, which is no driver.Pinger")
	})

	bubble(t, "nothing", func(t *testing.T) {
		f := &drivertest.Fake{Wrap: func(*conn) driver.Conn { return nil }}
		p := open[*conn](t, f, pool.Config{})
		e := start(t.Context(), p).wantError(t, nil)
		assert.EqualError(t, e.Cause, "the driver returned neither a connection nor an error")
		assert.True(t, driver.IsPermanent(e))
	})
}
