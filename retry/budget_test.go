package retry_test

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/retry"
)

func TestFullOutageIsNotMultiplied(t *testing.T) {
	const callers = 1000
	for _, tc := range []struct {
		name   string
		budget *retry.Budget
		most   int64
	}{
		{"without a budget", nil, 5 * callers},
		{"with the default budget", &retry.Budget{}, callers + 10},
		{"with a reserve of a tenth", &retry.Budget{Reserve: callers / 10}, callers * 11 / 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := retry.Policy{Budget: tc.budget}
				var attempts, refused atomic.Int64
				var wg sync.WaitGroup
				for range callers {
					wg.Go(func() {
						err := p.Do(t.Context(), func(context.Context) error {
							attempts.Add(1)
							<-time.After(time.Millisecond) // so that all callers run together
							return driver.ErrBadConn
						})
						var e *retry.Error
						assert.ErrorAs(t, err, &e)
						assert.ErrorIs(t, err, driver.ErrBadConn)
						if e.Reason == retry.OutOfBudget {
							refused.Add(1)
						}
					})
				}
				wg.Wait()
				// No run succeeds, so the limit is reached exactly.
				assert.Equal(t, tc.most, attempts.Load())
				assert.Equal(t, tc.budget != nil, refused.Load() > 0)
			})
		})
	}
}

// attemptsOf runs once with p, and returns how many attempts were made.
func attemptsOf(p retry.Policy, err error) int {
	s := fails(err)
	_ = p.Do(context.Background(), s.run)
	return s.calls
}

func TestSuccessesPayForRepetitions(t *testing.T) {
	p := retry.Policy{MaxAttempts: 2, Interval: -1, Budget: &retry.Budget{Reserve: 1, Ratio: 0.25}}
	assert.Equal(t, 2, attemptsOf(p, driver.ErrBadConn), "from the reserve")
	assert.Equal(t, 1, attemptsOf(p, driver.ErrBadConn), "from an empty bucket")
	for range 3 {
		attemptsOf(p, nil)
	}
	assert.Equal(t, 1, attemptsOf(p, driver.ErrBadConn), "after three quarters of a token")
	attemptsOf(p, nil)
	assert.Equal(t, 2, attemptsOf(p, driver.ErrBadConn), "after a whole one")
}

func TestSuccessesAreNotSavedBeyondTheReserve(t *testing.T) {
	p := retry.Policy{MaxAttempts: 100, Interval: -1, Budget: &retry.Budget{Reserve: 3}}
	for range 1000 {
		attemptsOf(p, nil)
	}
	assert.Equal(t, 4, attemptsOf(p, driver.ErrBadConn))
}

func TestBudgetSettings(t *testing.T) {
	for _, tc := range []struct {
		name         string
		budget       *retry.Budget
		first, later int // attempts of the first run, and of one after a success
	}{
		{"zero", &retry.Budget{}, 11, 1},
		{"negative reserve", &retry.Budget{Reserve: -1}, 1, 1},
		{"negative ratio", &retry.Budget{Reserve: 2, Ratio: -1}, 3, 1},
		{"ratio of one", &retry.Budget{Reserve: 2, Ratio: 1}, 3, 2},
		{"ratio above one", &retry.Budget{Reserve: 2, Ratio: 7}, 3, 2},
		{"infinite ratio", &retry.Budget{Reserve: 2, Ratio: math.Inf(1)}, 3, 2},
		{"ratio that is not a number", &retry.Budget{Reserve: 2, Ratio: math.NaN()}, 3, 1},
		{"largest reserve", &retry.Budget{Reserve: math.MaxInt}, 100, 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := retry.Policy{MaxAttempts: 100, Interval: -1, Budget: tc.budget}
			assert.Equal(t, tc.first, attemptsOf(p, driver.ErrBadConn))
			attemptsOf(p, nil)
			assert.Equal(t, tc.later, attemptsOf(p, driver.ErrBadConn))
		})
	}
}

// In any period, whatever came before it, the repetitions stay within the bound
// that the documentation of Budget states.
func TestRepetitionsStayWithinTheBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reserve := rapid.IntRange(1, 20).Draw(t, "reserve")
		ratio := rapid.Float64Range(0.001, 1).Draw(t, "ratio")
		p := retry.Policy{Interval: -1, Budget: &retry.Budget{Reserve: reserve, Ratio: ratio}}

		excess, least := 0.0, 0.0 // repetitions minus the tokens put back by successes; its minimum so far
		for range rapid.IntRange(1, 200).Draw(t, "runs") {
			p.MaxAttempts = rapid.IntRange(1, 8).Draw(t, "attempts")
			if rapid.Bool().Draw(t, "succeeds") {
				attemptsOf(p, nil)
				excess -= ratio
			} else {
				excess += float64(attemptsOf(p, driver.ErrBadConn) - 1)
			}
			least = min(least, excess)
			if excess-least > float64(reserve)+1e-6 {
				t.Fatalf("%.3f repetitions beyond those paid for by successes, reserve %d", excess-least, reserve)
			}
		}
	})
}

func TestRunThatIsNotRepeatedPaysNothing(t *testing.T) {
	b := &retry.Budget{Reserve: 1}
	p := retry.Policy{MaxAttempts: 2, Interval: -1, Budget: b}
	assert.Equal(t, 1, attemptsOf(p, errBusy))
	p.MaxAttempts = 1
	assert.Equal(t, 1, attemptsOf(p, driver.ErrBadConn))
	p.MaxAttempts = 2
	assert.Equal(t, 2, attemptsOf(p, driver.ErrBadConn), "the token was still there")
}

func TestWaitThatTheContextCutsPaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retry.Policy{MaxAttempts: 2, Backoff: constant(time.Hour), Budget: &retry.Budget{Reserve: 3}}
		assert.Equal(t, 2, attemptsOf(p, driver.ErrBadConn), "so that the bucket isn't full")
		p.MaxAttempts = 5
		var wg sync.WaitGroup
		for range 2 { // these take the two tokens that are left
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				s := fails(driver.ErrBadConn)
				assert.ErrorIs(t, p.Do(ctx, s.run), context.DeadlineExceeded)
				assert.Equal(t, 1, s.calls)
			})
		}
		synctest.Wait()
		assert.Equal(t, 1, attemptsOf(p, driver.ErrBadConn), "while they wait")
		wg.Wait()
		assert.Equal(t, 3, attemptsOf(p, driver.ErrBadConn), "both tokens are back")
		assert.Equal(t, 1, attemptsOf(p, driver.ErrBadConn), "and no more than both")
	})
}

// A bucket that other runs have filled meanwhile has no room for a refunded token.
func TestATokenThatComesBackFitsIntoTheBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retry.Policy{Backoff: constant(time.Hour), Budget: &retry.Budget{Reserve: 1, Ratio: 1}}
		ctx, cancel := context.WithCancel(t.Context())
		p.OnRetry = func(context.Context, retry.Failure) {
			assert.NoError(t, p.Do(t.Context(), fails(nil).run)) // pays for the token
			cancel()
		}
		assert.ErrorIs(t, p.Do(ctx, fails(driver.ErrBadConn).run), context.Canceled)
		p.OnRetry = nil
		assert.Equal(t, 2, attemptsOf(p, driver.ErrBadConn), "from the reserve")
		assert.Equal(t, 1, attemptsOf(p, driver.ErrBadConn), "from an empty bucket")
	})
}

func TestContextThatEndedBeforePutsNothingBack(t *testing.T) {
	p := retry.Policy{MaxAttempts: 2, Interval: -1, Budget: &retry.Budget{Reserve: 1}}
	assert.Equal(t, 2, attemptsOf(p, driver.ErrBadConn))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = p.Do(ctx, fails(nil).run)
	assert.Equal(t, 1, attemptsOf(p, driver.ErrBadConn))
}

func TestBudgetHoldsUnderContention(t *testing.T) {
	b := &retry.Budget{Reserve: 50, Ratio: 0.5}
	p := retry.Policy{MaxAttempts: 2, Interval: -1, Budget: b}
	var repeated, succeeded atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				repeated.Add(int64(attemptsOf(p, driver.ErrBadConn) - 1))
				attemptsOf(p, nil)
				succeeded.Add(1)
			}
		})
	}
	wg.Wait()
	// The bucket is never full, so no fraction of a token is lost.
	require.LessOrEqual(t, repeated.Load(), 50+succeeded.Load()/2)
	require.GreaterOrEqual(t, repeated.Load(), 50+succeeded.Load()/2-8)
}
