package retry_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/retry"
)

// constant returns a Backoff with equal waits, so that tests know exact times.
func constant(d time.Duration) func() backoff.BackOff {
	return func() backoff.BackOff { return backoff.NewConstantBackOff(d) }
}

// instantsOf runs p with fn in a bubble. It returns when each attempt began, and
// the error.
func instantsOf(t *testing.T, p retry.Policy, fn func(context.Context) error) (at []time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err = p.Do(t.Context(), func(ctx context.Context) error {
			at = append(at, time.Since(start))
			return fn(ctx)
		})
	})
	return at, err
}

func TestBackoffGivesTheWaits(t *testing.T) {
	p := retry.Policy{MaxAttempts: 4, Backoff: constant(3 * time.Second)}
	at, _ := instantsOf(t, p, fails(driver.ErrBadConn).run)
	assert.Equal(t, []time.Duration{0, 3 * time.Second, 6 * time.Second, 9 * time.Second}, at)
}

func TestABackoffFunctionWithoutBackoffCountsAsNone(t *testing.T) {
	p := retry.Policy{MaxAttempts: 3, Interval: -1, Backoff: func() backoff.BackOff { return nil }}
	at, _ := instantsOf(t, p, fails(driver.ErrBadConn).run)
	assert.Equal(t, []time.Duration{0, 0, 0}, at)
}

func TestEachRunHasABackoffOfItsOwn(t *testing.T) {
	p := retry.Policy{MaxAttempts: 3, Backoff: func() backoff.BackOff {
		return &backoff.ExponentialBackOff{InitialInterval: time.Second, Multiplier: 10, MaxInterval: time.Hour}
	}}
	want := []time.Duration{0, time.Second, 11 * time.Second}
	for range 2 {
		at, _ := instantsOf(t, p, fails(driver.ErrBadConn).run)
		assert.Equal(t, want, at)
	}
}

func TestBackoffIsNotMadeForARunWithoutFailure(t *testing.T) {
	made := 0
	p := retry.Policy{Backoff: func() backoff.BackOff { made++; return &backoff.ZeroBackOff{} }}
	require.NoError(t, p.Do(t.Context(), fails(nil).run))
	assert.Zero(t, made)
	require.NoError(t, p.Do(t.Context(), fails(driver.ErrBadConn, driver.ErrBadConn, nil).run))
	assert.Equal(t, 1, made)
}

// unset is a BackOff that can't be used before its Reset.
type unset struct{ backoff.BackOff }

func (u *unset) Reset() { u.BackOff = &backoff.ZeroBackOff{} }

func TestBackoffIsResetBeforeItsUse(t *testing.T) {
	p := retry.Policy{Backoff: func() backoff.BackOff { return &unset{} }}
	assert.NoError(t, p.Do(t.Context(), fails(driver.ErrBadConn, nil).run))
}

func TestNegativeWaitOfABackoffEndsTheRun(t *testing.T) {
	for _, wait := range []time.Duration{backoff.Stop, -time.Hour, math.MinInt64} {
		s := fails(driver.ErrBadConn)
		err := retry.Policy{Backoff: constant(wait)}.Do(t.Context(), s.run)
		var e *retry.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, retry.BackoffStopped, e.Reason)
		assert.Equal(t, 1, s.calls)
		assert.ErrorIs(t, err, driver.ErrBadConn)
	}
}

// backoff.Retry returns only the error inside Permanent, and loses everything
// that wraps it.
func TestPermanentOfBackoffEndsTheRunAndStaysInTheError(t *testing.T) {
	mark := backoff.Permanent(driver.ErrBadConn)
	outer := errors.Join(errBusy, mark)
	s := fails(outer)
	err := retry.Policy{RetryIf: retry.Always, Backoff: constant(0)}.Do(t.Context(), s.run)
	assert.Equal(t, 1, s.calls)
	assert.True(t, err == outer, "Do = %#v, want the attempt's error itself", err)
}

// backoff.Retry runs its function once even if the context is done.
func TestNothingStartsWithAContextThatIsDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := fails(nil)
	err := retry.Policy{}.Do(ctx, s.run)

	assert.Zero(t, s.calls)
	assert.EqualError(t, err, "retry: not started: context canceled")
	assert.ErrorIs(t, err, context.Canceled)
	assert.True(t, driver.SafeToRetry(err))
}

// backoff.Retry returns only the cause of the context, and loses both the error
// of the work and context.Canceled.
func TestEndOfTheContextEndsTheWaitAndKeepsBothErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithCancelCause(t.Context())
		shutdown := errors.New("shutting down")
		time.AfterFunc(time.Second, func() { cancel(shutdown) })

		s := fails(driver.ErrBadConn)
		err := retry.Policy{Backoff: constant(time.Hour)}.Do(ctx, s.run)

		assert.Equal(t, time.Second, time.Since(start))
		assert.Equal(t, 1, s.calls)
		assert.ErrorIs(t, err, driver.ErrBadConn)
		assert.ErrorIs(t, err, context.Canceled)
		assert.ErrorIs(t, err, shutdown)
		assert.EqualError(t, err, "retry: gave up after 1 attempt in 1s: context canceled: shutting down; last error: driver: bad connection")
	})
}

func TestContextThatEndsDuringAnAttemptEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		calls := 0
		p := retry.Policy{RetryIf: retry.Always, Interval: -1}
		p.OnRetry = func(context.Context, retry.Failure) { t.Error("announced an attempt after the context ended") }
		err := p.Do(ctx, func(ctx context.Context) error {
			calls++
			<-ctx.Done()
			return errBusy
		})
		assert.Equal(t, 1, calls)
		assert.ErrorIs(t, err, errBusy)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestPerAttemptEndsOneAttemptNotTheRun(t *testing.T) {
	p := retry.Policy{MaxAttempts: 3, Interval: -1, PerAttempt: time.Second, RetryIf: retry.Always}
	at, err := instantsOf(t, p, func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	assert.Equal(t, []time.Duration{0, time.Second, 2 * time.Second}, at)
	var e *retry.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, retry.OutOfAttempts, e.Reason)
	assert.NoError(t, e.Context)
}

func TestContextOfAnAttemptEndsWithIt(t *testing.T) {
	var last context.Context
	p := retry.Policy{MaxAttempts: 2, Interval: -1, PerAttempt: time.Hour}
	_ = p.Do(t.Context(), func(ctx context.Context) error {
		if last != nil {
			assert.ErrorIs(t, last.Err(), context.Canceled, "the timer of an attempt is left behind")
		}
		assert.NoError(t, ctx.Err())
		last = ctx
		return driver.ErrBadConn
	})
	assert.ErrorIs(t, last.Err(), context.Canceled)
}

func TestAttemptThatTimedOutIsNotRepeatedByDefault(t *testing.T) {
	at, err := instantsOf(t, retry.Policy{PerAttempt: time.Second}, func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	assert.Len(t, at, 1)
	assert.Equal(t, context.DeadlineExceeded, err)
}

func TestMaxElapsedBeginsNoWaitThatPassesIt(t *testing.T) {
	p := retry.Policy{MaxAttempts: -1, Backoff: constant(3 * time.Second), MaxElapsed: 7 * time.Second}
	at, err := instantsOf(t, p, fails(driver.ErrBadConn).run)
	assert.Equal(t, []time.Duration{0, 3 * time.Second, 6 * time.Second}, at)
	var e *retry.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, retry.OutOfTime, e.Reason)
	assert.Equal(t, 6*time.Second, e.Elapsed, "it waited although no attempt could follow")

	p.MaxElapsed = 6 * time.Second
	at, _ = instantsOf(t, p, fails(driver.ErrBadConn).run)
	assert.Len(t, at, 3, "an attempt may begin at MaxElapsed itself")
}

func TestPauseThatThePeerAskedFor(t *testing.T) {
	throttled := func(after time.Duration) error { return driver.Throttled(driver.ErrBadConn, after) }
	for _, tc := range []struct {
		name   string
		policy retry.Policy
		err    error
		want   time.Duration
	}{
		{"added to the wait", retry.Policy{Backoff: constant(2 * time.Second)}, throttled(30 * time.Second), 32 * time.Second},
		{"without waits of our own", retry.Policy{Interval: -1}, throttled(30 * time.Second), 30 * time.Second},
		{"without a length", retry.Policy{Backoff: constant(2 * time.Second)}, throttled(0), 2 * time.Second},
		{"capped by default", retry.Policy{Interval: -1}, throttled(time.Hour), time.Minute},
		{"capped by MaxThrottle", retry.Policy{Interval: -1, MaxThrottle: 5 * time.Second}, throttled(time.Hour), 5 * time.Second},
		{"without a cap", retry.Policy{Interval: -1, MaxThrottle: -1}, throttled(time.Hour), time.Hour},
		{"of a full server", retry.Policy{Interval: -1}, driver.Full(driver.ErrBadConn, 30*time.Second), 30 * time.Second},
		{"wrapped", retry.Policy{Interval: -1}, errors.Join(errBusy, throttled(time.Second)), time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			at, err := instantsOf(t, tc.policy, fails(tc.err, nil).run)
			require.NoError(t, err)
			assert.Equal(t, []time.Duration{0, tc.want}, at)
		})
	}
}

func TestPauseDoesNotOverflow(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var wait time.Duration
	p := retry.Policy{Backoff: constant(math.MaxInt64 - 1), MaxThrottle: -1}
	p.OnRetry = func(_ context.Context, f retry.Failure) {
		wait = f.Wait
		cancel() // the wait lasts 292 years
	}
	_ = p.Do(ctx, fails(driver.Throttled(driver.ErrBadConn, time.Hour)).run)
	assert.Equal(t, time.Duration(math.MaxInt64), wait)
}

func TestThrottlingAloneDoesNotMakeAnErrorRepeatable(t *testing.T) {
	s := fails(driver.Throttled(errBusy, time.Second))
	assert.ErrorIs(t, retry.Policy{}.Do(t.Context(), s.run), errBusy)
	assert.Equal(t, 1, s.calls)
}
