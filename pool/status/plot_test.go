package status

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/pool"
)

// minute is the frame of a page opened a minute ago. history has the samples of its
// pool.
var (
	minute  = frame{to: time.Minute, window: time.Minute}
	history = []sample{
		{at: 0, state: pool.Healthy, took: 5, leased: 1, limit: math.MaxInt},
		{at: 30 * time.Second, state: pool.Down, took: 5, leased: 4, limit: 5},
		{at: 45 * time.Second, state: pool.Down, took: 15, leased: 0, limit: 5},
		{at: time.Minute, state: pool.Healthy, took: 15, leased: 9, limit: 5},
	}
)

func TestAPathIsInTheFrame(t *testing.T) {
	limit := func(s *sample) float32 { return s.limit }
	for _, tc := range []struct {
		name    string
		history []sample
		value   func(*sample) float32
		want    string
	}{
		{"values", history, leased, "M0 87.5L300 50.0L450 100.0L600 0.0"},
		{"zeros", history, waiting, ""},
		{"no limit at first", history, limit, "M300 37.5L450 37.5L600 37.5"},
		{"a dot", history[1:2], leased, "M300 50.0h0"},
		{"nothing", nil, leased, ""},
		{"before the frame", []sample{{at: -time.Hour, leased: 8}, history[1]}, leased, "M0 0.0L300 50.0"},
	} {
		assert.Equal(t, tc.want, minute.path(tc.history, tc.value, 8), tc.name)
	}
	assert.Equal(t, "M0 87.5L300 50.0L450 100.0L600 0.0L600 100H0Z", minute.filled(minute.path(history, leased, 8), history))
}

func TestAPlotEndsItsScaleWithARoundNumber(t *testing.T) {
	for v, want := range map[float32]float32{0.2: 0.2, 0.21: 0.4, 1: 1, 3: 4, 7: 8, 9: 10, 10: 10, 1234: 1600, 8001: 10000} {
		assert.InEpsilon(t, want, roundUp(v), 1e-6, "%v", v)
	}
	for v, want := range map[float32]float32{0.003: 0.004, 9: 10, 11: 20, 21: 60, 61: 120, 700: 1200, 1300: 1600} {
		assert.InEpsilon(t, want, roundUpTime(v), 1e-6, "%v", v)
	}
}

func TestTheStripSaysHowLongEachStateLasted(t *testing.T) {
	blocks, text := minute.strip(history)
	assert.Equal(t, []block{
		{pool.Healthy, 0, 11, 0, 5}, // before the frame
		{pool.Down, 250, 0, 200, 16},
		{pool.Healthy, 450, 11, 150, 5},
	}, blocks)
	assert.Equal(t, "In this time: down for 20 s, healthy for 20 s.", strings.ReplaceAll(text, space, " "))
	_, text = minute.strip(nil)
	assert.Contains(t, text, "The first sample")
}

func TestNumbersAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "–", -time.Second: "–", 15: "15 ns", 1500: "1.5 µs", 1250 * time.Microsecond: "1.25 ms", 120 * time.Millisecond: "120 ms",
		12345 * time.Millisecond: "12.3 s", 59 * time.Second: "59 s", time.Minute: "1 min", 192 * time.Second: "3 min 12 s",
		5*time.Hour + 12*time.Minute: "5 h 12 min", 47 * time.Hour: "47 h", 76 * time.Hour: "3 d 4 h",
	} {
		assert.Equal(t, want, strings.ReplaceAll(span(d), space, " "), "%v", d)
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1234567: "1,234,567", -1000: "-1,000"} {
		assert.Equal(t, want, number(n))
	}
	for f, want := range map[float32]string{0: "0", 0.001: "< 0.01", 0.333: "0.33", 12.34: "12.3", 1234.5: "1,235", 20: "20"} {
		assert.Equal(t, want, rate(f))
	}
	assert.Equal(t, []string{"∞", "10"}, []string{limit(math.MaxInt), limit(10)})
}
