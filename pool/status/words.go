package status

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// none is printed for a missing number.
const none = "–"

// space keeps a number and its unit on one line.
const space = "\u00a0"

// span prints d to two or three digits: 1.25 ms, 12.5 s, 3 min 12 s, 5 h 12 min.
func span(d time.Duration) string {
	switch {
	case d <= 0:
		return none
	case d < time.Microsecond:
		return digits(float64(d)) + space + "ns"
	case d < time.Millisecond:
		return digits(float64(d)/1e3) + space + "µs"
	case d < time.Second:
		return digits(float64(d)/1e6) + space + "ms"
	case d < time.Minute:
		return digits(d.Seconds()) + space + "s"
	case d < time.Hour:
		return pair(d, time.Minute, "min", time.Second, "s")
	case d < 48*time.Hour:
		return pair(d, time.Hour, "h", time.Minute, "min")
	}
	return pair(d, 24*time.Hour, "d", time.Hour, "h")
}

// since is span of the time from t to now, or none if t is zero.
func since(t, now time.Time) string {
	if t.IsZero() {
		return none
	}
	return span(now.Sub(t).Round(time.Second))
}

// pair prints d in two units.
func pair(d, big time.Duration, bigName string, small time.Duration, smallName string) string {
	text := strconv.Itoa(int(d/big)) + space + bigName
	if rest := d % big / small; rest > 0 {
		text += space + strconv.Itoa(int(rest)) + space + smallName
	}
	return text
}

// seconds is span of a number of seconds.
func seconds(s float32) string { return span(time.Duration(float64(s) * float64(time.Second))) }

// digits prints f with three digits, or with all digits before the point.
func digits(f float64) string {
	switch {
	case f >= 99.95:
		return number(int64(math.Round(f)))
	case f >= 9.995:
		return trim(strconv.FormatFloat(f, 'f', 1, 64))
	}
	return trim(strconv.FormatFloat(f, 'f', 2, 64))
}

// trim cuts zeros after the point.
func trim(s string) string { return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") }

// rate prints a number per second.
func rate(f float32) string {
	if f > 0 && f < 0.01 {
		return "< 0.01"
	}
	return digits(float64(f))
}

// whole prints a number of things.
func whole(f float32) string { return number(int64(f)) }

// number prints n with commas between the thousands.
func number(n any) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// unlimited is the least number that means no limit of connections.
const unlimited = 1 << 20

// limit prints a limit of connections.
func limit(n int) string {
	if n >= unlimited {
		return "∞"
	}
	return number(n)
}

// clock prints t for people, stamp for programs.
func clock(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// capital returns text, which is ASCII, with a capital first letter.
func capital(text fmt.Stringer) string {
	s := text.String()
	return strings.ToUpper(s[:1]) + s[1:]
}

// first returns the first line of text.
func first(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
