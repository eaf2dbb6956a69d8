package conn_test

import (
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/hotline-go/hotline/conn"
)

// BenchmarkEcho measures what a Conn adds to a request and its answer, 64 bytes
// each, over loopback. It compares a bare TCP connection, one in a Conn, one that
// is also checked between holders as a pool does, and one that is also bound to
// a context. The four take turns, so that other load on the machine affects all
// of them alike and the medians can be compared:
//
//	go test -run '^$' -bench Echo -benchtime 50000x ./conn
func BenchmarkEcho(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	wrapped, leased, bound := conn.New(dialEcho(b)), conn.New(dialEcho(b)), conn.New(dialEcho(b))
	bare := dialEcho(b)
	reset := func(c *conn.Conn) {
		if err := c.ResetSession(ctx); err != nil {
			b.Fatal(err)
		}
	}
	validate := func(c *conn.Conn) {
		if !c.IsValid() {
			b.Fatal(c.Err())
		}
	}
	contenders := []struct {
		name    string
		request func()
		took    []time.Duration
	}{
		{name: "bare", request: func() { echo(b, bare) }},
		{name: "wrapped", request: func() { echo(b, wrapped) }},
		{name: "leased", request: func() {
			reset(leased)
			echo(b, leased)
			validate(leased)
		}},
		{name: "bound", request: func() {
			reset(bound)
			defer bound.Bind(ctx)()
			echo(b, bound)
			validate(bound)
		}},
	}
	for b.Loop() {
		for i := range contenders {
			c := &contenders[i]
			start := time.Now()
			c.request()
			c.took = append(c.took, time.Since(start))
		}
	}
	median := func(i int) float64 {
		slices.Sort(contenders[i].took)
		return float64(contenders[i].took[len(contenders[i].took)/2])
	}
	b.ReportMetric(0, "ns/op") // hides the sum of all four
	b.ReportMetric(median(0), "bare-ns")
	for i, c := range contenders[1:] {
		b.ReportMetric(100*(median(i+1)/median(0)-1), c.name+"-%")
	}
}

// echo sends a request and reads the answer.
func echo(b *testing.B, c io.ReadWriter) {
	var buf [64]byte
	if _, err := c.Write(buf[:]); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(c, buf[:]); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkLease measures each part of a lease.
func BenchmarkLease(b *testing.B) {
	nc, _ := dialTCP(b)
	c := conn.New(nc)
	b.Run("op=Check", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := c.Check(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("op=ResetSession", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := c.ResetSession(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("op=IsValid", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !c.IsValid() {
				b.Fatal(c.Err())
			}
		}
	})
	b.Run("op=Bind", func(b *testing.B) {
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		b.ReportAllocs()
		for b.Loop() {
			c.Bind(ctx)()
		}
	})
}
