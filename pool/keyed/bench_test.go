package keyed_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/keyed"
)

// plain is a connection that costs nothing, and its connector.
type plain struct{}

func (*plain) Close() error { return nil }

type plainConnector struct{}

func (plainConnector) Connect(context.Context) (driver.Conn, error) { return &plain{}, nil }

func connectPlain(string) (driver.Connector, error) { return plainConnector{}, nil }

// BenchmarkWarm measures Acquire and Release of an idle connection, in a pool and in
// a keyed pool with different numbers of keys.
func BenchmarkWarm(b *testing.B) {
	ctx := context.Background()
	b.Run("pool=plain", func(b *testing.B) {
		p, err := pool.New[*plain](plainConnector{}, pool.Config{})
		if err != nil {
			b.Fatal(err)
		}
		defer p.Close()
		b.ReportAllocs()
		for b.Loop() {
			l, err := p.Acquire(ctx)
			if err != nil {
				b.Fatal(err)
			}
			l.Release()
		}
	})
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprintf("pool=keyed/keys=%d", n), func(b *testing.B) { benchmarkKeyed(b, ctx, n) })
	}
}

func benchmarkKeyed(b *testing.B, ctx context.Context, n int) {
	p, err := keyed.Open[string, *plain](connectPlain, keyed.Config[string]{MaxOpen: 2000})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("account-%d@example.org", i)
		l, err := p.Acquire(ctx, keys[i])
		if err != nil {
			b.Fatal(err)
		}
		l.Release()
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		l, err := p.Acquire(ctx, keys[i])
		if err != nil {
			b.Fatal(err)
		}
		l.Release()
		if i++; i == n {
			i = 0
		}
	}
}
