package main

import (
	"fmt"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/hotline-go/hotline/pool"
)

// benchResult is the result of hotline bench.
type benchResult struct {
	name        string
	workers     int
	maxOpen     int
	keys        int // 0: one pool
	duration    time.Duration
	ways        int // 1: only the pool; 2: a connect per request too
	interrupted bool
	pool        *tally
	connect     *tally     // nil: not measured
	stats       pool.Stats // of the pool, when it was measured
}

// planned returns how long the measurement takes unless it is interrupted.
func (r *benchResult) planned() time.Duration { return time.Duration(r.ways) * r.duration }

// span says how long the measurement took.
func (r *benchResult) span() string {
	switch {
	case r.interrupted:
		took := r.pool.elapsed
		if r.connect != nil {
			took += r.connect.elapsed
		}
		return fmt.Sprintf("interrupted after %s of %v", short(took), r.planned())
	case r.ways == 2:
		return fmt.Sprintf("for %v each way", r.duration)
	}
	return fmt.Sprintf("for %v", r.duration)
}

// err returns an error if a request failed.
func (r *benchResult) err() error {
	for _, way := range []struct {
		name string
		*tally
	}{{"pool", r.pool}, {"connect per request", r.connect}} {
		if t := way.tally; t != nil && t.errors > 0 {
			return fmt.Errorf("%s: %d of %s failed; first error: %w", way.name, t.errors, count(t.errors+t.requests(), "request"), t.first)
		}
	}
	return nil
}

// print writes the table and the histograms.
func (r *benchResult) print(w io.Writer) {
	keys := ""
	if r.keys > 0 {
		keys = " of " + count(r.keys, "key")
	}
	fmt.Fprintf(w, "%s: %s on at most %s%s, %s\n\n",
		r.name, count(r.workers, "worker"), count(r.maxOpen, "connection"), keys, r.span())
	rows := [][]string{
		{"", "requests/s", "failed", "p50", "p90", "p99", "p99.9", "max"},
		r.pool.row("pool"),
		percentiles("  get connection", r.pool.get),
		percentiles("  ping", r.pool.use),
	}
	if r.connect != nil {
		rows = append(rows, r.connect.row("connect per request"),
			percentiles("  get connection", r.connect.get),
			percentiles("  ping", r.connect.use))
	}
	printTable(w, rows)
	for _, remark := range remarks(r.stats) {
		fmt.Fprintf(w, "\npool: %s\n", remark)
	}
	get, ping := []series{{"pool", r.pool.get}}, []series{{"pool", r.pool.use}}
	if r.connect != nil {
		get = append(get, series{"connect per request", r.connect.get})
		ping = append(ping, series{"connect per request", r.connect.use})
	}
	printHistogram(w, "get connection", get)
	printHistogram(w, "ping", ping)
}

// row returns the line of the table for whole requests.
func (t *tally) row(name string) []string {
	row := percentiles(name, t.total)
	row[1], row[2] = grouped(int64(t.perSecond())), grouped(t.errors)
	return row
}

// percentiles returns a line of the table without rate and failures.
func percentiles(name string, h *hdrhistogram.Histogram) []string {
	row := []string{name, "", ""}
	for _, q := range []float64{50, 90, 99, 99.9, 100} {
		row = append(row, quantile(h, q))
	}
	return row
}

// quantile returns the q-th percentile of h as text.
func quantile(h *hdrhistogram.Histogram, q float64) string {
	if h.TotalCount() == 0 {
		return "-"
	}
	return cell(time.Duration(h.ValueAtQuantile(q)))
}

// remarks returns what the figures do not show about a pool.
func remarks(s pool.Stats) (all []string) {
	if s.Limit < s.MaxOpen {
		all = append(all, fmt.Sprintf("the server was full: at the end it had room for %d of %s", s.Limit, count(s.MaxOpen, "connection")))
	}
	if s.Useless > 0 {
		all = append(all, count(s.Useless, "connection")+" came up but failed before the server sent anything")
	}
	return all
}
