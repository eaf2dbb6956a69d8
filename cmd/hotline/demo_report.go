package main

import (
	"errors"
	"fmt"
	"io"
)

// demoIntro is printed before the demo.
const demoIntro = `This demo runs inside one process, on loopback: a PING server with a login, over
TCP and then over TLS, and a mail server over TLS, from which it fetches a
message. As with servers in the same city, an answer takes %v and a login %v.
%d clients send requests without pause. A pool lets them share %d connections.

`

// sceneResult is the result of a scene.
type sceneResult struct {
	name          string
	connect, pool *tally
	outage        outageResult
	most          int // the most sockets of the pool at once
}

// printDemo writes a table that compares the two ways, and one of the outages.
func printDemo(w io.Writer, results []*sceneResult) {
	rows := [][]string{{"", "requests/s", "p50", "p99", "failed"}}
	for _, r := range results {
		rows = append(rows, r.connect.demoRow(r.name+", a connect per request"), r.pool.demoRow(r.name+", a pool"))
	}
	printTable(w, rows)
	fmt.Fprint(w, "\nThe server crashed while the pool was under load, and came back. The times until\nthe first answer and until all were connected count from its return:\n\n")
	rows = [][]string{{"", "down for", "requests", "retried", "lost", "first answer", "all connected", "most open"}}
	for _, r := range results {
		o := r.outage
		rows = append(rows, []string{r.name, cell(o.down), grouped(o.load.requests()), grouped(o.retries), grouped(o.load.errors),
			cell(o.firstAnswer), cell(o.allBack), fmt.Sprintf("%d of %d", r.most, demoMaxOpen)})
	}
	printTable(w, rows)
	fmt.Fprintln(w, "\n"+verdict(w, results))
}

// verdict returns the outcome of the demo on a line.
func verdict(w io.Writer, results []*sceneResult) string {
	var pooled, connecting float64
	var lost int64
	most := 0
	for _, r := range results {
		pooled, connecting = pooled+r.pool.perSecond(), connecting+r.connect.perSecond()
		lost += r.pool.errors + r.outage.load.errors
		most = max(most, r.most)
	}
	style := green
	if demoErr(results) != nil {
		style = red
	}
	return paint(w, style, fmt.Sprintf("pool: %.1f times the requests, %s lost, never more than %s",
		pooled/max(connecting, 1), grouped(lost), count(most, "connection")))
}

// demoRow returns a line of the first table.
func (t *tally) demoRow(name string) []string {
	return []string{name, grouped(int64(t.perSecond())), quantile(t.total, 50), quantile(t.total, 99), grouped(t.errors)}
}

// demoErr returns an error for each promise that was not kept.
func demoErr(results []*sceneResult) error {
	var errs []error
	for _, r := range results {
		for _, t := range []*tally{r.connect, r.pool, r.outage.load} {
			if t.errors > 0 {
				errs = append(errs, fmt.Errorf("demo of %s: %s failed; first error: %w", r.name, count(t.errors, "request"), t.first))
			}
		}
		if r.most > demoMaxOpen {
			errs = append(errs, fmt.Errorf("demo of %s: a pool with MaxOpen %d had %d connections", r.name, demoMaxOpen, r.most))
		}
	}
	return errors.Join(errs...)
}
