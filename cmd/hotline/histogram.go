package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// bin is the part of a histogram between the bin before and UpTo.
type bin struct {
	UpTo  time.Duration `json:"up_to_ns"`
	Count int64         `json:"count"`
}

// bins cuts h at 1, 2 and 5 times each power of ten, from the first nonempty bin to the
// last. h is accurate to within 1 %, and so are the cuts.
func bins(h *hdrhistogram.Histogram) []bin {
	all := []bin{}
	edge := time.Duration(1)
	for _, part := range h.Distribution() {
		if part.Count == 0 {
			continue
		}
		for int64(edge) < part.To {
			edge = nextEdge(edge)
			if len(all) > 0 {
				all = append(all, bin{UpTo: edge})
			}
		}
		if len(all) == 0 {
			all = append(all, bin{UpTo: edge})
		}
		all[len(all)-1].Count += part.Count
	}
	return all
}

// nextEdge returns the edge after d in the sequence 1, 2, 5, 10, 20 and so on.
func nextEdge(d time.Duration) time.Duration {
	power := time.Duration(1)
	for d/power >= 10 {
		power *= 10
	}
	if d/power == 2 {
		return 5 * power
	}
	return 2 * d
}

// series is a histogram with its name.
type series struct {
	name string
	*hdrhistogram.Histogram
}

// printHistogram draws histograms side by side, with a line per bin.
func printHistogram(w io.Writer, title string, all []series) {
	lines := []string{fmt.Sprintf("%-14s", title)}
	var first, last time.Duration
	for _, s := range all {
		if b := bins(s.Histogram); len(b) > 0 {
			if first == 0 || b[0].UpTo < first {
				first = b[0].UpTo
			}
			last = max(last, b[len(b)-1].UpTo)
		}
	}
	for edge := first; edge > 0 && edge <= last; edge = nextEdge(edge) {
		lines = append(lines, fmt.Sprintf("  up to %6s", short(edge)))
	}
	for _, s := range all {
		lines[0] += fmt.Sprintf("  %-*s", columnWidth, s.name)
		s.draw(lines[1:], first)
	}
	fmt.Fprintln(w)
	for _, line := range lines {
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

// The length of the longest bar, and the width of a column with its percentage.
const (
	barWidth    = 20
	columnWidth = 8 + barWidth
)

// draw adds a column to lines. The first line is for the bin up to first.
func (s series) draw(lines []string, first time.Duration) {
	counts := map[time.Duration]int64{}
	highest := int64(1)
	for _, b := range bins(s.Histogram) {
		counts[b.UpTo] = b.Count
		highest = max(highest, b.Count)
	}
	edge := first
	for i := range lines {
		text := ""
		if n := counts[edge]; n > 0 {
			text = fmt.Sprintf("%6.2f%% %s", 100*float64(n)/float64(s.TotalCount()), bar(n, highest))
		}
		lines[i] += fmt.Sprintf("  %-*s", columnWidth, text)
		edge = nextEdge(edge)
	}
}

// bar draws a bar for n; highest has the longest. It draws at least an eighth of
// a character.
func bar(n, highest int64) string {
	eighths := max(n*barWidth*8/highest, 1)
	return strings.Repeat("█", int(eighths/8)) + []string{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"}[eighths%8]
}
