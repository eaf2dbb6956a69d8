package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/retry"
)

func TestZeroPolicyRepeatsFourTimesWithinASecondAndAHalf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, start := fails(driver.ErrBadConn), time.Now()

		err := retry.Policy{}.Do(t.Context(), s.run)

		assert.Equal(t, 5, s.calls)
		assert.LessOrEqual(t, time.Since(start), 1500*time.Millisecond)
		var e *retry.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, retry.OutOfAttempts, e.Reason)
		assert.Equal(t, 5, e.Attempts)
		assert.Equal(t, time.Since(start), e.Elapsed)
	})
}

func TestDoReturnsNilOnceAnAttemptSucceeds(t *testing.T) {
	s := fails(driver.ErrBadConn, driver.ErrBadConn, nil)
	require.NoError(t, retry.Policy{Interval: -1}.Do(t.Context(), s.run))
	assert.Equal(t, 3, s.calls)
}

func TestMaxAttemptsCountsTheFirstOne(t *testing.T) {
	for _, n := range []int{1, 2, 7} {
		s := fails(driver.ErrBadConn)
		err := retry.Policy{MaxAttempts: n, Interval: -1}.Do(t.Context(), s.run)
		assert.Equal(t, n, s.calls)

		var e *retry.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, n, e.Attempts)
		assert.ErrorIs(t, err, driver.ErrBadConn)
	}
}

func TestNegativeMaxAttemptsIsNoLimit(t *testing.T) {
	calls := 0
	err := retry.Policy{MaxAttempts: -1, Interval: -1}.Do(t.Context(), func(context.Context) error {
		if calls++; calls == 1000 {
			return nil
		}
		return driver.ErrBadConn
	})
	require.NoError(t, err)
	assert.Equal(t, 1000, calls)
}

func TestErrorThatIsNotRepeatedComesBackUnchanged(t *testing.T) {
	for _, want := range []error{errBusy, io.EOF, context.DeadlineExceeded, driver.Permanent(driver.ErrBadConn)} {
		s := fails(want)
		err := retry.Policy{}.Do(t.Context(), s.run)
		assert.Equal(t, 1, s.calls, "%v", want)
		assert.True(t, err == want, "Do = %#v, want %#v itself", err, want)
	}
}

func TestErrorAfterARepetitionMentionsIt(t *testing.T) {
	s := fails(driver.ErrBadConn, errBusy)
	err := retry.Policy{Interval: -1}.Do(t.Context(), s.run)

	var e *retry.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, retry.NotRepeatable, e.Reason)
	assert.Equal(t, 2, e.Attempts)
	assert.ErrorIs(t, err, errBusy)
}

func TestRetryIfDecides(t *testing.T) {
	p := retry.Policy{Interval: -1, RetryIf: func(err error) bool { return errors.Is(err, errBusy) }}

	s := fails(fmt.Errorf("send: %w", errBusy), driver.ErrBadConn)
	err := p.Do(t.Context(), s.run)
	assert.Equal(t, 2, s.calls, "busy is repeated, a bad connection is not")
	assert.ErrorIs(t, err, driver.ErrBadConn)
}

func TestPermanentErrorEndsTheRunEvenWithAlways(t *testing.T) {
	asked := 0
	p := retry.Policy{Interval: -1, RetryIf: func(error) bool { asked++; return true }}
	wrong := driver.Permanent(errors.New("wrong password"))

	s := fails(fmt.Errorf("login: %w", wrong))
	assert.ErrorIs(t, p.Do(t.Context(), s.run), wrong)
	assert.Equal(t, 1, s.calls)
	assert.Zero(t, asked, "RetryIf was asked about a permanent error")
}

func TestPolicyIsAdjustedByCopy(t *testing.T) {
	base := retry.Policy{MaxAttempts: 4, Interval: -1}
	once := base
	once.MaxAttempts = 1

	s := fails(driver.ErrBadConn)
	_ = once.Do(t.Context(), s.run)
	assert.Equal(t, 1, s.calls)
	_ = base.Do(t.Context(), s.run)
	assert.Equal(t, 5, s.calls)
}

func TestPolicyIsSharedByGoroutines(t *testing.T) {
	p := retry.Policy{MaxAttempts: 3, Interval: time.Nanosecond, Budget: &retry.Budget{Reserve: 1000}}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			s := fails(driver.ErrBadConn, driver.ErrBadConn, nil)
			assert.NoError(t, p.Do(t.Context(), s.run))
		})
	}
	wg.Wait()
}

func TestDoCallsTheMethodOfThePolicy(t *testing.T) {
	runs := 0
	err := retry.Do(t.Context(), retry.Policy{MaxAttempts: 2, Interval: time.Nanosecond}, func(context.Context) error {
		runs++
		return driver.ErrBadConn
	})
	assert.ErrorIs(t, err, driver.ErrBadConn)
	assert.Equal(t, 2, runs)
}

func TestValueReturnsTheValueOfTheAttemptThatSucceeded(t *testing.T) {
	v, err := retry.Value(t.Context(), retry.Policy{Interval: -1}, func(ctx context.Context) (string, error) {
		if n := retry.Attempt(ctx); n < 3 {
			return fmt.Sprint("half of ", n), driver.ErrBadConn
		}
		return "whole", nil
	})
	require.NoError(t, err)
	assert.Equal(t, "whole", v)
}

func TestValueIsZeroWithAnError(t *testing.T) {
	v, err := retry.Value(t.Context(), retry.Policy{}, func(context.Context) (string, error) {
		return "half", errBusy
	})
	assert.ErrorIs(t, err, errBusy)
	assert.Empty(t, v)
}

func TestAttemptCountsFromOne(t *testing.T) {
	var seen []int
	_ = retry.Policy{MaxAttempts: 3, Interval: -1, PerAttempt: time.Minute}.Do(t.Context(), func(ctx context.Context) error {
		seen = append(seen, retry.Attempt(ctx))
		return driver.ErrBadConn
	})
	assert.Equal(t, []int{1, 2, 3}, seen)
	assert.Equal(t, 1, retry.Attempt(t.Context()), "outside of Do")
}

func TestAttemptCountsForTheInnermostDo(t *testing.T) {
	p := retry.Policy{MaxAttempts: 2, Interval: -1}
	var seen []int
	_ = p.Do(t.Context(), func(outer context.Context) error {
		_ = p.Do(outer, func(inner context.Context) error {
			seen = append(seen, retry.Attempt(outer)*10+retry.Attempt(inner))
			return driver.ErrBadConn
		})
		return driver.ErrBadConn
	})
	assert.Equal(t, []int{11, 12, 21, 22}, seen)
}

func TestPanicOfAnAttemptGoesThrough(t *testing.T) {
	assert.PanicsWithValue(t, "boom", func() {
		_ = retry.Policy{PerAttempt: time.Second}.Do(t.Context(), func(context.Context) error { panic("boom") })
	})
}

func TestNoAllocationWithoutFailure(t *testing.T) {
	p := retry.Policy{MaxAttempts: 5, Interval: time.Second, Budget: &retry.Budget{}}
	ctx := t.Context()
	calls := 0
	do := testing.AllocsPerRun(100, func() {
		_ = p.Do(ctx, func(context.Context) error { calls++; return nil })
	})
	value := testing.AllocsPerRun(100, func() {
		_, _ = retry.Value(ctx, p, func(context.Context) (int, error) { calls++; return calls, nil })
	})
	assert.Zero(t, do, "Do")
	assert.Zero(t, value, "Value")
	assert.Equal(t, 202, calls)
}

func BenchmarkDo(b *testing.B) {
	for _, budget := range []*retry.Budget{nil, {}} {
		b.Run(fmt.Sprintf("budget=%v", budget != nil), func(b *testing.B) {
			p := retry.Policy{Budget: budget}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_ = p.Do(context.Background(), func(context.Context) error { return nil })
				}
			})
		})
	}
}
