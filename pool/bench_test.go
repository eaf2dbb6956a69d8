package pool

import (
	"context"
	"testing"

	"github.com/hotline-go/hotline/driver"
)

type bare struct{ n int }

func (*bare) Close() error { return nil }

type bareConnector struct{}

func (bareConnector) Connect(context.Context) (driver.Conn, error) { return new(bare), nil }
func (bareConnector) Driver() driver.Driver                        { return nil }

func open(tb testing.TB, cfg Config) *Pool[*bare] {
	p, err := New[*bare](bareConnector{}, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { p.Close() })
	return p
}

func BenchmarkChannel(b *testing.B) {
	ch := make(chan *bare, 10)
	for range 10 {
		ch <- new(bare)
	}
	b.ReportAllocs()
	for b.Loop() {
		c := <-ch
		ch <- c
	}
}

func BenchmarkChannelCtx(b *testing.B) {
	ch := make(chan *bare, 10)
	for range 10 {
		ch <- new(bare)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		select {
		case c := <-ch:
			ch <- c
		case <-ctx.Done():
		}
	}
}

func BenchmarkAcquire(b *testing.B) {
	p := open(b, Config{})
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		l, err := p.Acquire(ctx)
		if err != nil {
			b.Fatal(err)
		}
		l.Release()
	}
}

func BenchmarkAcquireCtx(b *testing.B) {
	p := open(b, Config{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		l, err := p.Acquire(ctx)
		if err != nil {
			b.Fatal(err)
		}
		l.Release()
	}
}

func BenchmarkDo(b *testing.B) {
	p := open(b, Config{})
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Do(ctx, func(context.Context, *bare) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParallel16on64(b *testing.B) {
	p := open(b, Config{MaxOpen: 64, MinIdle: 64})
	ctx := context.Background()
	if err := p.Ready(ctx); err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l, err := p.Acquire(ctx)
			if err != nil {
				b.Fatal(err)
			}
			l.Release()
		}
	})
}

func BenchmarkChannel16on64(b *testing.B) {
	ch := make(chan *bare, 64)
	for range 64 {
		ch <- new(bare)
	}
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c := <-ch
			ch <- c
		}
	})
}

func BenchmarkContended128on8(b *testing.B) {
	p := open(b, Config{MaxOpen: 8, MinIdle: 8})
	ctx := context.Background()
	if err := p.Ready(ctx); err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(64)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l, err := p.Acquire(ctx)
			if err != nil {
				b.Fatal(err)
			}
			l.Conn().n++
			l.Release()
		}
	})
	b.Log(p.Stats().Waits)
}
