package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"
)

// results holds the measured values, one for each run, by benchmark and unit.
type results struct {
	config map[string]string
	values map[string]map[string][]float64
	err    error // names the values that get was asked for but that are missing
}

// cores matches the suffix that package testing adds to the name of a benchmark.
var cores = regexp.MustCompile(`-\d+$`)

// readResults reads the output of go test -bench.
func readResults(file string) (*results, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := &results{config: map[string]string{}, values: map[string]map[string][]float64{}}
	in := benchfmt.NewReader(f, file)
	for in.Scan() {
		switch record := in.Result().(type) {
		case *benchfmt.SyntaxError:
			return nil, record
		case *benchfmt.Result:
			r.add(record)
		}
	}
	return r, in.Err()
}

func (r *results) add(record *benchfmt.Result) {
	for _, c := range record.Config {
		r.config[c.Key] = string(c.Value)
	}
	name := cores.ReplaceAllString(string(record.Name), "")
	if r.values[name] == nil {
		r.values[name] = map[string][]float64{}
	}
	for _, v := range record.Values {
		unit, value := v.Unit, v.Value
		if v.OrigUnit != "" { // as it was printed, in nanoseconds
			unit, value = v.OrigUnit, v.OrigValue
		}
		r.values[name][unit] = append(r.values[name][unit], value)
	}
}

// has reports whether there is a benchmark with that name.
func (r *results) has(name string) bool { return r.values[name] != nil }

// get returns the values of a benchmark, in the order of the runs.
func (r *results) get(name, unit string) []float64 {
	v := r.values[name][unit]
	if len(v) == 0 {
		r.err = errors.Join(r.err, fmt.Errorf("%s has no benchmark %s with %s", dataFile, name, unit))
		return []float64{0}
	}
	return v
}

// summary is the median of some values, with its confidence interval.
type summary struct {
	benchmath.Summary
	min, max float64
}

// summarize computes the same median and interval as benchstat.
func summarize(values []float64) summary {
	s := benchmath.NewSample(append([]float64(nil), values...), &benchmath.DefaultThresholds)
	return summary{benchmath.AssumeNothing.Summary(s, 0.95), s.Values[0], s.Values[len(s.Values)-1]}
}

// each combines a and b run by run.
func each(a, b []float64, f func(a, b float64) float64) []float64 {
	c := make([]float64, min(len(a), len(b)))
	for i := range c {
		c[i] = f(a[i], b[i])
	}
	return c
}

// ratios divides a by b run by run.
func ratios(a, b []float64) []float64 {
	return each(a, b, func(a, b float64) float64 { return a / b })
}

// least returns the least of several values, run by run.
func least(first []float64, others ...[]float64) []float64 {
	for _, o := range others {
		first = each(first, o, func(a, b float64) float64 { return min(a, b) })
	}
	return first
}
