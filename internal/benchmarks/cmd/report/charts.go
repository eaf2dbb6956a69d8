package main

import (
	"fmt"
	"strings"
)

// charts returns the plots by name.
func charts(r *results) map[string]chart {
	charts := map[string]chart{
		"hot":       hotChart(r),
		"contended": contendedChart(r),
		"share":     shareChart(r),
		"leaving":   leavingChart(r),
		"echo":      echoChart(r),
		"tls":       tlsDistances.chart(r),
		"memory":    memoryChart(r),
		"keeper":    keeperChart(r),
	}
	if hasMail(r) {
		charts["mail"] = mailDistances.chart(r)
	}
	return charts
}

// poolRows returns a row for each pool that was measured, made by f from the name of
// its benchmark.
func poolRows(r *results, bench string, f func(name string) row) []row {
	var rows []row
	for _, pool := range poolOrder {
		name := bench + "/pool=" + pool
		if r.has(name) {
			row := f(name)
			row.label, row.ours = plainNames[pool], pool == "hotline"
			rows = append(rows, row)
		}
	}
	return rows
}

// rowOf returns a row with the median of some values and their spread.
func rowOf(values []float64) row {
	s := summarize(values)
	return row{at: s.Center, from: s.min, to: s.max}
}

func hotChart(r *results) chart {
	rows := func(bench string) []row {
		return poolRows(r, bench, func(name string) row { return rowOf(r.get(name, "ns/op")) })
	}
	return chart{
		title: "Acquire and Release of a warm connection", note: "time per use, logarithmic; less is better", log: true, format: duration,
		groups: []group{
			{"one goroutine, cancelable context", rows("Serial/ctx=cancelable")},
			{"16 goroutines on 64 connections", rows("Parallel/clients=16/size=64")},
		},
	}
}

func contendedChart(r *results) chart {
	return chart{
		title: "128 goroutines on 8 connections", note: "wait for a connection, median (dot) to longest (line), logarithmic", log: true, format: duration,
		groups: []group{{"", poolRows(r, "Contended/clients=128/size=8", func(name string) row {
			median, longest := summarize(r.get(name, "p50-ns")).Center, summarize(r.get(name, "max-ns")).Center
			return row{at: median, from: median, to: longest}
		})}},
	}
}

func shareChart(r *results) chart {
	return chart{
		title: "128 goroutines on 8 connections", note: "uses by the least served goroutine relative to the most served one; more is better", format: percent,
		groups: []group{{"", poolRows(r, "Contended/clients=128/size=8", func(name string) row {
			return rowOf(scaled(r.get(name, "share"), 100))
		})}},
	}
}

func leavingChart(r *results) chart {
	return chart{
		title: "10,000 waiters leave at once", note: "throughput of the callers that stay, relative to undisturbed; more is better", format: percent,
		groups: []group{{"", poolRows(r, "Leaving/waiters=10000", func(name string) row {
			return rowOf(scaled(r.get(name, "live-ratio"), 100))
		})}},
	}
}

func echoChart(r *results) chart {
	var rows []row
	add := func(label string, values []float64) {
		row := rowOf(values)
		row.label, row.ours = label, strings.HasPrefix(label, "hotline")
		rows = append(rows, row)
	}
	for _, way := range echoWays {
		add(way.name, r.get(echo, way.unit))
	}
	add("a connection for each request", r.get(echo+"/conn=per-request", "ns/op"))
	return chart{title: "Request and answer over loopback TCP", note: "time per request, one client; less is better", format: duration, groups: []group{{"", rows}}}
}

func memoryChart(r *results) chart {
	return chart{
		title: "Memory for an idle connection", note: "bytes above the connection itself; less is better", format: inBytes,
		groups: []group{{"", poolRows(r, "Memory/size=10000", func(name string) row { return rowOf(r.get(name, "B/conn")) })}},
	}
}

func keeperChart(r *results) chart {
	c := chart{title: "Idle connections, each pinged every 30 seconds", note: "CPU time, of one core, logarithmic; less is better", log: true, format: percent, groups: make([]group, 1)}
	for _, n := range keeperSizes {
		row := rowOf(r.get(fmt.Sprintf("Keeper/conns=%d", n), "cpu-%"))
		row.label, row.ours = number(float64(n)), true
		c.groups[0].rows = append(c.groups[0].rows, row)
	}
	return c
}

// scaled returns values times f.
func scaled(values []float64, f float64) []float64 {
	var out []float64
	for _, v := range values {
		out = append(out, v*f)
	}
	return out
}
