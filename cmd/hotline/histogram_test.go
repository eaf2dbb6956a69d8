package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/assert"
)

func histogram(times ...time.Duration) *hdrhistogram.Histogram {
	h := newTally().get
	for _, d := range times {
		record(h, d)
	}
	return h
}

func TestBinsAreCutAtOneTwoAndFive(t *testing.T) {
	for _, tc := range []struct {
		name  string
		times []time.Duration
		want  []bin
	}{
		{"nothing", nil, []bin{}},
		{"no time at all", []time.Duration{0}, []bin{{1, 1}}},
		{"edges belong to the bin below", []time.Duration{1, 2, 5, 10}, []bin{{1, 1}, {2, 1}, {5, 1}, {10, 1}}},
		{"above an edge", []time.Duration{3, 6, 11}, []bin{{5, 1}, {10, 1}, {20, 1}}},
		{"empty bins between", []time.Duration{15, 15, 120}, []bin{{20, 2}, {50, 0}, {100, 0}, {200, 1}}},
		{"long times", []time.Duration{30 * time.Second}, []bin{{50 * time.Second, 1}}},
	} {
		t.Run(tc.name, func(t *testing.T) { assert.Equal(t, tc.want, bins(histogram(tc.times...))) })
	}
}

func TestHistogramsAreDrawnSideBySide(t *testing.T) {
	var out bytes.Buffer
	a, b := []time.Duration{}, []time.Duration{}
	for range 96 {
		a = append(a, 900*time.Microsecond)
		b = append(b, 4*time.Millisecond)
	}
	a = append(a, 1500*time.Microsecond, 1500*time.Microsecond, 1500*time.Microsecond, 1500*time.Microsecond)
	b = append(b, 15*time.Millisecond, 9*time.Millisecond, 9*time.Millisecond, 9*time.Millisecond)
	printHistogram(&out, "ping", []series{{"one", histogram(a...)}, {"two", histogram(b...)}})
	assert.Equal(t, `
ping            one                           two
  up to    1ms   96.00% ████████████████████
  up to    2ms    4.00% ▊
  up to    5ms                                 96.00% ████████████████████
  up to   10ms                                  3.00% ▋
  up to   20ms                                  1.00% ▏
`, out.String())
}

func TestHistogramOfNothingHasNoBars(t *testing.T) {
	var out bytes.Buffer
	printHistogram(&out, "ping", []series{{"one", histogram()}, {"two", histogram(900 * time.Microsecond)}})
	assert.Equal(t, `
ping            one                           two
  up to    1ms                                100.00% ████████████████████
`, out.String())
	out.Reset()
	printHistogram(&out, "ping", []series{{"one", histogram()}})
	assert.Equal(t, "\nping            one\n", out.String())
}

func TestBarShowsTheSmallestPart(t *testing.T) {
	for _, tc := range []struct {
		n, highest int64
		want       string
	}{
		{1, 1_000_000, "▏"},
		{1, barWidth * 8, "▏"},
		{7, barWidth * 8, "▉"},
		{8, barWidth * 8, "█"},
		{1, 1, "████████████████████"},
	} {
		assert.Equal(t, tc.want, bar(tc.n, tc.highest), "%d of %d", tc.n, tc.highest)
	}
}
