package otel

import (
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/internal/roster"
)

// scope is the name of the meter and the tracer.
const scope = "github.com/hotline-go/hotline/pool/otel"

// Options are the settings of [New]. The zero value works.
type Options struct {
	MeterProvider  metric.MeterProvider // nil means the global one
	TracerProvider trace.TracerProvider // nil means the global one

	// Prefix starts the names of all metrics and attributes. Empty means
	// hotline.client.connection. For a database, the conventions require
	// db.client.connection.
	Prefix string

	// UseEvery measures use_time for one in this many leases, chosen at random. It
	// takes every Acquire and Release off the fast path, which costs about 0.15 µs;
	// a measured lease costs 1 µs. Zero measures none.
	UseEvery int
}

// Telemetry has the instruments for any number of pools. Its methods may be called
// from any goroutine.
type Telemetry struct {
	options                 Options
	tracer                  trace.Tracer
	roster                  roster.Roster
	registration            metric.Registration
	values                  []metric.Int64Observable // in the order of values
	oldestWait              metric.Float64ObservableGauge
	budgets                 budgetInstruments
	wait, create, ping, use metric.Float64Histogram
}

// Source is a [pool.Pool], or a keyed.Pool, which appears as the sum of its keys.
type Source interface{ Snapshot() pool.Snapshot }

// New makes the instruments and returns a Telemetry. Its errors come from the
// MeterProvider.
func New(o Options) (*Telemetry, error) {
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	if o.Prefix == "" {
		o.Prefix = "hotline.client.connection"
	}
	t := &Telemetry{options: o, tracer: o.TracerProvider.Tracer(scope)}
	if err := t.makeInstruments(o.MeterProvider.Meter(scope)); err != nil {
		return nil, fmt.Errorf("otel: %w", err)
	}
	return t, nil
}

// Unregister ends the metrics that are read from the pools, for all pools, including the
// ones observed later. Histograms and spans go on.
func (t *Telemetry) Unregister() error { return t.registration.Unregister() }

// key returns an attribute key with the prefix.
func (t *Telemetry) key(name string) attribute.Key {
	return attribute.Key(t.options.Prefix + "." + name)
}
