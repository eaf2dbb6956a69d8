package retry

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

// anyDuration draws from all durations, and often those where arithmetic may
// overflow.
func anyDuration() *rapid.Generator[time.Duration] {
	return rapid.OneOf(
		rapid.Map(rapid.Int64(), func(n int64) time.Duration { return time.Duration(n) }),
		rapid.SampledFrom([]time.Duration{math.MinInt64, -1, 0, 1, 2, math.MaxInt64/2 + 1, math.MaxInt64 - 1, math.MaxInt64}),
	)
}

func TestWaitsStayWithinTheirDoublingBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		interval := anyDuration().Filter(func(d time.Duration) bool { return d > 0 }).Draw(t, "interval")
		maxInterval := anyDuration().Filter(func(d time.Duration) bool { return d > 0 }).Draw(t, "maxInterval")
		limit := float64(max(interval, maxInterval))

		j := newFullJitter(interval, maxInterval)
		for n := range 100 {
			bound := min(math.Ldexp(float64(interval), n), limit)
			if wait := j.NextBackOff(); wait <= 0 || float64(wait) > bound {
				t.Fatalf("wait %d = %d, want within (0, %.0f]", n+1, wait, bound)
			}
		}
	})
}

func TestWaitsNeverOverflow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		interval, maxInterval := anyDuration().Draw(t, "interval"), anyDuration().Draw(t, "maxInterval")
		j := newFullJitter(interval, maxInterval)
		for n := range 10_000 {
			wait := j.NextBackOff()
			if wait < 0 || (wait == 0) != (interval < 0) {
				t.Fatalf("wait %d = %d", n+1, wait)
			}
		}
		if maxInterval < 0 && interval >= 0 && j.bound != math.MaxInt64 {
			t.Fatalf("bound %d after 10,000 waits without a limit", j.bound)
		}
	})
}

func TestBoundDoublesUpToItsLimit(t *testing.T) {
	for _, tc := range []struct {
		name            string
		interval, limit time.Duration
		want            []time.Duration // the bounds of the first waits
	}{
		{"by default", 0, 0, []time.Duration{100e6, 200e6, 400e6, 800e6, 1600e6, 3200e6, 6400e6, 10e9, 10e9}},
		{"up to a limit between two steps", 3, 10, []time.Duration{3, 6, 10, 10}},
		{"up to a limit that is a step", 3, 12, []time.Duration{3, 6, 12, 12}},
		{"from an interval above the limit", 20, 10, []time.Duration{20, 20}},
		{"from an interval above the default limit", time.Minute, 0, []time.Duration{60e9, 60e9}},
		{"from a negative interval", -1, 10, []time.Duration{0, 0}},
		{"from the longest interval", math.MaxInt64, -1, []time.Duration{math.MaxInt64, math.MaxInt64}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j := newFullJitter(tc.interval, tc.limit)
			var got []time.Duration
			for range tc.want {
				got = append(got, j.bound)
				j.NextBackOff()
			}
			assert.Equal(t, tc.want, got)

			j.Reset()
			assert.Equal(t, tc.want[0], j.bound, "after Reset")
		})
	}
}

// A jitter that only varied around the bound would leave whole tenths of the
// range empty.
func TestJitterSpreadsEvenlyFromZeroToTheBound(t *testing.T) {
	const draws, bound = 100_000, time.Second
	var tenths [10]int
	for range draws {
		wait := newFullJitter(bound, bound).NextBackOff()
		tenths[(wait-1)*10/bound]++
	}
	for i, n := range tenths {
		// 10,000 are expected; a deviation of 6 sigma has odds of 1 in 10^9.
		assert.InDelta(t, draws/10, n, 570, "tenth %d", i)
	}
}
