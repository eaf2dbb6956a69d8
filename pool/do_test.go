package pool_test

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

func TestDoAndCallReturnTheErrorUnchanged(t *testing.T) {
	bubble(t, "of the function", func(t *testing.T) {
		_, p := openFake(t, pool.Config{})
		type key struct{}
		ctx := context.WithValue(t.Context(), key{}, 1)
		err := p.Do(ctx, func(got context.Context, c *conn) error {
			assert.Equal(t, ctx, got)
			assert.Equal(t, 1, p.Stats().Leased)
			return errScripted
		})
		assert.Equal(t, errScripted, err)
		id, err := pool.Call(ctx, p, func(_ context.Context, c *conn) (int, error) { return c.ID, c.Use() })
		assert.Equal(t, 1, id)
		assert.NoError(t, err)
		id, err = pool.Call(ctx, p, func(_ context.Context, c *conn) (int, error) { return 7, io.EOF })
		assert.Equal(t, 7, id, "the result beside the error")
		assert.Equal(t, io.EOF, err)
	})

	bubble(t, "of Acquire", func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		f.Always(drivertest.Connect, drivertest.Fail(errScripted))
		id, err := pool.Call(t.Context(), p, func(context.Context, *conn) (int, error) {
			t.Error("called without a connection")
			return 7, nil
		})
		assert.Zero(t, id)
		wantAcquireError(t, err, errScripted)
	})
}

// countingBinder counts its binds.
type countingBinder struct {
	*conn
	binds, unbinds int
}

func (b *countingBinder) Bind(context.Context) (unbind func()) {
	b.binds++
	return func() { b.unbinds++ }
}

func TestDoBindsTheConnectionToItsContext(t *testing.T) {
	bubble(t, "if that can end", func(t *testing.T) {
		f := drivertest.NewFake(t)
		var b *countingBinder
		f.Wrap = func(c *conn) driver.Conn { b = &countingBinder{conn: c}; return b }
		p := open[*countingBinder](t, f, pool.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		check := func(binds, unbinds int) func(context.Context, *countingBinder) error {
			return func(_ context.Context, c *countingBinder) error {
				assert.Equal(t, [2]int{binds, unbinds}, [2]int{c.binds, c.unbinds})
				return errScripted
			}
		}
		p.Do(ctx, check(1, 0))
		p.Do(context.Background(), check(1, 1))
		p.Do(ctx, check(2, 1))
		assert.Equal(t, [2]int{2, 2}, [2]int{b.binds, b.unbinds})
		apart(func() {
			p.Do(ctx, func(context.Context, *countingBinder) error { panic("user") })
		})
		assert.Equal(t, [2]int{3, 3}, [2]int{b.binds, b.unbinds}, "a panic unbinds as well")
	})

	// Use has no context of its own.
	bubble(t, "so that its end ends the I/O", func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Wrap = drivertest.Bound
		f.Always(drivertest.Use, drivertest.Hang)
		p := open[*drivertest.BoundConn](t, f, pool.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err := p.Do(ctx, func(_ context.Context, c *drivertest.BoundConn) error { return c.Use() })
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(began))
	})
}

func TestPingAsksThePeer(t *testing.T) {
	bubble(t, "that answers", func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		assert.NoError(t, p.Ping(t.Context()))
		assert.NoError(t, p.Ping(t.Context()))
		assert.Equal(t, 2, f.Counts().Pings)
		assert.Equal(t, 1, f.Counts().Open)
	})

	bubble(t, "that hangs", func(t *testing.T) {
		f, p := openFake(t, pool.Config{Name: "depot", PingTimeout: 300 * time.Millisecond})
		f.Always(drivertest.Ping, drivertest.Hang)
		began := time.Now()
		err := p.Ping(t.Context())
		assert.Equal(t, 300*time.Millisecond, time.Since(began))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.EqualError(t, err, `pool "depot": ping: context deadline exceeded`)
		synctest.Wait()
		assert.Zero(t, f.Counts().Open)
	})

	bubble(t, "that refuses", func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		f.Always(drivertest.Ping, drivertest.Fail(errScripted))
		assert.ErrorIs(t, p.Ping(t.Context()), errScripted)
		synctest.Wait()
		assert.Zero(t, f.Counts().Open)
		assert.Equal(t, int64(1), p.Stats().Closed.Bad, "any error of Ping discards the connection")
	})

	bubble(t, "if the connection can do it", func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Wrap = drivertest.Bare
		p := open[*drivertest.BareConn](t, f, pool.Config{})
		assert.NoError(t, p.Ping(t.Context()), "connecting must do")
		assert.Equal(t, 1, p.Stats().Idle)
	})

	// A dead connection in the pool says nothing about the server.
	bubble(t, "with the next connection where one is dead", func(t *testing.T) {
		f, p := openFake(t, pool.Config{ValidateAfter: -1})
		fill(t, p, 1)
		f.Next(drivertest.Ping, 1, func(_ context.Context, c *conn) error { c.Kill(); return nil })
		assert.NoError(t, p.Ping(t.Context()))
		assert.Equal(t, 2, f.Counts().Connected)
		f.Down(errScripted)
		wantAcquireError(t, p.Ping(t.Context()), errScripted)
	})
}
