package pool_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// The error of a wait that timed out shows the gauges of the pool, and says why there
// was no connection.
func TestTimeoutErrorNamesTheLastConnectError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{
			Name: "mail", MaxOpen: 5, MaxConnecting: 1, AcquireTimeout: 3 * time.Second,
			Backoff: pool.Backoff{Initial: time.Minute, Max: time.Minute},
		})
		leases := acquireN(t, p, 2)
		f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
		c := start(t.Context(), p)
		advance(3 * time.Second)

		e := c.wantError(t, pool.ErrTimeout)
		assert.ErrorIs(t, e, context.DeadlineExceeded)
		assert.ErrorIs(t, e, errScripted)
		assert.Equal(t, pool.ErrTimeout, e.Cause)
		assert.EqualError(t, e, `pool "mail": no connection after 3s: pool: AcquireTimeout passed; `+
			`last connect failed: drivertest: connect: scripted error `+
			`(max 5, open 2, idle 0, leased 2, connecting 0, closing 0, waiting 0)`)
		assert.True(t, driver.SafeToRetry(e))
		assert.False(t, driver.IsBad(e), "it is not about a connection that the caller holds")
		var timeout interface{ Timeout() bool }
		require.ErrorAs(t, e, &timeout)
		assert.True(t, timeout.Timeout())
		releaseAll(leases)
	})
}

// The most common mistake gets matching advice.
func TestTimeoutErrorOfAFullPoolSaysWhatToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{Name: "mail", MaxOpen: 2, AcquireTimeout: time.Second})
		leases := acquireN(t, p, 2)
		_, err := p.Acquire(context.Background())
		assert.EqualError(t, err, `pool "mail": no connection after 1s: pool: AcquireTimeout passed; `+
			`all connections are in use: raise MaxOpen, or look for a lease that is not released `+
			`(max 2, open 2, idle 0, leased 2, connecting 0, closing 0, waiting 0)`)
		releaseAll(leases)
		require.NoError(t, p.Resize(0))
		_, err = p.Acquire(context.Background())
		assert.EqualError(t, err, `pool "mail": no connection after 1s: pool: AcquireTimeout passed (max 0, open 0, idle 0, leased 0, connecting 0, closing 0, waiting 0)`)
	})
}

// If a password is corrected at the server, the pool does not retry for a minute.
func TestErrorOfAnOldFailureSaysWhenTheNextAttemptIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{Name: "mail"})
		f.Always(drivertest.Connect, drivertest.Fail(driver.Permanent(errScripted)))
		for _, want := range []string{"1m0s", "45s"} {
			_, err := p.Acquire(t.Context())
			assert.ErrorContains(t, err, "connect failed after 0s: drivertest: connect: scripted error; the next attempt is in "+want+", or after Reset (max")
			advance(15 * time.Second)
		}
	})
}

// The error names a failed connect only once, as the cause. The caller sees its
// classes.
func TestConnectErrorIsTheCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{Name: "mail", MaxConnecting: 1})
		f.Next(drivertest.Connect, 1, drivertest.Fail(driver.Throttled(errScripted, 900*time.Millisecond)))
		_, err := p.Acquire(t.Context())
		e := wantAcquireError(t, err, errScripted)
		assert.EqualError(t, e, `pool "mail": connect failed after 0s: drivertest: connect: scripted error `+
			`(max 10, open 0, idle 0, leased 0, connecting 0, closing 0, waiting 0)`)
		assert.Equal(t, e.Cause, e.Connect)
		assert.True(t, driver.SafeToRetry(e))
		assert.False(t, driver.IsBad(e))
		after, ok := driver.RetryAfter(err)
		assert.True(t, ok)
		assert.Equal(t, 900*time.Millisecond, after)
	})
}

// The error wraps the error of the context and its cause.
func TestCanceledErrorNamesTheCauseOfTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1})
		l := acquire(t, p)
		why := errors.New("the user went home")
		ctx, cancel := context.WithCancelCause(t.Context())
		c := start(ctx, p)
		cancel(why)
		e := c.wantError(t, context.Canceled)
		assert.ErrorIs(t, e, why)
		assert.ErrorContains(t, e, "context canceled: the user went home")
		assert.NotErrorIs(t, e, pool.ErrTimeout)

		l.Release()
		start(ctx, p).wantError(t, context.Canceled) // it takes no connection
		assert.Equal(t, int64(1), p.Stats().Acquires)
	})
}

// The password is wrong, but this caller failed for another reason.
func TestHookThatFailsIsNotBlamedOnTheLastConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail error
		f, p := openFake(t, pool.Config{MaxOpen: 2, OnAcquire: func(context.Context, driver.Conn, pool.Info) error { return fail }})
		l := acquire(t, p)
		f.Always(drivertest.Connect, drivertest.Fail(driver.Permanent(driver.ErrBadConn)))
		c := start(t.Context(), p)
		advance(4 * time.Second) // after that, waiters no longer count on l
		c.wantError(t, driver.ErrBadConn)
		l.Release()
		fail = errScripted
		e := start(t.Context(), p).wantError(t, errScripted)
		assert.False(t, driver.IsPermanent(e))
	})
}

// errList is an error that can't be compared. Some validators return such errors.
type errList []error

func (l errList) Error() string { return fmt.Sprint([]error(l)) }

func TestConnectErrorNeedNotBeComparable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{OnConnect: func(context.Context, driver.Conn) error { return errList{errScripted} }})
		e := start(t.Context(), p).wantError(t, nil)
		assert.Equal(t, errList{errScripted}, e.Cause)
		assert.NotErrorIs(t, e, context.Canceled)
	})
}

func TestConnectThatTimesOutNamesTheSetting(t *testing.T) {
	onConnect := func(ctx context.Context, _ driver.Conn) error { <-ctx.Done(); return ctx.Err() }
	for name, tt := range map[string]struct {
		step      drivertest.Step
		onConnect func(context.Context, driver.Conn) error
		late      time.Duration
	}{
		"as the context's error":       {drivertest.Hang, nil, 0},
		"as another error":             {func(ctx context.Context, _ *conn) error { <-ctx.Done(); return errScripted }, nil, 0},
		"if it ignores its context":    {stall(time.Hour), nil, 100 * time.Millisecond},
		"if it fails much later":       {func(ctx context.Context, c *conn) error { return errors.Join(stall(time.Hour)(ctx, c), errScripted) }, nil, 100 * time.Millisecond},
		"even if OnConnect takes long": {nil, onConnect, 0},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 1, ConnectTimeout: 2 * time.Second, OnConnect: tt.onConnect})
			f.Always(drivertest.Connect, tt.step)
			_, err := p.Acquire(t.Context())
			e := wantAcquireError(t, err, nil)
			assert.ErrorContains(t, err, "ConnectTimeout of 2s")
			assert.Equal(t, 2*time.Second+tt.late, e.Waited)
			f.Always(drivertest.Connect, nil)
			advance(2 * time.Hour)
			assert.Equal(t, int64(1), p.Stats().ConnectFailures, "it counts once")
		})
	}
}

func TestPanicErrorUnwrapsToAnErrorOnly(t *testing.T) {
	assert.ErrorIs(t, &pool.PanicError{Value: errScripted}, errScripted)
	assert.NoError(t, errors.Unwrap(&pool.PanicError{Value: "boom"}))
	assert.EqualError(t, &pool.PanicError{Value: "boom"}, "pool: panic: boom")
}
