package prometheus_test

import (
	"context"
	"testing"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/internal/secrettest"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/prometheus"
)

// Whatever the password and the form of the DSN, no metric shows the password.
func FuzzNoMetricShowsASecret(f *testing.F) {
	secrettest.Fuzz(f, func(t *testing.T, dsn, secret string) {
		p, err := pool.Open[secrettest.Conn](secrettest.Name, dsn, pool.Config{FailFast: true, AcquireTimeout: secrettest.Patience})
		if err != nil {
			return
		}
		defer p.Close()
		_ = p.Do(t.Context(), func(context.Context, secrettest.Conn) error { return nil }) // the Connect fails
		registry := prom.NewRegistry()
		registry.MustRegister(prometheus.New(p))
		families, err := registry.Gather()
		require.NoError(t, err)
		require.NotEmpty(t, families)
		for _, family := range families {
			secrettest.Check(t, secret, "a metric", family.String())
		}
	})
}
