package otel_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/internal/secrettest"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/otel"
)

// Whatever the password and the form of the DSN, no attribute of a metric and nothing in
// a span shows the password.
func FuzzNoMetricOrSpanShowsASecret(f *testing.F) {
	secrettest.Fuzz(f, func(t *testing.T, dsn, secret string) {
		s := start(t, otel.Options{UseEvery: 1})
		o := s.Observer()
		p, err := pool.Open[secrettest.Conn](secrettest.Name, dsn, pool.Config{FailFast: true, AcquireTimeout: secrettest.Patience, Trace: o.Trace(pool.Trace{})})
		if err != nil {
			return
		}
		defer p.Close()
		o.Observe(p)
		ctx, request := s.tracer.Tracer("test").Start(t.Context(), "request")
		_ = p.Do(ctx, func(context.Context, secrettest.Conn) error { return nil }) // the Connect fails
		p.Reset()
		_ = p.Do(ctx, func(context.Context, secrettest.Conn) error { return nil })
		request.End()
		secrettest.Check(t, secret, "a metric", fmt.Sprint(s.metrics()))
		spans := s.spans.Ended()
		assert.NotEmpty(t, spans)
		for _, span := range spans {
			secrettest.Check(t, secret, "a span", fmt.Sprint(span.Name(), span.Attributes(), span.Status(), span.Events()))
		}
	})
}
