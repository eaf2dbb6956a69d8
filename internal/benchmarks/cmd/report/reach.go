package main

import (
	"fmt"
	"strings"
)

// goal is a limit that hotline should meet.
type goal struct {
	what     string
	measured []float64 // a value for each run; nil if it was not measured
	most     float64   // the highest value allowed, or the lowest if atLeast
	atLeast  bool
	format   func(float64) string
	absent   string // why it was not measured
}

// goals returns the goals of hotline, with the measured values.
func goals(r *results) []goal {
	pool := func(bench, pool, unit string) []float64 { return r.get(bench+"/pool="+pool, unit) }
	hotline := func(bench, unit string) []float64 { return pool(bench, "hotline", unit) }
	against := func(bench, other string) []float64 {
		return ratios(hotline(bench, "ns/op"), pool(bench, other, "ns/op"))
	}
	best := func(bench string) []float64 {
		var all [][]float64
		for _, p := range []string{"sql", "puddle", "redigo", "commons"} {
			all = append(all, pool(bench, p, "ns/op"))
		}
		return ratios(hotline(bench, "ns/op"), least(all[0], all[1:]...))
	}
	var goals []goal
	add := func(what string, measured []float64, most float64, format func(float64) string) {
		goals = append(goals, goal{what: what, measured: measured, most: most, format: format})
	}
	atLeast := func(what string, measured []float64, least float64, format func(float64) string) {
		goals = append(goals, goal{what: what, measured: measured, most: least, atLeast: true, format: format})
	}
	const (
		background = "Serial/ctx=background"
		cancelable = "Serial/ctx=cancelable"
		parallel   = "Parallel/clients=16/size=64"
		contended  = "Contended/clients=128/size=8"
		keeper     = "Keeper/conns=100000"
	)
	for _, serial := range []struct{ name, bench string }{{"serial", background}, {"serial, cancelable ctx", cancelable}} {
		add(serial.name+": time relative to the buffered channel", against(serial.bench, "channel"), 1, times)
		add(serial.name+": time relative to the best other pool", best(serial.bench), 0.35, times)
		add(serial.name+": allocations", hotline(serial.bench, "allocs/op"), 0, number)
	}
	add("16 goroutines on 64: time relative to the buffered channel", against(parallel, "channel"), 0.35, times)
	add("16 goroutines on 64: time relative to database/sql", against(parallel, "sql"), 0.15, times)
	add("16 goroutines on 64: time relative to puddle", against(parallel, "puddle"), 0.15, times)
	add("16 goroutines on 64: allocations", hotline(parallel, "allocs/op"), 0, number)
	add("128 goroutines on 8: time relative to the best other pool", best(contended), 1, times)
	add("128 goroutines on 8: 99th percentile of the wait relative to its median", ratios(hotline(contended, "p99-ns"), hotline(contended, "p50-ns")), 2, times)
	atLeast("128 goroutines on 8: smallest share relative to the largest", hotline(contended, "share"), 0.9, times)
	add("128 goroutines on 8: allocations", hotline(contended, "allocs/op"), 0, number)
	atLeast("10,000 waiters leaving: live throughput relative to undisturbed", hotline("Leaving/waiters=10000", "live-ratio"), 0.9, times)
	for _, way := range echoWays[1:] {
		add("request over TCP, "+way.name+": time relative to a dedicated connection", ratios(r.get(echo, way.unit), r.get(echo, dedicated)), 1.03, closely)
	}
	goals = append(goals, mailGoals(r)...)
	add("filling 20 connections over loopback TCP", r.get("Fill/size=20/by=hotline", "ns/op"), 50e6, duration)
	add("memory per idle connection, without the connection itself", hotline("Memory/size=10000", "B/conn"), 256, inBytes)
	add("100,000 idle, pinged every 30 s: CPU time, of one core", r.get(keeper, "cpu-%"), 5, percent)
	add("100,000 idle, pinged every 30 s: most goroutines at a time", r.get(keeper, "goroutines"), 1000, number)
	return goals
}

// met reports whether the median of the measured values meets the goal.
func (g goal) met() bool {
	m := summarize(g.measured).Center
	if g.atLeast {
		return m >= g.most
	}
	return m <= g.most
}

// reachTable returns a table of the goals.
func reachTable(goals []goal) string {
	var t strings.Builder
	t.WriteString("| case | goal | measured | |\n|---|---|---|---|\n")
	for _, g := range goals {
		bound := "at most"
		if g.atLeast {
			bound = "at least"
		}
		measured, mark := g.absent, ""
		if g.measured != nil {
			measured, mark = spread(summarize(g.measured), g.format), "met"
			if !g.met() {
				mark = "**missed**"
			}
		}
		fmt.Fprintf(&t, "| %s | %s %s | %s | %s |\n", g.what, bound, g.format(g.most), measured, mark)
	}
	return t.String()
}
