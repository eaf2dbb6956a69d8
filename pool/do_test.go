package pool_test

import (
	"context"
	"errors"
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

func TestDoReturnsTheErrorUnchanged(t *testing.T) {
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
		assert.NoError(t, p.Do(ctx, func(_ context.Context, c *conn) error { return c.Use() }))
		assert.Equal(t, 1, p.Stats().Idle)
	})

	bubble(t, "of Acquire", func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		f.Always(drivertest.Connect, drivertest.Fail(errScripted))
		err := p.Do(t.Context(), func(context.Context, *conn) error {
			t.Error("called without a connection")
			return nil
		})
		wantAcquireError(t, err, errScripted)
	})
}

func TestCallReturnsTheValue(t *testing.T) {
	bubble(t, "and the error", func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		id, err := pool.Call(t.Context(), p, func(_ context.Context, c *conn) (int, error) { return c.ID, nil })
		assert.Equal(t, 1, id)
		assert.NoError(t, err)
		id, err = pool.Call(t.Context(), p, func(_ context.Context, c *conn) (int, error) { return 7, io.EOF })
		assert.Equal(t, 7, id, "what came before the error")
		assert.Equal(t, io.EOF, err)
		synctest.Wait()
		assert.Zero(t, f.Counts().Open)
		f.Always(drivertest.Connect, drivertest.Fail(errScripted))
		id, err = pool.Call(t.Context(), p, func(context.Context, *conn) (int, error) { return 7, nil })
		assert.Zero(t, id)
		wantAcquireError(t, err, errScripted)
	})
}

func TestBadConnSaysWhatToDiscard(t *testing.T) {
	for name, tt := range map[string]struct {
		badConn func(error) bool
		err     error
		kept    bool
	}{
		"by default, no error":              {nil, nil, true},
		"by default, an error of protocol":  {nil, errScripted, true},
		"by default, ErrBadConn":            {nil, driver.ErrBadConn, false},
		"by default, end of stream":         {nil, io.ErrUnexpectedEOF, false},
		"as configured, an error it is for": {func(err error) bool { return errors.Is(err, errScripted) }, errScripted, false},
		"as configured, another":            {func(err error) bool { return errors.Is(err, errScripted) }, io.EOF, true},
		"as configured, no error":           {func(error) bool { return true }, nil, true},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{BadConn: tt.badConn})
			err := p.Do(t.Context(), func(context.Context, *conn) error { return tt.err })
			assert.Equal(t, tt.err, err)
			synctest.Wait()
			assert.Equal(t, tt.kept, f.Counts().Open == 1)
		})
	}
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
	bubble(t, "where that can end", func(t *testing.T) {
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

	// Use knows no context of its own.
	bubble(t, "so that the end of it ends the I/O", func(t *testing.T) {
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

func TestTryAcquireTakesOnlyWhatIsReady(t *testing.T) {
	bubble(t, "idle", func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1})
		fill(t, p, 1)
		l, ok := p.TryAcquire()
		require.True(t, ok)
		assert.NoError(t, l.Conn().Use())
		_, ok = p.TryAcquire()
		assert.False(t, ok, "all are in use")
		l.Release()
	})

	bubble(t, "a new connection, when it is there", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2})
		f.Always(drivertest.Connect, drivertest.Delay(time.Second))
		for range 5 {
			_, ok := p.TryAcquire()
			assert.False(t, ok)
			synctest.Wait()
		}
		assert.Equal(t, 1, f.Counts().Connects, "one call asks for one, the others wait for it")
		advance(time.Second)
		l, ok := p.TryAcquire()
		require.True(t, ok)
		l.Release()
	})

	bubble(t, "one that wants a check, after that", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 4})
		fill(t, p, 3)
		advance(time.Minute)
		f.Always(drivertest.Ping, drivertest.Delay(100*time.Millisecond))
		for range 5 {
			_, ok := p.TryAcquire()
			assert.False(t, ok)
			synctest.Wait()
		}
		assert.Equal(t, 1, f.Counts().Pings, "one call asks for one, the others wait for it")
		assert.Equal(t, 3, f.Counts().Connects)
		advance(100 * time.Millisecond)
		l, ok := p.TryAcquire()
		require.True(t, ok)
		l.Release()
	})

	bubble(t, "the next where one is dead", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 3})
		fill(t, p, 3)
		f.Conns()[0].Kill()
		f.Conns()[1].Kill()
		for range 3 { // a dead one puts the others under suspicion
			if l, ok := p.TryAcquire(); ok {
				assert.NoError(t, l.Conn().Use())
				l.Release()
				return
			}
			synctest.Wait()
		}
		t.Error("there is one alive")
	})

	bubble(t, "and none in the backoff", func(t *testing.T) {
		f, p := openFake(t, pool.Config{Backoff: pool.Backoff{Initial: time.Second, Jitter: -1}})
		f.Always(drivertest.Connect, drivertest.Fail(errScripted))
		for range 100 {
			_, ok := p.TryAcquire()
			assert.False(t, ok)
			advance(5 * time.Millisecond)
		}
		assert.Equal(t, 1, f.Counts().Connects)
	})
}

func TestPingAsksThePeer(t *testing.T) {
	bubble(t, "who answers", func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		assert.NoError(t, p.Ping(t.Context()))
		assert.NoError(t, p.Ping(t.Context()))
		assert.Equal(t, 2, f.Counts().Pings)
		assert.Equal(t, 1, f.Counts().Open)
	})

	bubble(t, "who does not", func(t *testing.T) {
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

	bubble(t, "who refuses", func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		f.Always(drivertest.Ping, drivertest.Fail(errScripted))
		assert.ErrorIs(t, p.Ping(t.Context()), errScripted)
		synctest.Wait()
		assert.Zero(t, f.Counts().Open)
		assert.Equal(t, int64(1), p.Stats().Closed.Bad, "any error of Ping means that the connection is of no more use")
	})

	bubble(t, "who can't be asked", func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Wrap = drivertest.Bare
		p := open[*drivertest.BareConn](t, f, pool.Config{})
		assert.NoError(t, p.Ping(t.Context()), "it can be connected to")
		assert.Equal(t, 1, p.Stats().Idle)
	})

	bubble(t, "who can't be reached", func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		f.Always(drivertest.Connect, drivertest.Fail(errScripted))
		wantAcquireError(t, p.Ping(t.Context()), errScripted)
	})
}

// One corpse in the pool is no news of the server.
func TestPingOfThePoolPassesOverADeadConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		p := open[*conn](t, f, pool.Config{ValidateAfter: -1})
		acquire(t, p).Release()
		f.Always(drivertest.ResetSession, nil)
		f.Next(drivertest.Ping, 1, func(_ context.Context, c *conn) error { c.Kill(); return nil })
		assert.NoError(t, p.Ping(t.Context()))
		assert.Equal(t, 2, f.Counts().Connected)

		f.Down(errScripted)
		assert.ErrorIs(t, p.Ping(t.Context()), errScripted)
	})
}
