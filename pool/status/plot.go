package status

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The size of a plot in its own units. The page stretches it.
const (
	plotWidth  = 600
	plotHeight = 100
)

// chart describes what a plot shows.
type chart struct {
	title, unit string
	word        func(float32) string // prints a value
	round       func(float32) float32
	least       float32 // the top of the scale is at least this
	series      []series
}

// series is a line of a chart.
type series struct {
	name, class string
	value       func(*sample) float32
	filled      bool
}

// charts are the plots of a pool.
var charts = []chart{
	{"Time in the queue", "", seconds, roundUpTime, 0.001, []series{
		{"p50", "one", func(s *sample) float32 { return s.p50 }, false},
		{"p99", "two", func(s *sample) float32 { return s.p99 }, false},
		{"longest, still waiting", "three", func(s *sample) float32 { return s.oldest }, false},
	}},
	{"Callers in the queue", "", whole, roundUp, 2, []series{
		{"waiting", "one", waiting, false},
	}},
	{"Acquires", "per second", rate, roundUp, 1, []series{
		{"all", "one", func(s *sample) float32 { return s.acquires }, false},
		{"had to wait", "two", func(s *sample) float32 { return s.waits }, false},
	}},
	{"Connections", "", whole, roundUp, 2, []series{
		{"open", "fill-light", open, true},
		{"in use", "fill-dark", leased, true},
		{"limit", "limit", func(s *sample) float32 { return s.limit }, false},
	}},
	{"Connects", "per second", rate, roundUp, 0.2, []series{
		{"succeeded", "one", func(s *sample) float32 { return s.connects }, false},
		{"failed", "fail", func(s *sample) float32 { return s.failures }, false},
	}},
	{"Failed callers", "per second", rate, roundUp, 0.2, []series{
		{"connect error", "one", func(s *sample) float32 { return s.failed }, false},
		{"timed out", "fail", func(s *sample) float32 { return s.timeouts }, false},
		{"canceled", "two", func(s *sample) float32 { return s.canceled }, false},
		{"turned away", "three", func(s *sample) float32 { return s.rejected }, false},
	}},
}

func open(s *sample) float32    { return s.open }
func leased(s *sample) float32  { return s.leased }
func waiting(s *sample) float32 { return s.waiting }

// plot is a chart of a pool, ready to be drawn.
type plot struct {
	Title, Unit, Top, Mid, Alt string
	Lines                      []line
}

// line is a path through the plot.
type line struct {
	Name, Class, Now string
	D                string // of the path
	Key              string // the path in the legend, on 22 by 10
}

// frame is the span of time that plots show.
type frame struct {
	to     time.Duration // since the page was opened
	window time.Duration
}

// windows are the lengths that a frame can have.
var windows = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, window}

// frame returns the shortest frame up to now that goes back to since.
func (w *watch) frame(since time.Time) frame {
	f := frame{to: w.at.Sub(w.opened), window: window}
	for _, d := range windows {
		if w.at.Sub(since) <= d {
			f.window = d
			break
		}
	}
	return f
}

func (f frame) words() string {
	if f.window == time.Minute {
		return "60 seconds"
	}
	return fmt.Sprintf("%d minutes", f.window/time.Minute)
}

// x is the horizontal position of a time.
func (f frame) x(at time.Duration) int {
	return max(0, int(math.Round(plotWidth*(1-float64(f.to-at)/float64(f.window)))))
}

// plot draws c.
func (f frame) plot(c chart, history []sample) plot {
	top := c.least
	for _, s := range c.series {
		top = max(top, highest(history, s.value))
	}
	top = c.round(top)
	p := plot{Title: c.title, Unit: c.unit, Top: c.word(top), Mid: c.word(top / 2)}
	for _, s := range c.series {
		l := line{Name: s.name, Class: s.class, Key: "M0 5H22", Now: none, D: f.path(history, s.value, top)}
		if len(history) > 0 {
			l.Now = c.word(s.value(&history[len(history)-1]))
		}
		if s.filled {
			l.Key, l.D = "M0 0H22V10H0Z", f.filled(l.D, history)
		}
		p.Alt += fmt.Sprintf("; %s: now %s, at most %s", s.name, l.Now, c.word(highest(history, s.value)))
		p.Lines = append(p.Lines, l)
	}
	p.Alt = strings.Join(strings.Fields(c.title+" "+c.unit), " ") + " in the last " + f.words() + p.Alt
	return p
}

// spark draws the connections in use, and when callers waited, for a row of the
// overview. It takes the highest of every few samples, so that about 30 remain.
func (f frame) spark(history []sample) []line {
	var coarse []sample
	for few := range slices.Chunk(history, len(history)/30+1) {
		s := few[len(few)-1]
		s.leased, s.waiting = highest(few, leased), highest(few, waiting)
		coarse = append(coarse, s)
	}
	return []line{
		{Class: "one", D: f.path(coarse, leased, max(1, highest(coarse, open)))},
		{Class: "fail", D: f.path(coarse, waiting, max(1, highest(coarse, waiting)))},
	}
}

// path draws a value over time, from 0 to top. It is empty if all values are zero. Values
// that mean no limit are not drawn.
func (f frame) path(history []sample, value func(*sample) float32, top float32) string {
	if highest(history, value) == 0 {
		return ""
	}
	var d []byte
	for i := range history {
		s := &history[i]
		v := value(s)
		if v >= unlimited {
			continue
		}
		draw := byte('L')
		if len(d) == 0 {
			draw = 'M'
		}
		d = strconv.AppendInt(append(d, draw), int64(f.x(s.at)), 10)
		d = strconv.AppendFloat(append(d, ' '), plotHeight*(1-float64(min(v/top, 1))), 'f', 1, 64)
	}
	if len(history) == 1 {
		d = append(d, "h0"...) // a dot
	}
	return string(d)
}

// filled closes the path d down to zero.
func (f frame) filled(d string, history []sample) string {
	if d == "" {
		return ""
	}
	return fmt.Sprintf("%sL%d %dH%dZ", d, f.x(history[len(history)-1].at), plotHeight, f.x(history[0].at))
}

// highest returns the highest value in history, except values that mean no limit.
func highest(history []sample, value func(*sample) float32) (most float32) {
	for i := range history {
		if v := value(&history[i]); v < unlimited {
			most = max(most, v)
		}
	}
	return most
}

// roundUp returns the next round number, for the end of a scale.
func roundUp(v float32) float32 {
	unit := float32(math.Pow(10, math.Floor(math.Log10(float64(v)))))
	for _, n := range []float32{1, 1.2, 1.6, 2, 4, 6, 8} {
		if v <= n*unit*1.0001 {
			return n * unit
		}
	}
	return 10 * unit
}

// roundUpTime is roundUp for seconds. Above 10 seconds, its steps suit minutes.
func roundUpTime(v float32) float32 {
	for _, n := range []float32{20, 60, 120, 240, 600, 1200} {
		if v > 10 && v <= n {
			return n
		}
	}
	return roundUp(v)
}
