package roster

import (
	"iter"
	"reflect"
	"strings"

	"github.com/hotline-go/hotline/pool"
)

// Closes returns the counters of c by cause, as in pool.CloseInfo.Cause.
func Closes(c pool.Closes) iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		v := reflect.ValueOf(c)
		for i := range v.NumField() {
			if !yield(strings.ToLower(v.Type().Field(i).Name), v.Field(i).Int()) {
				return
			}
		}
	}
}

// Failures returns how many callers got no connection, by reason.
func Failures(s *pool.Stats) map[string]int64 {
	return map[string]int64{"timeout": s.Timeouts, "canceled": s.Canceled, "rejected": s.Rejected, "connect": s.Failed}
}

// Suspects returns how many leases of s may be leaked.
func Suspects(s *pool.Snapshot) (n int) {
	for i := range s.Conns {
		if s.Conns[i].Suspect {
			n++
		}
	}
	return n
}

// MaxIdle returns how many idle connections the pool of s keeps: MaxOpen if it has no
// other limit.
func MaxIdle(s *pool.Snapshot) int {
	if s.MaxIdle < 0 {
		return s.Stats.MaxOpen
	}
	return s.MaxIdle
}

// Bounds returns pool.HistogramBounds in seconds.
func Bounds() (seconds []float64) {
	for _, b := range pool.HistogramBounds() {
		seconds = append(seconds, b.Seconds())
	}
	return seconds
}
