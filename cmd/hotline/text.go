package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// short prints d with three significant digits.
func short(d time.Duration) string {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}

// cell prints d with one decimal and a unit of two letters, so that the decimal points of
// a column line up.
func cell(d time.Duration) string {
	unit, names := time.Nanosecond, []string{"ns", "µs", "ms", " s"}
	for d >= 1000*unit && len(names) > 1 {
		unit, names = 1000*unit, names[1:]
	}
	return fmt.Sprintf("%.1f%s", float64(d)/float64(unit), names[0])
}

// grouped prints n with commas between the thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// count prints n and the noun, in the plural unless n is 1.
func count[N int | int64](n N, noun string) string {
	text := grouped(int64(n)) + " " + noun
	switch {
	case n == 1:
		return text
	case strings.HasSuffix(noun, "s"):
		return text + "es"
	}
	return text + "s"
}

// lineWidth fits on any terminal.
const lineWidth = 78

// printWords prints words on indented lines.
func printWords(w io.Writer, words []string) {
	line := " "
	for _, word := range words {
		if len(line)+1+len(word) > lineWidth && line != " " {
			fmt.Fprintln(w, line)
			line = " "
		}
		line += " " + word
	}
	fmt.Fprintln(w, line)
}

// printTable prints rows in columns, the first aligned left, the others right. Rows may
// have different lengths. The first is the header.
func printTable(w io.Writer, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for i, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line.WriteString(cell + padding)
			} else {
				line.WriteString("  " + padding + cell)
			}
		}
		text := strings.TrimRight(line.String(), " ")
		if i == 0 {
			text = paint(w, bold, text)
		}
		fmt.Fprintln(w, text)
	}
}
