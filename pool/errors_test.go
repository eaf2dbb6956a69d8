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

// 13: a wait that timed out says how the pool stood, and why it got nothing.
func TestTimeoutErrorTellsWhatThePoolWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{
			Name: "mail", MaxOpen: 5, MaxConnecting: 1, AcquireTimeout: 3 * time.Second,
			Backoff: pool.Backoff{Initial: time.Minute, Max: time.Minute},
		})
		leases := acquireN(t, p, 2)
		f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
		start(t.Context(), p).wantError(t, errScripted)
		second := start(t.Context(), p)
		advance(3 * time.Second)

		e := second.wantError(t, pool.ErrTimeout)
		assert.ErrorIs(t, e, context.DeadlineExceeded)
		assert.ErrorIs(t, e, errScripted)
		assert.Equal(t, pool.ErrTimeout, e.Cause)
		assert.EqualError(t, e, `pool "mail": no connection after 3s: pool: AcquireTimeout passed; `+
			`last connect failed: drivertest: connect: scripted error `+
			`(max 5, open 2, idle 0, leased 2, connecting 0, closing 0, waiting 0)`)
		assert.True(t, driver.SafeToRetry(e))
		assert.False(t, driver.IsBad(e), "it is about no connection of the caller's")
		var timeout interface{ Timeout() bool }
		require.ErrorAs(t, e, &timeout)
		assert.True(t, timeout.Timeout())
		releaseAll(leases)
	})
}

// The commonest mistake gets the advice that it needs.
func TestTimeoutErrorOfAFullPoolTellsWhatToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{Name: "mail", MaxOpen: 2, AcquireTimeout: time.Second})
		leases := acquireN(t, p, 2)
		_, err := p.Acquire(context.Background())
		assert.EqualError(t, err, `pool "mail": no connection after 1s: pool: AcquireTimeout passed; `+
			`all connections are in use: raise MaxOpen, or look for a lease that is not released `+
			`(max 2, open 2, idle 0, leased 2, connecting 0, closing 0, waiting 0)`)
		releaseAll(leases)
	})
}

// A wrong password that was mended at the server is not tried for a minute.
func TestErrorOfAnOldFailureTellsWhenTheNextAttemptIs(t *testing.T) {
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

// 13: a failed connect is told once, not as the cause and again as the last one.
func TestConnectErrorIsTheCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{Name: "mail"})
		f.Always(drivertest.Connect, drivertest.Fail(errScripted))
		_, err := p.Acquire(t.Context())
		e := wantAcquireError(t, err, errScripted)
		assert.EqualError(t, e, `pool "mail": connect failed after 0s: drivertest: connect: scripted error `+
			`(max 10, open 0, idle 0, leased 0, connecting 0, closing 0, waiting 0)`)
		assert.Equal(t, e.Cause, e.Connect)
		assert.True(t, driver.SafeToRetry(e))
		assert.False(t, driver.IsBad(e))
	})
}

// 13: the context's own error, and what its owner gave as the cause.
func TestCanceledErrorTellsTheCauseOfTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1})
		l := acquire(t, p)
		why := errors.New("the user went home")
		ctx, cancel := context.WithCancelCause(t.Context())
		c := start(ctx, p)
		cancel(why)
		e := c.wantError(t, context.Canceled)
		assert.ErrorIs(t, e, why)
		assert.Contains(t, e.Error(), "context canceled: the user went home")
		assert.NotErrorIs(t, e, pool.ErrTimeout)
		l.Release()
	})
}

func TestAcquireWithAnEndedContextTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		fill(t, p, 1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := p.Acquire(ctx)
		wantAcquireError(t, err, context.Canceled)
		assert.Equal(t, 1, f.Counts().Connects)
		assert.Equal(t, int64(1), p.Stats().Acquires)
	})
}

// The classes of a connect error reach through to the caller.
func TestClassesOfAConnectErrorReachTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxConnecting: 1})
		f.Next(drivertest.Connect, 1, drivertest.Fail(driver.Throttled(errScripted, 7*time.Second)))
		_, err := p.Acquire(t.Context())
		after, ok := driver.RetryAfter(err)
		assert.True(t, ok)
		assert.Equal(t, 7*time.Second, after)

		advance(7 * time.Second)
		f.Next(drivertest.Connect, 1, drivertest.Fail(driver.Permanent(errScripted)))
		_, err = p.Acquire(t.Context())
		assert.True(t, driver.IsPermanent(err))
	})
}

// errList is an error that can't be compared, as some validators return.
type errList []error

func (l errList) Error() string { return fmt.Sprint([]error(l)) }

func TestConnectErrorNeedNotBeComparable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{
			Name:      "mail",
			OnConnect: func(context.Context, driver.Conn) error { return errList{errScripted} },
		})
		_, err := p.Acquire(t.Context())
		var list errList
		require.ErrorAs(t, err, &list)
		assert.Contains(t, err.Error(), `pool "mail": connect failed after 0s: [scripted error]`)
		assert.NotErrorIs(t, err, context.Canceled)
	})
}

// A Connect that hits its own timeout says which setting that was.
func TestConnectTimeoutIsNamedInTheError(t *testing.T) {
	for name, step := range map[string]drivertest.Step{
		"as the context's error": drivertest.Hang,
		"as an error of its own": func(ctx context.Context, _ *conn) error { <-ctx.Done(); return errScripted },
		"never":                  stall(time.Hour),
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{ConnectTimeout: 2 * time.Second})
			f.Next(drivertest.Connect, 1, step)
			began := time.Now()
			_, err := p.Acquire(t.Context())
			assert.ErrorContains(t, err, "ConnectTimeout of 2s")
			assert.LessOrEqual(t, time.Since(began), 2100*time.Millisecond)
			advance(time.Hour)
		})
	}
}

func TestPanicErrorUnwrapsToAnErrorOnly(t *testing.T) {
	assert.ErrorIs(t, &pool.PanicError{Value: errScripted}, errScripted)
	assert.NoError(t, errors.Unwrap(&pool.PanicError{Value: "boom"}))
	assert.EqualError(t, &pool.PanicError{Value: "boom"}, "pool: panic: boom")
}
