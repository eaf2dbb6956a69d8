package main

import (
	"fmt"
	"maps"
	"strings"
)

// plainNames has the names of the pools for readers.
var plainNames = map[string]string{
	"hotline":      "hotline",
	"channel":      "buffered channel",
	"bare-channel": "buffered channel, no ctx",
	"sql":          "database/sql",
	"puddle":       "puddle",
	"redigo":       "redigo",
	"commons":      "go-commons-pool",
}

var poolOrder = []string{"hotline", "bare-channel", "channel", "puddle", "redigo", "sql", "commons"}

// column is a column of a table: one unit of a benchmark, and how to print it.
type column struct {
	title  string
	bench  string
	unit   string
	format func(float64) string
}

// tables returns the tables by name.
func tables(r *results) map[string]string {
	const contended = "Contended/clients=128/size=8"
	const leaving = "Leaving/waiters=10000"
	tables := map[string]string{
		"machine": machine(r),
		"reach":   reachTable(goals(r)),
		"hot": poolTable(r, []column{
			{"serial", "Serial/ctx=background", "ns/op", duration},
			{"serial, cancelable ctx", "Serial/ctx=cancelable", "ns/op", duration},
			{"16 goroutines on 64", "Parallel/clients=16/size=64", "ns/op", duration},
			{"allocations", "Parallel/clients=16/size=64", "allocs/op", number},
		}),
		"contended": poolTable(r, []column{
			{"time per use", contended, "ns/op", duration},
			{"median wait", contended, "p50-ns", duration},
			{"99th percentile", contended, "p99-ns", duration},
			{"longest", contended, "max-ns", duration},
			{"smallest/largest share", contended, "share", times},
			{"allocations", contended, "allocs/op", number},
		}),
		"leaving": poolTable(r, []column{
			{"live throughput relative to undisturbed", leaving, "live-ratio", times},
			{"live, uses/s", leaving, "live-ops/s", number},
			{"undisturbed, uses/s", leaving, "undisturbed-ops/s", number},
			{"until the last waiter has left", leaving, "leave-ms", func(v float64) string { return duration(v * 1e6) }},
		}),
		"memory":    poolTable(r, []column{{"per idle connection", "Memory/size=10000", "B/conn", inBytes}}),
		"openclose": poolTable(r, []column{{"open, use once, close", "OpenClose", "ns/op", duration}, {"allocations", "OpenClose", "allocs/op", number}}),
		"session": poolTable(r, []column{
			{"time", "Session", "ns/op", duration},
			{"allocations", "Session", "allocs/op", number},
		}),
		"echo":   echoTable(r),
		"echo16": manyEchoTable(r),
		"tls":    tlsDistances.table(r),
		"tlsmem": tlsMemoryTable(r),
		"fill":   fillTable(r),
		"keeper": keeperTable(r),
		"keyed":  keyedTable(r),
	}
	maps.Copy(tables, mailTables(r))
	return tables
}

// table returns a table of rows below titles.
func table(titles []string, rows [][]string) string {
	var t strings.Builder
	line := func(cells []string) { t.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(titles)
	t.WriteString("|---|" + strings.Repeat("--:|", len(titles)-1) + "\n")
	for _, r := range rows {
		line(r)
	}
	return t.String()
}

// poolTable returns a table with a row for each pool that was measured in all
// columns.
func poolTable(r *results, columns []column) string {
	titles := []string{""}
	for _, c := range columns {
		titles = append(titles, c.title)
	}
	var rows [][]string
	for _, pool := range poolOrder {
		row := []string{plainNames[pool]}
		if pool == "hotline" {
			row[0] = "**hotline**"
		}
		for _, c := range columns {
			if name := c.bench + "/pool=" + pool; r.has(name) {
				row = append(row, spread(summarize(r.get(name, c.unit)), c.format))
			}
		}
		if len(row) == len(titles) {
			rows = append(rows, row)
		}
	}
	return table(titles, rows)
}

// The ways in which one client can use a connection that is kept, the dedicated one
// first.
const (
	echo      = "Echo/clients=1"
	dedicated = "dedicated-ns"
)

var echoWays = []struct{ unit, name string }{
	{dedicated, "a dedicated connection"},
	{"pool-ns", "hotline"},
	{"tcp-ns", "hotline, tcp driver"},
	{"do-ns", "hotline, tcp driver, Do"},
}

func echoTable(r *results) string {
	own := r.get(echo, dedicated)
	cells := func(name string, ns []float64) []string {
		return []string{name, spread(summarize(ns), duration), spread(summarize(ratios(ns, own)), times)}
	}
	var rows [][]string
	for _, way := range echoWays {
		rows = append(rows, cells(way.name, r.get(echo, way.unit)))
	}
	rows = append(rows, cells("a connection for each request", r.get(echo+"/conn=per-request", "ns/op")))
	return table([]string{"one client", "time", "relative to the first"}, rows)
}

func manyEchoTable(r *results) string {
	var rows [][]string
	for _, way := range []struct{ key, name string }{
		{"dedicated", "a dedicated connection"},
		{"pool", "hotline, tcp driver, Do"},
		{"per-request", "a connection for each request"},
	} {
		rows = append(rows, []string{way.name, spread(summarize(r.get("Echo/clients=16/conn="+way.key, "ns/op")), duration)})
	}
	return table([]string{"16 clients", "time per request"}, rows)
}

func tlsMemoryTable(r *results) string {
	var rows [][]string
	for _, name := range []string{"tcp", "tls"} {
		rows = append(rows, []string{name, spread(summarize(r.get("TLSMemory/driver="+name, "B/conn")), inBytes)})
	}
	return table([]string{"driver", "per idle connection"}, rows)
}

func fillTable(r *results) string {
	var rows [][]string
	for _, by := range []struct{ key, name string }{{"hotline", "**hotline**: New, then Ready"}, {"loop", "20 times net.Dial, one after the other"}} {
		rows = append(rows, []string{by.name, spread(summarize(r.get("Fill/size=20/by="+by.key, "ns/op")), duration)})
	}
	return table([]string{"", "time"}, rows)
}

func keeperTable(r *results) string {
	var rows [][]string
	for _, n := range keeperSizes {
		bench := fmt.Sprintf("Keeper/conns=%d", n)
		rows = append(rows, []string{
			number(float64(n)),
			spread(summarize(r.get(bench, "cpu-%")), percent),
			spread(summarize(r.get(bench, "B/conn")), inBytes),
			spread(summarize(r.get(bench, "goroutines")), number),
			spread(summarize(r.get(bench, "pings/conn")), times),
		})
	}
	return table([]string{"idle connections", "CPU time, of one core", "memory per connection", "most goroutines", "pings per connection in 30 s"}, rows)
}

// keyedTable compares pools by key with code written by hand.
func keyedTable(r *results) string {
	var rows [][]string
	for _, keys := range []string{"8", "100"} {
		for _, connect := range []string{"1ms", "20ms"} {
			row := []string{keys, connect}
			for _, pool := range []string{"hotline", "map+puddle+semaphore"} {
				bench := fmt.Sprintf("Keyed/keys=%s/connect=%s/pool=%s", keys, connect, pool)
				row = append(row, spread(summarize(r.get(bench, "connects/op")), closely), spread(summarize(r.get(bench, "peak")), number))
			}
			rows = append(rows, row)
		}
	}
	return table([]string{"keys", "time of a connect", "hotline: connects per call", "most open", "map and semaphore: connects per call", "most open"}, rows)
}

// machine describes the machine and the command of the measurement.
func machine(r *results) string {
	return fmt.Sprintf("Measured on %s with `%s` (in internal/benchmarks) on %s, %s cores, %s/%s, %s.\n",
		r.config["date"], r.config["command"], r.config["cpu"], r.config["cores"], r.config["goos"], r.config["goarch"], r.config["go"])
}
