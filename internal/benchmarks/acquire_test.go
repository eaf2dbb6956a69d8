package benchmarks

import (
	"context"
	"runtime"
	"slices"
	"testing"
)

// withBare lists the candidates, and the channel that ignores the context.
var withBare = append(slices.Clip(candidates), candidate{"bare-channel", openBare})

// BenchmarkSerial measures Acquire and Release by one goroutine.
func BenchmarkSerial(b *testing.B) {
	cancelable, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
	}{{"background", context.Background()}, {"cancelable", cancelable}} {
		b.Run("ctx="+c.name, func(b *testing.B) {
			forEach(b, withBare, 10, func(b *testing.B, t target) {
				for b.Loop() {
					if err := t.use(c.ctx, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// BenchmarkParallel runs 16 goroutines on 64 connections, so nobody waits.
func BenchmarkParallel(b *testing.B) {
	ctx := context.Background()
	b.Run("clients=16/size=64", func(b *testing.B) {
		forEach(b, withBare, 64, func(b *testing.B, t target) {
			b.SetParallelism(max(16/runtime.GOMAXPROCS(0), 1))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := t.use(ctx, nil); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	})
}
