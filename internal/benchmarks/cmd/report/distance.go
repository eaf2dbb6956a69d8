package main

import "fmt"

// distances is a benchmark of several ways to make a request, hotline's first, to
// servers at different distances.
type distances struct {
	bench string
	title string // of the plot
	rtts  []int  // round trips in milliseconds; 0 is loopback
	ways  []way
}

// way is one of the ways that a benchmark compares.
type way struct{ key, name string }

var tlsDistances = distances{
	bench: "TLS",
	title: "Request and answer over TLS 1.3",
	rtts:  []int{0, 10, 50},
	ways: []way{
		{"pool", "hotline, tls driver, Do"},
		{"resumed", "a connect for each request, resumed"},
		{"full", "a connect for each request"},
	},
}

// get returns the times of a way, run by run.
func (d distances) get(r *results, rtt int, w way) []float64 {
	return r.get(fmt.Sprintf("%s/rtt=%dms/conn=%s", d.bench, rtt, w.key), "ns/op")
}

// distance says where the server is.
func distance(rtt int) string {
	if rtt == 0 {
		return "loopback"
	}
	return fmt.Sprintf("round trip of %d ms", rtt)
}

func (d distances) table(r *results) string {
	titles := []string{"one client"}
	for _, rtt := range d.rtts {
		titles = append(titles, distance(rtt), "relative to the first")
	}
	var rows [][]string
	for _, w := range d.ways {
		row := []string{w.name}
		for _, rtt := range d.rtts {
			ns := d.get(r, rtt, w)
			row = append(row, spread(summarize(ns), duration), spread(summarize(ratios(ns, d.get(r, rtt, d.ways[0]))), times))
		}
		rows = append(rows, row)
	}
	return table(titles, rows)
}

func (d distances) chart(r *results) chart {
	c := chart{title: d.title, note: "time per request, one client, logarithmic; less is better", log: true, format: duration}
	for _, rtt := range d.rtts {
		g := group{title: distance(rtt)}
		for i, w := range d.ways {
			row := rowOf(d.get(r, rtt, w))
			row.label, row.ours = w.name, i == 0
			g.rows = append(g.rows, row)
		}
		c.groups = append(c.groups, g)
	}
	return c
}
