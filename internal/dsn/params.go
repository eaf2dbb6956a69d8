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
// value before Apply is the default. The zero Params is empty and ready.
type Params struct {
	list []*Param // in the order in which they were added
}

// Param is an entry of the table.
type Param struct {
	name   string
	want   string // what is allowed, for errors
	set    func(value string) error
	secret bool
}

// Secret keeps the value of the parameter, and what its set says about it, out
// of errors.
func (p *Param) Secret() *Param {
	p.secret = true
	return p
}

// ErrUnfit is what the set of a [Params.Func] returns where its want says it all.
var ErrUnfit = errors.New("unfit value")

// Func adds a parameter whose value is given to set. want completes the error
// "want ...", and the error of set is shown behind it unless that is
// [ErrUnfit]. It panics if the table has the name already.
func (p *Params) Func(name, want string, set func(value string) error) *Param {
	if slices.Contains(p.Names(), name) {
		panic("dsn: parameter " + name + " added twice")
	}
	param := &Param{name: name, want: want, set: set}
	p.list = append(p.list, param)
	return param
}

// add adds a parameter whose value parse turns into a T, or refuses.
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

// String adds a parameter of any text, which may hold any bytes.
func (p *Params) String(name string, v *string) *Param {
	return add(p, name, "a text", v, func(s string) (string, bool) { return s, true })
}

// Bool adds a parameter that is true or false.
func (p *Params) Bool(name string, v *bool) *Param {
	return add(p, name, "true or false", v, func(s string) (bool, bool) {
		b, err := strconv.ParseBool(s)
		return b, err == nil
	})
}

// Int adds a whole number from lowest to highest. math.MinInt and math.MaxInt
// stand for no limit.
func (p *Params) Int(name string, v *int, lowest, highest int) *Param {
	want := "a whole number" + limits(lowest, highest, math.MinInt, math.MaxInt)
	return add(p, name, want, v, func(s string) (int, bool) {
		n, err := strconv.Atoi(s)
		return n, err == nil && lowest <= n && n <= highest
	})
}

// Float adds a number from lowest to highest. Infinities stand for no limit.
func (p *Params) Float(name string, v *float64, lowest, highest float64) *Param {
	want := "a number" + limits(lowest, highest, math.Inf(-1), math.Inf(1))
	return add(p, name, want, v, func(s string) (float64, bool) {
		f, err := strconv.ParseFloat(s, 64)
		return f, err == nil && lowest <= f && f <= highest && !math.IsInf(f, 0)
	})
}

// Duration adds a duration in the form of time.ParseDuration, lowest or
// longer. math.MinInt64 stands for no limit.
func (p *Params) Duration(name string, v *time.Duration, lowest time.Duration) *Param {
	want := "a Go duration" + limits(lowest, math.MaxInt64, math.MinInt64, math.MaxInt64) + ", such as 30s or 4m"
	return add(p, name, want, v, func(s string) (time.Duration, bool) {
		d, err := time.ParseDuration(s)
		return d, err == nil && lowest <= d
	})
}

// Enum adds a text that is one of allowed.
func (p *Params) Enum(name string, v *string, allowed ...string) *Param {
	return add(p, name, strings.Join(allowed, " or "), v, func(s string) (string, bool) {
		return s, slices.Contains(allowed, s)
	})
}

// limits says in words what lies between lowest and highest. none and all are
// the values that stand for no limit.
func limits[T int | float64 | time.Duration](lowest, highest, none, all T) string {
	switch {
	case lowest > none && highest < all:
		return fmt.Sprintf(" from %v to %v", lowest, highest)
	case lowest > none:
		return fmt.Sprintf(" of at least %v", lowest)
	case highest < all:
		return fmt.Sprintf(" of at most %v", highest)
	}
	return ""
}

// Names returns the names in the order in which they were added.
func (p *Params) Names() []string {
	names := make([]string, len(p.list))
	for i, param := range p.list {
		names[i] = param.name
	}
	return names
}

// Apply sets the variables of the parameters in values and leaves the others
// alone. All faults are reported together: unknown names, each with the
// nearest that is known, or with all if none is near, and values that are not
// allowed, each with what is. The variables of parameters without a fault are
// set even then.
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
	if len(p.list) == 0 {
		return fmt.Errorf("dsn: unknown parameter %s; there are none", shown(name))
	}
	known := p.Names()
	if near := nearest(name, known); distance(name, near) <= min(len(name)/3, maxTypos) {
		return fmt.Errorf("dsn: unknown parameter %s; the nearest known one is %s", shown(name), near)
	}
	hint := ""
	if !strings.HasPrefix(name, "pool_") { // those are gone before a driver sees its DSN
		hint = " (those of a pool begin with pool_)"
	}
	return fmt.Errorf("dsn: unknown parameter %s%s; there are %s", shown(name), hint, strings.Join(known, ", "))
}

// shown returns the name of an unknown parameter as errors show it: not at all if
// it has anything but small letters and underscores, because then it is probably
// part of a password that was not escaped.
func shown(name string) string {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "(not shown: if it is part of a password, escape that)"
	}
	return name
}

// maxTypos is how many edits, of a third of the letters at most, leave a name
// near to another. More make one word of another: ping_timeout is four away
// from user_timeout.
const maxTypos = 3

func (p *Param) apply(value string) error {
	err := p.set(value)
	switch {
	case err == nil:
		return nil
	case p.secret:
		return fmt.Errorf("dsn: parameter %s: want %s; its value is a secret and not shown", p.name, p.want)
	case err == ErrUnfit:
		return fmt.Errorf("dsn: parameter %s=%q: want %s", p.name, value, p.want)
	}
	return fmt.Errorf("dsn: parameter %s=%q: want %s: %w", p.name, value, p.want, err)
}

// nearest returns the one of known with the smallest edit distance to name,
// the first of equals.
func nearest(name string, known []string) string {
	return slices.MinFunc(known, func(a, b string) int { return distance(name, a) - distance(name, b) })
}

// distance returns how many bytes to insert, delete or replace, or pairs of
// neighbours to swap, to make b of a (Levenshtein, with transpositions).
func distance(a, b string) int {
	// row[j] is the distance of a[:i+1] to b[:j]; above and above2 are those
	// of the two i before.
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
