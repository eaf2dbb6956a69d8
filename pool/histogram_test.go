package pool

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestHistogramCountsByBound(t *testing.T) {
	all := HistogramBounds()
	assert.Equal(t, 100*time.Microsecond, all[0])
	assert.Equal(t, 52428800*time.Microsecond, all[len(all)-1])
	for i, bound := range all {
		var h Histogram
		h.add(bound)
		h.add(bound + 1)
		assert.Equal(t, [2]int64{1, 1}, [2]int64{h.Counts[i], h.Counts[i+1]}, "%v and 1 ns more", bound)
		assert.Equal(t, 2*bound+1, h.Sum)
		assert.Equal(t, int64(2), h.Count())
	}
	var h Histogram
	for _, d := range []time.Duration{-time.Second, 0, 1} {
		h.add(d)
	}
	assert.Equal(t, int64(3), h.Counts[0])
	h.add(forever)
	assert.Equal(t, int64(1), h.Counts[len(all)])
}

func TestHistogramQuantile(t *testing.T) {
	var h Histogram
	assert.Zero(t, h.Quantile(0.5), "of an empty histogram")
	for range 75 {
		h.add(150 * time.Microsecond) // in 100 to 200 µs
	}
	before := h
	for range 25 {
		h.add(time.Millisecond) // in 800 to 1600 µs
	}
	for q, want := range map[float64]time.Duration{
		-1: 100 * time.Microsecond, 0: 100 * time.Microsecond, 0.3: 140 * time.Microsecond, 0.75: 200 * time.Microsecond,
		0.8: 960 * time.Microsecond, 1: 1600 * time.Microsecond, 2: 1600 * time.Microsecond,
	} {
		assert.InDelta(t, want, h.Quantile(q), float64(time.Microsecond), "%v", q)
	}
	since := h.Sub(before)
	assert.Equal(t, int64(25), since.Count())
	assert.Equal(t, 25*time.Millisecond, since.Sum)
	assert.Greater(t, since.Quantile(0), 799*time.Microsecond)

	h.add(time.Hour)
	assert.Equal(t, HistogramBounds()[bounds-1], h.Quantile(1), "the estimate stops at the last bound")
}
