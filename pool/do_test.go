package pool_test

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/retry"
)

func TestDoAndCallReturnTheErrorUnchanged(t *testing.T) {
	bubble(t, "of the function", func(t *testing.T) {
		_, p := openFake(t, pool.Config{})
		type key struct{}
		ctx := context.WithValue(t.Context(), key{}, 1)
		err := p.Do(ctx, func(got context.Context, c *conn) error {
			assert.Equal(t, ctx, got)
			assert.Equal(t, 1, p.Stats().Leased)
			return answer{}
		})
		assert.Equal(t, answer{}, err)
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

func TestDoSaysThatItsContextEnded(t *testing.T) {
	reason := errors.New("shutting down")
	dial := &net.OpError{Op: "dial", Err: errUnknown}
	own := errors.Join(context.Canceled, reason)
	for name, tt := range map[string]struct {
		err, cause error // of the function, and of the context
		text       string
		unchanged  bool
	}{
		"hidden by a library": {err: errUnknown, text: "library: something went wrong (the context ended: context canceled)"},
		"with a cause":        {err: errUnknown, cause: reason, text: "library: something went wrong (the context ended: context canceled: shutting down)"},
		"with a cause that says it": {err: errUnknown, cause: fmt.Errorf("%w: by hand", context.Canceled),
			text: "library: something went wrong (the context ended: context canceled: by hand)"},
		"said by the I/O":              {err: os.ErrDeadlineExceeded, text: "i/o timeout (the context ended: context canceled)"},
		"said without the cause":       {err: context.Canceled, cause: reason, text: "context canceled (the context ended: context canceled: shutting down)"},
		"said by the cause alone":      {err: reason, cause: reason, text: "shutting down (the context ended: context canceled: shutting down)"},
		"said already":                 {err: fmt.Errorf("get: %w", context.Canceled), unchanged: true},
		"already said, with the cause": {err: own, cause: reason, unchanged: true},
		"permanent":                    {err: driver.Permanent(errUnknown), cause: fmt.Errorf("sibling: %w", driver.ErrBadConn)},
		"throttled":                    {err: driver.Throttled(errUnknown, time.Minute), cause: driver.Throttled(reason, time.Second)},
		"safe to retry":                {err: driver.ErrBadConn, cause: driver.Permanent(reason)},
		"caused by an error with a class": {err: errUnknown, cause: driver.Permanent(driver.Throttled(
			fmt.Errorf("sibling: %w and %w", driver.ErrBadConn, sqldriver.ErrBadConn), time.Hour))},
		"a failed dial": {err: dial},
	} {
		bubble(t, name, func(t *testing.T) {
			_, p := openFake(t, pool.Config{})
			ctx, cancel := context.WithCancelCause(t.Context())
			_, err := pool.Call(ctx, p, func(context.Context, *conn) (int, error) {
				cancel(tt.cause)
				return 0, tt.err
			})
			if tt.unchanged {
				assert.Equal(t, tt.err, err)
				return
			}
			assert.ErrorIs(t, err, tt.err)
			assert.ErrorIs(t, err, context.Canceled)
			assert.ErrorIs(t, err, context.Cause(ctx))
			if tt.text != "" {
				assert.EqualError(t, err, tt.text)
			}
			assert.Equal(t, driver.SafeToRetry(tt.err), driver.SafeToRetry(err), "SafeToRetry")
			assert.Equal(t, retry.Safe(tt.err), retry.Safe(err), "retry.Safe")
			assert.Equal(t, driver.IsPermanent(tt.err), driver.IsPermanent(err), "IsPermanent")
			pause, ok := driver.RetryAfter(tt.err)
			gotPause, gotOK := driver.RetryAfter(err)
			assert.Equal(t, pause, gotPause)
			assert.Equal(t, ok, gotOK)
			var want, got *net.OpError
			assert.Equal(t, errors.As(tt.err, &want), errors.As(err, &got))
			assert.Same(t, want, got)
		})
	}

	bubble(t, "by its deadline", func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Wrap = drivertest.Bound
		f.Always(drivertest.Use, drivertest.Hang)
		p := open[*drivertest.BoundConn](t, f, pool.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := p.Do(ctx, func(_ context.Context, c *drivertest.BoundConn) error { return fmt.Errorf("library: %v", c.Use()) })
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		assert.Zero(t, f.Counts().Open)
	})

	bubble(t, "not where nothing failed", func(t *testing.T) {
		_, p := openFake(t, pool.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		assert.NoError(t, p.Do(ctx, func(context.Context, *conn) error { cancel(); return nil }))
		assert.Equal(t, 1, p.Stats().Idle)
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
				return answer{}
			}
		}
		p.Do(ctx, check(1, 0))
		p.Do(context.Background(), check(1, 1))
		p.Do(ctx, check(2, 1))
		assert.Equal(t, [2]int{2, 2}, [2]int{b.binds, b.unbinds})
		apart(func() {
			p.Do(ctx, func(context.Context, *countingBinder) error { panic("user") })
		})
		assert.Equal(t, [2]int{3, 3}, [2]int{b.binds, b.unbinds}, "a panic unbinds too")
	})

	// Use has no ctx parameter, so only Bind can end it.
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
		assert.NoError(t, p.Ping(t.Context()), "connecting is enough")
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

func TestAnErrorAfterSomethingWasSentIsNotSafeToRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logLines
		_, p := openFake(t, pool.Config{Logger: log.logger(1)})
		acquire(t, p).Release()
		log.take()
		err := p.Do(t.Context(), func(_ context.Context, c *conn) error {
			require.NoError(t, c.Use())
			return driver.ErrBadConn
		})
		assert.ErrorIs(t, err, driver.ErrBadConn)
		assert.False(t, driver.SafeToRetry(err))
		assert.True(t, driver.IsBad(err))
		log.want(t, "an error says that nothing was sent, but something was", "closed")

		l, err := p.Acquire(t.Context())
		require.NoError(t, err)
		n, counted := l.Sent()
		assert.True(t, counted)
		assert.Zero(t, n)
		require.NoError(t, l.Conn().Use())
		n, _ = l.Sent()
		assert.EqualValues(t, 1, n)
		l.Release()
		assert.Panics(t, func() { l.Sent() })
	})
}

func TestBytesSentByHooksDoNotCountAsSentByTheFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		use := func(_ context.Context, c driver.Conn) error { return c.(*conn).Use() }
		_, p := openFake(t, pool.Config{
			OnConnect: use,
			OnAcquire: func(ctx context.Context, c driver.Conn, _ pool.Info) error { return use(ctx, c) },
		})
		for range 2 { // a new connection, and one that was reset
			err := p.Do(t.Context(), func(context.Context, *conn) error { return noRoute{} })
			assert.True(t, driver.SafeToRetry(err))
		}
	})
}

// noRoute is the error of a dial elsewhere. After it, this connection is still good.
type noRoute struct{}

func (noRoute) Error() string     { return "no route" }
func (noRoute) BadConn() bool     { return false }
func (noRoute) SafeToRetry() bool { return true }
