package main

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// jsonReport is the output of --json. Names and meanings of fields must not change.
type jsonReport struct {
	Target   string        `json:"target"`
	Workers  int           `json:"workers"`
	MaxOpen  int           `json:"max_open"`
	Keys     int           `json:"keys,omitempty"`
	Duration time.Duration `json:"duration_ns"`

	// Interrupted means that less than Duration was measured, or only one way.
	Interrupted bool `json:"interrupted,omitempty"`

	Limit   int      `json:"limit"`   // MaxOpen, or less if the server was full at the end of the pool's measurement
	Useless int64    `json:"useless"` // connections of the pool that failed at their first use
	Pool    *jsonWay `json:"pool"`
	Connect *jsonWay `json:"connect_per_request,omitempty"`
}

// jsonWay is the result of one of the two ways: the pool, or a connect per request.
type jsonWay struct {
	Requests   int64     `json:"requests"`
	Failed     int64     `json:"failed"`
	FirstError string    `json:"first_error,omitempty"`
	Elapsed    int64     `json:"elapsed_ns"`
	PerSecond  float64   `json:"requests_per_second"`
	Total      jsonTimes `json:"total"`
	Get        jsonTimes `json:"get_connection"`
	Ping       jsonTimes `json:"ping"`
}

// jsonTimes is a histogram.
type jsonTimes struct {
	Min  int64   `json:"min_ns"`
	Mean float64 `json:"mean_ns"`
	P50  int64   `json:"p50_ns"`
	P90  int64   `json:"p90_ns"`
	P99  int64   `json:"p99_ns"`
	P999 int64   `json:"p999_ns"`
	Max  int64   `json:"max_ns"`
	Bins []bin   `json:"histogram"`
}

func (r *benchResult) json() jsonReport {
	return jsonReport{r.name, r.workers, r.maxOpen, r.keys, r.duration, r.interrupted, r.stats.Limit, r.stats.Useless, r.pool.json(), r.connect.json()}
}

func (t *tally) json() *jsonWay {
	if t == nil {
		return nil
	}
	way := &jsonWay{
		Requests: t.requests(), Failed: t.errors, Elapsed: int64(t.elapsed), PerSecond: t.perSecond(),
		Total: timesOf(t.total), Get: timesOf(t.get), Ping: timesOf(t.use),
	}
	if t.first != nil {
		way.FirstError = t.first.Error()
	}
	return way
}

func timesOf(h *hdrhistogram.Histogram) jsonTimes {
	return jsonTimes{h.Min(), h.Mean(), h.ValueAtQuantile(50), h.ValueAtQuantile(90), h.ValueAtQuantile(99),
		h.ValueAtQuantile(99.9), h.Max(), bins(h)}
}
