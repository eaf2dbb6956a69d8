package main

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// tally is the result of a load. One goroutine uses it at a time.
type tally struct {
	elapsed time.Duration
	errors  int64
	first   error // the earliest
	firstAt time.Time

	// Times of successful requests, in nanoseconds. total is the sum of get, use, and
	// the release or close.
	get, use, total *hdrhistogram.Histogram
}

// longest is the longest time counted. Longer times count as this.
const longest = time.Hour

func newTally() *tally {
	h := func() *hdrhistogram.Histogram {
		return hdrhistogram.New(1, int64(longest), 2) // accurate to within 1 %; 36 KiB
	}
	return &tally{get: h(), use: h(), total: h()}
}

// requests returns the number of successful requests.
func (t *tally) requests() int64 { return t.total.TotalCount() }

// perSecond returns the rate of successful requests.
func (t *tally) perSecond() float64 {
	if t.elapsed <= 0 {
		return 0
	}
	return float64(t.requests()) / t.elapsed.Seconds()
}

func (t *tally) succeeded(get, use, total time.Duration) {
	record(t.get, get)
	record(t.use, use)
	record(t.total, total)
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(int64(min(d, longest))) // fails only for values out of range
}

func (t *tally) failed(at time.Time, err error) {
	t.errors++
	if t.first == nil || at.Before(t.firstAt) {
		t.first, t.firstAt = err, at
	}
}

// add adds the counts of other.
func (t *tally) add(other *tally) {
	t.get.Merge(other.get)
	t.use.Merge(other.use)
	t.total.Merge(other.total)
	errors := t.errors + other.errors
	if other.first != nil {
		t.failed(other.firstAt, other.first)
	}
	t.errors = errors
}
