package retry

import (
	"cmp"
	"math"
	"math/rand/v2"
	"time"
)

// fullJitter is the BackOff of a Policy without one: each wait is drawn evenly
// from (0, bound], and the bound doubles up to limit.
type fullJitter struct {
	first, bound, limit time.Duration // 0 < first <= bound <= limit, or all 0: no waits
}

// newFullJitter returns the fullJitter for Interval and MaxInterval of a Policy. Zero
// and negative mean the same as there.
func newFullJitter(interval, maxInterval time.Duration) *fullJitter {
	if interval < 0 {
		return &fullJitter{}
	}
	first := cmp.Or(interval, defaultInterval)
	limit := cmp.Or(maxInterval, defaultMaxInterval)
	if limit < 0 {
		limit = math.MaxInt64
	}
	return &fullJitter{first: first, bound: first, limit: max(limit, first)}
}

// NextBackOff implements backoff.BackOff.
func (j *fullJitter) NextBackOff() time.Duration {
	if j.bound == 0 {
		return 0
	}
	wait := rand.N(j.bound) + 1
	if j.bound > j.limit/2 { // doubled, it would exceed the limit or overflow
		j.bound = j.limit
	} else {
		j.bound *= 2
	}
	return wait
}

// Reset implements backoff.BackOff.
func (j *fullJitter) Reset() { j.bound = j.first }
