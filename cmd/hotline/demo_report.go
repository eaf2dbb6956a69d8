package main

import (
	"errors"
	"fmt"
	"io"
)

// demoIntro is printed before the demo.
const demoIntro = `Inside this process, on loopback: a PING server with a login, over TCP and then
over TLS, and a mail server over TLS, from which a message is fetched. So that
they are like servers in the same town, an answer takes %v and a login %v.
%d clients ask all the time; a pool lets them share %d connections.

`

// sceneResult is what came of a scene.
type sceneResult struct {
	name          string
	connect, pool *tally
	outage        outageResult
}

// printDemo writes a table of the ways to ask, and one of the outages.
func printDemo(w io.Writer, results []*sceneResult) {
	rows := [][]string{{"", "requests/s", "p50", "p99", "failed"}}
	for _, r := range results {
		rows = append(rows, r.connect.demoRow(r.name+", a connect per request"), r.pool.demoRow(r.name+", a pool"))
	}
	printTable(w, rows)
	fmt.Fprint(w, "\nThe server crashed while the pool was under load, and came back:\n\n")
	rows = [][]string{{"", "down for", "requests", "retried", "lost", "first answer", "all connected", "most open"}}
	for _, r := range results {
		o := r.outage
		rows = append(rows, []string{r.name, short(o.down), grouped(o.load.requests()), grouped(o.retries), grouped(o.load.errors),
			"after " + short(o.firstAnswer), "after " + short(o.allBack), fmt.Sprintf("%d of %d", o.most, demoMaxOpen)})
	}
	printTable(w, rows)
}

// demoRow is a line of the first table.
func (t *tally) demoRow(name string) []string {
	return []string{name, grouped(int64(t.perSecond())), quantile(t.total, 50), quantile(t.total, 99), grouped(t.errors)}
}

// demoErr says which promise was not kept, if any.
func demoErr(results []*sceneResult) error {
	var errs []error
	for _, r := range results {
		for _, t := range []*tally{r.connect, r.pool, r.outage.load} {
			if t.errors > 0 {
				errs = append(errs, fmt.Errorf("demo of %s: %d requests failed; the first: %w", r.name, t.errors, t.first))
			}
		}
		if r.outage.most > demoMaxOpen {
			errs = append(errs, fmt.Errorf("demo of %s: the server counted %d connections of a pool with MaxOpen %d", r.name, r.outage.most, demoMaxOpen))
		}
	}
	return errors.Join(errs...)
}
