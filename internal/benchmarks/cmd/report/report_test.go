package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// read returns the results in printed, the output of go test -bench.
func read(t *testing.T, printed string) *results {
	file := filepath.Join(t.TempDir(), "bench.txt")
	require.NoError(t, os.WriteFile(file, []byte(printed), 0o644))
	r, err := readResults(file)
	require.NoError(t, err)
	return r
}

const printed = `go: go1.99
goos: plan9
cores: 2
BenchmarkA/x=1/pool=hotline-2    1000   10.0 ns/op   0 allocs/op   0.50 share
BenchmarkA/x=1/pool=sql-2        1000   40.0 ns/op   2 allocs/op   0.90 share
BenchmarkA/x=1/pool=hotline-2    1000   30.0 ns/op   0 allocs/op   0.70 share
BenchmarkA/x=1/pool=sql-2        1000   60.0 ns/op   2 allocs/op   0.90 share
BenchmarkA/x=1/pool=hotline-2    1000   20.0 ns/op   0 allocs/op   0.60 share
BenchmarkA/x=1/pool=sql-2        1000   50.0 ns/op   2 allocs/op   0.90 share
`

func TestResultsAreReadInTheOrderOfTheRuns(t *testing.T) {
	r := read(t, printed)
	assert.Equal(t, []float64{10, 30, 20}, r.get("A/x=1/pool=hotline", "ns/op"))
	assert.Equal(t, []float64{0.5, 0.7, 0.6}, r.get("A/x=1/pool=hotline", "share"))
	assert.Equal(t, "go1.99", r.config["go"])
	assert.NoError(t, r.err)
}

func TestAMissingBenchmarkIsAnError(t *testing.T) {
	r := read(t, printed)
	r.get("A/x=1/pool=puddle", "ns/op")
	r.get("A/x=1/pool=sql", "p50-ns")
	assert.ErrorContains(t, r.err, "A/x=1/pool=puddle with ns/op")
	assert.ErrorContains(t, r.err, "A/x=1/pool=sql with p50-ns")
}

func TestRatiosAreTakenRunByRun(t *testing.T) {
	r := read(t, printed)
	hotline, sql := r.get("A/x=1/pool=hotline", "ns/op"), r.get("A/x=1/pool=sql", "ns/op")
	assert.Equal(t, []float64{0.25, 0.5, 0.4}, ratios(hotline, sql))
	assert.Equal(t, []float64{10, 20, 5}, least([]float64{10, 30, 20}, []float64{40, 20, 50}, []float64{20, 25, 5}))
}

func TestAGoalIsMetByTheMedian(t *testing.T) {
	for _, c := range []struct {
		name string
		goal goal
		want bool
	}{
		{"at the limit", goal{measured: []float64{1, 2, 9}, most: 2}, true},
		{"above it", goal{measured: []float64{1, 2.1, 2.2}, most: 2}, false},
		{"at the least", goal{measured: []float64{1, 2, 9}, most: 2, atLeast: true}, true},
		{"below it", goal{measured: []float64{1.8, 1.9, 9}, most: 2, atLeast: true}, false},
	} {
		assert.Equal(t, c.want, c.goal.met(), c.name)
	}
}

func TestAPoolTableShowsThePoolsThatHaveAllColumns(t *testing.T) {
	r := read(t, printed+"BenchmarkB/pool=hotline-2 1 5 ns/op\nBenchmarkB/pool=redigo-2 1 5 ns/op\n")
	assert.Equal(t, `|  | time | allocations |
|---|--:|--:|
| **hotline** | 20.0 ns ± ∞ | 0 |
| database/sql | 50.0 ns ± ∞ | 2 |
`, poolTable(r, []column{{"time", "A/x=1", "ns/op", duration}, {"allocations", "A/x=1", "allocs/op", number}}))
	assert.Equal(t, `|  | a | b |
|---|--:|--:|
| **hotline** | 20.0 ns ± ∞ | 5.00 ns |
`, poolTable(r, []column{{"a", "A/x=1", "ns/op", duration}, {"b", "B", "ns/op", duration}}))
}

func TestSpreadMatchesBenchstat(t *testing.T) {
	values := []float64{100, 101, 102, 103, 104, 105, 106, 107, 108, 109}
	assert.Equal(t, "104 ns ± 3 %", spread(summarize(values), duration)) // of 10, from the second to the ninth
	assert.Equal(t, "0", spread(summarize([]float64{0, 0, 0}), number))
}

func TestFormats(t *testing.T) {
	for want, got := range map[string]string{
		"0.50 ns": duration(0.5), "31.4 ns": duration(31.42), "1.00 µs": duration(1000), "1.00 ms": duration(999_600), "999 µs": duration(999_400), "250 ms": duration(250e6), "1.50 s": duration(1.5e9),
		"0": number(0), "999": number(999), "1,000": number(1000), "12,345,678": number(12345678),
		"256 B": inBytes(256), "0.35": times(0.35), "5.00 %": percent(5),
	} {
		assert.Equal(t, want, got)
	}
}

func TestTablesGoToTheirPlaces(t *testing.T) {
	text := "a\n<!-- bench: one -->\nold\nold\n<!-- end -->\nb\n<!-- bench: two -->\n<!-- end -->\nc\n"
	tables := map[string]string{"one": "1", "two": "2"}
	const want = "a\n<!-- bench: one -->\n\n1\n<!-- end -->\nb\n<!-- bench: two -->\n\n2\n<!-- end -->\nc\n"
	for _, text := range []string{text, want} { // a second time changes nothing
		got, err := replaceTables(text, tables)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := replaceTables("<!-- bench: three -->\n<!-- end -->", tables)
	assert.ErrorContains(t, err, `no table "three"`)
}

func TestChartsAreXMLForLightAndDark(t *testing.T) {
	for _, log := range []bool{false, true} {
		c := chart{title: "a < b", note: "n & m", log: log, format: duration, groups: []group{
			{"one", []row{{label: "x", at: 20, from: 15, to: 3000, ours: true}, {label: "y", at: 40, from: 40, to: 40}}},
			{"two", []row{{label: "z", at: 700, from: 600, to: 800}}},
		}}
		svg := string(c.svg())
		assert.Contains(t, svg, "prefers-color-scheme: dark")
		in := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := in.Token(); errors.Is(err, io.EOF) {
				break
			} else {
				require.NoError(t, err, svg)
			}
		}
		for _, s := range []string{">a &lt; b<", ">n &amp; m<", ">one<", ">two<", ">x<", ">y<", ">z<", ">20.0 ns<", ">700 ns<"} {
			assert.Contains(t, svg, s)
		}
		assert.NotContains(t, svg, "NaN")
	}
}

func TestAxesHaveRoomForAllRows(t *testing.T) {
	c := func(log bool, from, to float64) chart {
		return chart{log: log, groups: []group{{"", []row{{at: from, from: from, to: to}}}}}
	}
	for _, test := range []struct {
		from, to float64
		log      bool
		ticks    []float64
	}{
		{20, 3000, true, []float64{10, 100, 1000, 10000}},
		{100, 1000, true, []float64{100, 1000}},
		{3, 87, false, []float64{0, 20, 40, 60, 80, 100}},
		{3, 437, false, []float64{0, 100, 200, 300, 400, 500}},
		{0.5, 1, false, []float64{0, 0.2, 0.4, 0.6, 0.8, 1}},
	} {
		name := fmt.Sprintf("%v to %v, log %v", test.from, test.to, test.log)
		a := c(test.log, test.from, test.to).axis()
		assert.InDeltaSlice(t, test.ticks, a.ticks, 1e-9, name)
		assert.GreaterOrEqual(t, a.x(test.from), float64(plotLeft), name)
		assert.LessOrEqual(t, math.Round(a.x(test.to)), float64(plotRight), name)
	}
}

func TestTicksHaveNoTrailingZeros(t *testing.T) {
	for tick, want := range map[string]string{
		"10.0 ns": "10 ns", "100 ns": "100 ns", "0.10 %": "0.1 %", "0.00 ns": "0 ns", "1.50 µs": "1.5 µs", "0.05 %": "0.05 %", "1,000": "1,000",
	} {
		assert.Equal(t, want, trailingZeros.ReplaceAllString(tick, "$1"))
	}
}

// The stored data, tables and plots belong together.
func TestTheDocumentShowsTheStoredData(t *testing.T) {
	r, err := readResults("../../" + dataFile)
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join("../..", document))
	require.NoError(t, err)
	again, err := replaceTables(string(text), tables(r))
	require.NoError(t, err)
	assert.True(t, again == string(text), "%s is old: run go run ./cmd/report -n 0", document)
	for name, chart := range charts(r) {
		svg, err := os.ReadFile(filepath.Join("../..", plotDir, name+".svg"))
		require.NoError(t, err)
		assert.True(t, bytes.Equal(chart.svg(), svg), "the plot %s is old: run go run ./cmd/report -n 0", name)
	}
	require.NoError(t, r.err)
}
