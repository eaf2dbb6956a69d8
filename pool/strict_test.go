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

// strictGate is a StrictGate whose permits are all lost at the same time.
type strictGate struct {
	lost  chan struct{}
	check error // the result of the function from Strict
}

func (g *strictGate) Enter(context.Context, pool.Member) (pool.Permit, error) {
	lost := g.lost
	return &brokenPermit{lost: func() <-chan struct{} { return lost }}, nil
}
func (g *strictGate) TryEnter(pool.Member) (pool.Permit, bool) { return nil, false }
func (g *strictGate) Strict() func() error                     { return func() error { return g.check } }

func TestAStrictGateClosesConnectionsInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := &strictGate{lost: make(chan struct{})}
		var why reasons
		f, p := openFake(t, pool.Config{MaxOpen: 2, Gate: gate, OnClose: why.add})
		l := acquire(t, p)
		close(gate.lost)
		synctest.Wait()
		assert.Zero(t, f.Counts().Open)
		why.want(t, 1, pool.ErrPermitLost)
		assert.NotPanics(t, func() { l.Conn() }, "its holder does not know")
		gate.lost = make(chan struct{})
		others := acquireN(t, p, 2)
		assert.True(t, l.Conn().IsClosed(), "Conn still returns the closed connection, not the next one in the slot")
		l.Release()
		l.Release()
		releaseAll(others)
		wantServes(t, p, 2)
	})
}

func TestALostPermitEndsItsConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := &strictGate{lost: make(chan struct{})}
		f, p := openFake(t, pool.Config{Gate: gate})
		f.Next(drivertest.Connect, 1, drivertest.Hang)
		c := start(t.Context(), p)
		c.wantWaiting(t)
		close(gate.lost)
		err := c.wantError(t, pool.ErrPermitLost)
		assert.NotErrorIs(t, err, context.Canceled, "the caller has canceled nothing")
		assert.Zero(t, f.Counts().Connecting)
		gate.lost = make(chan struct{})
		began := time.Now()
		acquire(t, p).Release()
		assert.Less(t, time.Since(began), time.Second)
	})
}

func TestAStrictGateIsAskedBeforeEachUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, hooked := &strictGate{}, 0
		f, p := openFake(t, pool.Config{MaxOpen: 1, Gate: gate, OnAcquire: func(context.Context, driver.Conn, pool.Info) error {
			hooked++
			return nil
		}})
		acquire(t, p).Release()
		gate.check = driver.ErrBadConn
		_, err := p.TryAcquire()
		require.ErrorIs(t, err, pool.ErrNoneIdle)
		gate.check = nil
		acquire(t, p).Release()
		assert.Equal(t, 2, f.Counts().Connects)
		assert.Equal(t, 2, hooked)
	})
}
