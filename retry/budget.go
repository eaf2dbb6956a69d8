package retry

import (
	"math"
	"sync/atomic"
)

// Budget limits the repetitions of many runs together, so that retries don't
// multiply the load on a peer in an outage. Make one for each peer, and put it
// into every Policy used for that peer. The zero value works.
//
// It is a bucket of tokens, full at the start. A repetition takes a token before
// its wait; if it has none, Do gives up instead of waiting. If ctx ends during
// the wait, the token goes back. A run that succeeds puts Ratio of a token back.
// So, over any period,
//
//	repetitions <= Reserve + Ratio × successful runs
//
// and in a full outage, where no run succeeds, attempts <= runs + Reserve,
// whatever the number of runs and their MaxAttempts.
//
// A Budget is safe for use by many goroutines. While runs succeed at the first
// attempt, they only read it. Don't copy it or change its fields after its first
// use.
type Budget struct {
	// Ratio is the fraction of a token that a success puts back. Zero means 0.1.
	// More than 1 counts as 1. Negative means that successes put nothing back.
	Ratio float64

	// Reserve is how many tokens the bucket holds. Zero means 10, so that even a
	// program with few runs can retry. Negative means none: nothing is repeated.
	Reserve int

	spent atomic.Int64 // microtokens missing from a full bucket; never negative
}

const (
	token = 1_000_000 // microtokens, so that a Ratio keeps six digits

	defaultRatio   = 0.1
	defaultReserve = 10
)

// spend takes a token for a repetition and reports whether there was one. A nil
// Budget has no limit.
func (b *Budget) spend() bool {
	if b == nil {
		return true
	}
	size := b.size()
	for {
		spent := b.spent.Load()
		if spent > size-token {
			return false
		}
		if b.spent.CompareAndSwap(spent, spent+token) {
			return true
		}
	}
}

// earn puts back the fraction of a token for a success.
func (b *Budget) earn() {
	if b != nil {
		b.putBack(b.share())
	}
}

// refund puts back the token of a repetition that was not made.
func (b *Budget) refund() {
	if b != nil {
		b.putBack(token)
	}
}

// putBack puts n microtokens back, or fewer if the bucket is then full.
func (b *Budget) putBack(n int64) {
	for {
		spent := b.spent.Load()
		if spent == 0 || b.spent.CompareAndSwap(spent, max(0, spent-n)) {
			return
		}
	}
}

// size returns how many microtokens a full bucket holds.
func (b *Budget) size() int64 {
	switch {
	case b.Reserve == 0:
		return defaultReserve * token
	case b.Reserve < 0:
		return 0
	}
	return min(int64(b.Reserve), math.MaxInt64/token) * token
}

// share returns how many microtokens a success puts back.
func (b *Budget) share() int64 {
	switch {
	case b.Ratio == 0:
		return defaultRatio * token
	case b.Ratio > 0:
		return int64(min(b.Ratio, 1) * token)
	}
	return 0
}
