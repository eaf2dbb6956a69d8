package main

import (
	"fmt"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// benchResult is what hotline bench has measured.
type benchResult struct {
	name     string
	workers  int
	maxOpen  int
	duration time.Duration
	pool     *tally
	connect  *tally // nil: not measured
}

// err is an error if a request failed.
func (r *benchResult) err() error {
	for _, way := range []struct {
		name string
		*tally
	}{{"pool", r.pool}, {"connect per request", r.connect}} {
		if t := way.tally; t != nil && t.errors > 0 {
			return fmt.Errorf("%s: %d of %d requests failed; the first: %w", way.name, t.errors, t.errors+t.requests(), t.first)
		}
	}
	return nil
}

// print writes the table and the histograms for people.
func (r *benchResult) print(w io.Writer) {
	fmt.Fprintf(w, "%s: %d workers on at most %d connections, for %v each way\n\n", r.name, r.workers, r.maxOpen, r.duration)
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
	get, ping := []series{{"pool", r.pool.get}}, []series{{"pool", r.pool.use}}
	if r.connect != nil {
		get = append(get, series{"connect per request", r.connect.get})
		ping = append(ping, series{"connect per request", r.connect.use})
	}
	printHistogram(w, "get connection", get)
	printHistogram(w, "ping", ping)
}

// row is the line of the table for whole requests.
func (t *tally) row(name string) []string {
	row := percentiles(name, t.total)
	row[1], row[2] = grouped(int64(t.perSecond())), grouped(t.errors)
	return row
}

// percentiles is a line of the table without rate and failures.
func percentiles(name string, h *hdrhistogram.Histogram) []string {
	row := []string{name, "", ""}
	for _, q := range []float64{50, 90, 99, 99.9, 100} {
		row = append(row, quantile(h, q))
	}
	return row
}

// quantile prints the time that q percent of h kept to.
func quantile(h *hdrhistogram.Histogram, q float64) string {
	if h.TotalCount() == 0 {
		return "-"
	}
	return short(time.Duration(h.ValueAtQuantile(q)))
}
