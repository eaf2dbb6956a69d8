package dsn

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Params is a table of parameters, each bound to a variable. The variable's
// value before Apply is the default. The zero Params is empty and ready to use.
type Params struct {
	list []*Param // in the order added
}

// Param is an entry in the table.
type Param struct {
	name   string
	want   string // what is allowed, for errors
	set    func(value string) error
	secret bool
}

// Secret keeps the parameter's value, and the error of its set function, out of
// the errors of Apply. It returns p.
func (p *Param) Secret() *Param {
	p.secret = true
	return p
}

// ErrUnfit is the error of a set function of [Params.Func] that has nothing to add
// to the text want.
var ErrUnfit = errors.New("unfit value")

// Func adds a parameter whose value is passed to set. If set fails, the error says
// "want " and the text want, followed by the error of set unless that is
// [ErrUnfit]. Func panics if the table already has the name.
func (p *Params) Func(name, want string, set func(value string) error) *Param {
	if slices.Contains(p.Names(), name) {
		panic("dsn: parameter " + name + " added twice")
	}
	param := &Param{name: name, want: want, set: set}
	p.list = append(p.list, param)
	return param
}

// add adds a parameter whose value parse turns into a T, or rejects.
func add[T any](p *Params, name, want string, v *T, parse func(value string) (_ T, ok bool)) *Param {
	return p.Func(name, want, func(value string) error {
		t, ok := parse(value)
		if !ok {
			return ErrUnfit
		}
		*v = t
		return nil
	})
}

// String adds a parameter whose value is any text, with any bytes.
func (p *Params) String(name string, v *string) *Param {
	return add(p, name, "text", v, func(s string) (string, bool) { return s, true })
}

// Bool adds a boolean parameter, in any format of strconv.ParseBool.
func (p *Params) Bool(name string, v *bool) *Param {
	return add(p, name, boolean, v, parseBool)
}

// boolean says in errors what the value of a bool may be.
const boolean = "true or false"

func parseBool(s string) (b, ok bool) {
	b, err := strconv.ParseBool(s)
	return b, err == nil
}

// Int adds a whole number from lowest to highest. math.MinInt and math.MaxInt
// mean no limit.
func (p *Params) Int(name string, v *int, lowest, highest int) *Param {
	want := "a whole number" + limits(lowest, highest, math.MinInt, math.MaxInt)
	return add(p, name, want, v, func(s string) (int, bool) {
		n, err := strconv.Atoi(s)
		return n, err == nil && lowest <= n && n <= highest
	})
}

// Float adds a number from lowest to highest. Infinities mean no limit.
func (p *Params) Float(name string, v *float64, lowest, highest float64) *Param {
	want := "a number" + limits(lowest, highest, math.Inf(-1), math.Inf(1))
	return add(p, name, want, v, func(s string) (float64, bool) {
		f, err := strconv.ParseFloat(s, 64)
		return f, err == nil && lowest <= f && f <= highest && !math.IsInf(f, 0)
	})
}

// Duration adds a duration in the format of time.ParseDuration, at least lowest.
// math.MinInt64 means no limit.
func (p *Params) Duration(name string, v *time.Duration, lowest time.Duration) *Param {
	want := "a Go duration" + limits(lowest, math.MaxInt64, math.MinInt64, math.MaxInt64) + ", such as 30s or 4m"
	return add(p, name, want, v, func(s string) (time.Duration, bool) {
		d, err := time.ParseDuration(s)
		return d, err == nil && lowest <= d
	})
}

// List adds a parameter with one or more items, separated by commas.
func (p *Params) List(name string, v *[]string) *Param {
	return add(p, name, "items separated by commas", v, func(s string) ([]string, bool) { return strings.Split(s, ","), true })
}

// Enum adds a parameter whose value is one of allowed.
func (p *Params) Enum(name string, v *string, allowed ...string) *Param {
	return add(p, name, strings.Join(allowed, " or "), v, func(s string) (string, bool) {
		return s, slices.Contains(allowed, s)
	})
}

// limits puts the range from lowest to highest into words. A lowest of noLowest and
// a highest of noHighest mean no limit.
func limits[T int | float64 | time.Duration](lowest, highest, noLowest, noHighest T) string {
	switch {
	case lowest > noLowest && highest < noHighest:
		return fmt.Sprintf(" from %v to %v", lowest, highest)
	case lowest > noLowest:
		return fmt.Sprintf(" of at least %v", lowest)
	case highest < noHighest:
		return fmt.Sprintf(" of at most %v", highest)
	}
	return ""
}

// Names returns the names in the order added.
func (p *Params) Names() []string {
	names := make([]string, len(p.list))
	for i, param := range p.list {
		names[i] = param.name
	}
	return names
}

// Apply sets the variables of the parameters in values and leaves the others
// alone. It reports all faults together: for an unknown name, the nearest known
// one; for a wrong value, what is allowed. If no known name is near an unknown one,
// the error does not show it: it is often the part of a password after an unescaped
// &. Apply sets the parameters without a fault even if others have one.
func (p *Params) Apply(values map[string]string) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(values)) {
		errs = append(errs, p.apply(name, values[name]))
	}
	return errors.Join(errs...)
}

func (p *Params) apply(name, value string) error {
	for _, param := range p.list {
		if param.name == name {
			return param.apply(value)
		}
	}
	known := p.Names()
	if near, ok := nearest(name, known); ok {
		return fmt.Errorf("dsn: unknown parameter %s; the nearest known one is %s", name, near)
	}
	all := "valid parameters: " + strings.Join(known, ", ")
	if len(known) == 0 {
		all = "there are no valid parameters"
	}
	if strings.HasPrefix(name, poolPrefix) && isWord(name) { // the pool has removed the names that it knows
		return fmt.Errorf("dsn: unknown parameter %s; %s", name, all)
	}
	return fmt.Errorf("dsn: unknown parameter, not shown because it may be part of a password that is not percent-encoded; %s "+
		"(parameters of a pool begin with %s)", all, poolPrefix)
}

// poolPrefix begins the names of the pool's parameters.
const poolPrefix = "pool_"

// isWord reports whether name has only lowercase letters and underscores.
func isWord(name string) bool {
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// maxTypos is how many edits may separate a typo from its name. They must also be
// no more than a third of its letters. With more, it is a different word:
// ping_timeout is four edits from user_timeout.
const maxTypos = 3

func (p *Param) apply(value string) error {
	err := p.set(value)
	switch {
	case err == nil:
		return nil
	case p.secret:
		return fmt.Errorf("dsn: parameter %s: want %s; the value is secret, so it is not shown", p.name, p.want)
	case err == ErrUnfit:
		return fmt.Errorf("dsn: parameter %s=%q: want %s", p.name, value, p.want)
	}
	return fmt.Errorf("dsn: parameter %s=%q: want %s: %w", p.name, value, p.want, err)
}

// nearest returns the first name in known with the smallest edit distance to name.
// ok reports whether that is near enough for name to be a typo, rather than part of
// a password.
func nearest(name string, known []string) (near string, ok bool) {
	if len(known) == 0 || !isWord(name) {
		return "", false
	}
	near = slices.MinFunc(known, func(a, b string) int { return distance(name, a) - distance(name, b) })
	return near, distance(name, near) <= min(len(name)/3, maxTypos)
}

// distance returns how many edits turn a into b: a byte inserted, deleted or
// replaced, or two neighbors swapped (Levenshtein with transpositions).
func distance(a, b string) int {
	// row[j] is the distance from a[:i+1] to b[:j]; above and above2 are the rows
	// for i-1 and i-2.
	row, above, above2 := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		row, above, above2 = above2, row, above
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(above[j]+cost, above[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], above2[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
