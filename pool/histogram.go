package pool

import (
	"math/bits"
	"time"
)

const (
	firstBound = 100 * time.Microsecond
	bounds     = 20 // each bound is twice the one before; the last is about 52 s
)

// Histogram counts durations by length. The zero value is empty.
type Histogram struct {
	// Counts[i] is the number of durations up to HistogramBounds()[i] that are longer
	// than the bound before it. The last element counts the durations longer than all
	// bounds.
	Counts [bounds + 1]int64 `json:"counts"`

	Sum time.Duration `json:"sum_ns"` // of all durations
}

// HistogramBounds returns the bounds of a Histogram: 100 µs, 200 µs, 400 µs and so on
// to 52 s.
func HistogramBounds() []time.Duration {
	all := make([]time.Duration, bounds)
	for i := range all {
		all[i] = firstBound << i
	}
	return all
}

// add counts d.
func (h *Histogram) add(d time.Duration) {
	i := bits.Len64(uint64(max(d-1, 0) / firstBound))
	h.Counts[min(i, bounds)]++
	h.Sum += d
}

// Count returns the number of durations in h.
func (h Histogram) Count() (n int64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Add returns the sum of h and other.
func (h Histogram) Add(other Histogram) Histogram {
	for i, n := range other.Counts {
		h.Counts[i] += n
	}
	h.Sum += other.Sum
	return h
}

// Sub returns the durations counted since older, an earlier copy of h.
func (h Histogram) Sub(older Histogram) Histogram {
	for i, n := range older.Counts {
		h.Counts[i] -= n
	}
	h.Sum -= older.Sum
	return h
}

// Quantile estimates the q-quantile of the durations in h, for q from 0 to 1; 0.5 is the
// median. It assumes that durations are spread evenly between two bounds, and never
// returns more than the last bound. If h is empty, it returns zero.
func (h Histogram) Quantile(q float64) time.Duration {
	rank := min(max(q, 0), 1) * float64(h.Count())
	below, lower := 0.0, time.Duration(0)
	for i, n := range h.Counts[:bounds] {
		upper := firstBound << i
		if n > 0 && below+float64(n) >= rank {
			return lower + time.Duration(float64(upper-lower)*(rank-below)/float64(n))
		}
		below, lower = below+float64(n), upper
	}
	if below == 0 && h.Counts[bounds] == 0 {
		return 0
	}
	return lower
}
