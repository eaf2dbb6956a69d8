package otel

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/internal/roster"
)

// Observer observes one pool, or all pools of a keyed.Pool.
type Observer struct {
	t    *Telemetry
	pool atomic.Pointer[observed] // nil before Observe, and after its end
}

// observed is the pool of an Observer. It never changes.
type observed struct {
	name  attribute.KeyValue
	alone metric.MeasurementOption // name, and no other attribute
}

// Observer returns an Observer for one pool.
func (t *Telemetry) Observer() *Observer { return &Observer{t: t} }

// Observe starts the metrics of s. They end when end is called, or when s is closed and
// has no connections left. Before Observe, Trace makes spans but no metrics.
func (o *Observer) Observe(s Source) (end func()) {
	m := o.t.roster.Add(s)
	name := o.t.poolName(m)
	p := &observed{name, metric.WithAttributeSet(attribute.NewSet(name))}
	o.pool.Store(p)
	return func() {
		o.t.roster.Remove(m)
		o.pool.CompareAndSwap(p, nil)
	}
}

// Trace returns a Trace for Config.Trace. It also calls the functions of next. If next
// has Use, its UseEvery replaces Options.UseEvery.
func (o *Observer) Trace(next pool.Trace) pool.Trace {
	t := next
	t.Wait = around(next.Wait, o.timed("hotline.wait", o.t.wait))
	t.Connect = around(next.Connect, o.timed("hotline.connect", o.t.create))
	t.Ping = around(next.Ping, o.timed("hotline.ping", o.t.ping))
	if every := o.t.options.UseEvery; every > 0 {
		t.Use = func(u pool.UseInfo) {
			o.record(context.Background(), o.t.use, u.Took, nil)
			if next.Use != nil {
				next.Use(u)
			}
		}
		if next.Use == nil {
			t.UseEvery = every
		}
	}
	return t
}

// around returns a function for a Trace. It calls next, unless that is nil, and then
// begin with the context that next returned.
func around[S any, E ~struct {
	Took time.Duration
	Err  error
}](next func(context.Context, S) (context.Context, func(E)), begin func(context.Context) (context.Context, func(time.Duration, error))) func(context.Context, S) (context.Context, func(E)) {
	return func(ctx context.Context, s S) (context.Context, func(E)) {
		var nextEnd func(E)
		if next != nil {
			var inner context.Context
			if inner, nextEnd = next(ctx, s); inner != nil {
				ctx = inner
			}
		}
		ctx, end := begin(ctx)
		return ctx, func(e E) {
			w := pool.WaitEnd(e)
			end(w.Took, w.Err)
			if nextEnd != nil {
				nextEnd(e)
			}
		}
	}
}

// timed returns a function that starts an operation. It returns the function that ends
// the operation, which records its duration in h. The operation gets a span if its context
// has one.
func (o *Observer) timed(name string, h metric.Float64Histogram) func(context.Context) (context.Context, func(time.Duration, error)) {
	return func(ctx context.Context) (context.Context, func(time.Duration, error)) {
		var span trace.Span
		if trace.SpanContextFromContext(ctx).IsValid() {
			ctx, span = o.t.tracer.Start(ctx, name)
		}
		return ctx, func(took time.Duration, err error) {
			o.record(ctx, h, took, err)
			if span != nil {
				o.end(span, err)
			}
		}
	}
}

// record adds a duration to h.
func (o *Observer) record(ctx context.Context, h metric.Float64Histogram, took time.Duration, err error) {
	p := o.pool.Load()
	if p == nil {
		return
	}
	attributes := p.alone
	if err != nil {
		attributes = metric.WithAttributes(p.name, errorType(err))
	}
	h.Record(ctx, took.Seconds(), attributes)
}

// end ends span, with the quoted and bounded text of err.
func (o *Observer) end(span trace.Span, err error) {
	if p := o.pool.Load(); p != nil {
		span.SetAttributes(p.name)
	}
	if err != nil {
		span.SetAttributes(errorType(err))
		span.SetStatus(codes.Error, driver.QuoteError(err).Error())
	}
	span.End()
}

// poolName returns the attribute that names a pool.
func (t *Telemetry) poolName(m *roster.Member) attribute.KeyValue {
	return t.key("pool.name").String(m.Name)
}

// errorType returns the attribute error.type, which has one of a few values.
func errorType(err error) attribute.KeyValue {
	kind := "_OTHER" // the name in the conventions
	switch {
	case errors.Is(err, context.Canceled):
		kind = "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		kind = "timeout"
	case driver.IsPermanent(err):
		kind = "permanent"
	case driver.IsFull(err):
		kind = "full"
	case isThrottled(err):
		kind = "throttled"
	}
	return attribute.String("error.type", kind)
}

func isThrottled(err error) bool {
	_, ok := driver.RetryAfter(err)
	return ok
}
