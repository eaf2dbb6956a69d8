package benchmarks

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkMemory measures the memory of a pool for each of 10,000 idle connections,
// without the connections themselves.
func BenchmarkMemory(b *testing.B) {
	const size = 10_000
	b.Run("size=10000", func(b *testing.B) {
		for _, c := range candidates {
			b.Run("pool="+c.name, func(b *testing.B) {
				var bytes int64
				for b.Loop() {
					bytes += memoryOf(b, c, size)
				}
				b.ReportMetric(float64(bytes)/float64(b.N)/size, "B/conn")
				b.ReportMetric(0, "ns/op")
			})
		}
	})
}

// memoryOf returns the heap that a pool of n idle connections takes, in bytes.
func memoryOf(b *testing.B, c candidate, n int) int64 {
	conns := make([]conn, n) // made first, so that only the pool's memory counts
	next := 0
	before := heap()
	t := c.open(b, n, func() *conn { next++; return &conns[next-1] })
	defer t.close()
	done := make(chan struct{})
	go func() { // so that its stack is freed with it
		defer close(done)
		warm(b, t, n)
	}()
	<-done
	require.Equal(b, n, next, "connections made")
	return heap() - before
}

// heap returns the bytes in use, without garbage.
func heap() int64 { return int64(memStats().HeapAlloc) }

// footprint returns the bytes in use on the heap and in stacks.
func footprint() int64 {
	m := memStats()
	return int64(m.HeapAlloc + m.StackInuse)
}

func memStats() (m runtime.MemStats) {
	runtime.GC()
	runtime.GC() // empties the sync.Pools: the first GC only moves their values aside
	runtime.ReadMemStats(&m)
	return m
}

// BenchmarkOpenClose measures opening, using once and closing a pool.
func BenchmarkOpenClose(b *testing.B) {
	ctx := context.Background()
	for _, c := range candidates {
		b.Run("pool="+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				t := c.open(b, 10, newConn)
				if err := t.use(ctx, nil); err != nil {
					b.Fatal(err)
				}
				t.close()
			}
		})
	}
}
