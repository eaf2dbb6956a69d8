package main

import (
	"fmt"
	"strconv"
	"strings"
)

// spread prints a median and its confidence interval, as benchstat does.
func spread(s summary, format func(float64) string) string {
	if s.min == s.max {
		return format(s.Center)
	}
	return format(s.Center) + " ± " + strings.Replace(s.PctRangeString(), "%", " %", 1)
}

// digits prints v with three significant digits.
func digits(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// duration prints nanoseconds.
func duration(ns float64) string {
	for _, u := range []struct {
		name string
		ns   float64
	}{{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}} {
		if ns >= 0.9995*u.ns { // which rounds to 1.00
			return digits(ns/u.ns) + " " + u.name
		}
	}
	return digits(ns) + " ns"
}

// number prints a count with a comma for each thousand.
func number(v float64) string {
	s := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// closely is like times, for ratios where a percent matters.
func closely(v float64) string { return fmt.Sprintf("%.3f", v) }

func times(v float64) string   { return digits(v) }
func percent(v float64) string { return digits(v) + " %" }
func inBytes(v float64) string { return fmt.Sprintf("%.0f B", v) }
