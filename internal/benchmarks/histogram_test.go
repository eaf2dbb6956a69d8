package benchmarks

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// histogram counts durations without allocating, to within 3 %.
type histogram struct {
	counts [59 * half]uint64
	total  uint64
	max    time.Duration
}

// half is the number of buckets in each doubling.
const half = 32

// bucket returns the index of the bucket of d.
func bucket(d time.Duration) int {
	shift := max(bits.Len64(uint64(d))-6, 0)
	return shift*half + int(d>>shift)
}

// floorOf returns the shortest duration in the bucket i.
func floorOf(i int) time.Duration {
	shift := max(i/half-1, 0)
	return time.Duration(i-shift*half) << shift
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucket(d)]++
	h.total++
	h.max = max(h.max, d)
}

func (h *histogram) merge(o *histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.total += o.total
	h.max = max(h.max, o.max)
}

// quantile returns the duration that a fraction q of all durations do not exceed.
func (h *histogram) quantile(q float64) time.Duration {
	left := uint64(q * float64(h.total))
	for i, n := range h.counts {
		if n > left {
			return floorOf(i)
		}
		left -= n
	}
	return h.max
}

func TestHistogramQuantilesAreAccurateToThreePercent(t *testing.T) {
	var a, b histogram
	var all []time.Duration
	for i := range 10_000 {
		d := time.Duration(rand.ExpFloat64() * float64(time.Millisecond))
		all = append(all, d)
		if i%2 == 0 {
			a.add(d)
		} else {
			b.add(d)
		}
	}
	a.merge(&b)
	slices.Sort(all)
	for _, q := range []float64{0, 0.01, 0.5, 0.99} {
		want := all[int(q*float64(len(all)))]
		got := a.quantile(q)
		assert.LessOrEqual(t, got, want, "quantile(%v)", q)
		assert.GreaterOrEqual(t, float64(got), float64(want)*0.97-1, "quantile(%v)", q)
	}
	assert.Equal(t, all[len(all)-1], a.max)
}

func TestHistogramHasABucketForEachDuration(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 31, 32, 63, 64, 65, time.Second, 1<<63 - 1} {
		i := bucket(d)
		assert.LessOrEqual(t, floorOf(i), d, "floor of the bucket of %d", d)
		if i+1 < len(histogram{}.counts) {
			assert.Greater(t, floorOf(i+1), d, "floor of the next bucket after that of %d", d)
		}
	}
}
