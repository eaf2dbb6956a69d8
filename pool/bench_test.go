package pool_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
)

// plainConn is a connection that costs nothing, so that only the pool is
// measured. internal/benchmarks sets other pools beside it.
type plainConn struct{}

func (*plainConn) Close() error { return nil }

type plainConnector struct{}

func (plainConnector) Connect(context.Context) (driver.Conn, error) { return &plainConn{}, nil }
func (plainConnector) Driver() driver.Driver                        { return nil }

// openPlain returns a pool of n idle plain connections.
func openPlain(tb testing.TB, n int) *pool.Pool[*plainConn] {
	p, err := pool.New[*plainConn](plainConnector{}, pool.Config{MaxOpen: n, MinIdle: n})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, p.Close()) })
	require.NoError(tb, p.Ready(context.Background()))
	return p
}

func TestWarmAcquireAndReleaseAllocateNothing(t *testing.T) {
	p := openPlain(t, 4)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	allocs := testing.AllocsPerRun(1000, func() {
		l, err := p.Acquire(ctx)
		if err != nil {
			t.Error(err)
		}
		l.Release()
	})
	assertNoAllocs(t, allocs)
}

func TestDoAllocatesNothing(t *testing.T) {
	p := openPlain(t, 4)
	ctx := context.Background()
	fn := func(context.Context, *plainConn) error { return nil }
	allocs := testing.AllocsPerRun(1000, func() {
		if err := p.Do(ctx, fn); err != nil {
			t.Error(err)
		}
	})
	assertNoAllocs(t, allocs)
}

func TestWaitAllocatesNothing(t *testing.T) {
	p := openPlain(t, 1)
	ctx := context.Background()
	ask, got := make(chan struct{}), make(chan struct{})
	go func() {
		for range ask {
			l, err := p.Acquire(ctx) // the only connection is leased
			if err != nil {
				t.Error(err)
			}
			l.Release()
			got <- struct{}{}
		}
	}()
	defer close(ask)
	allocs := testing.AllocsPerRun(1000, func() {
		l, err := p.Acquire(ctx)
		if err != nil {
			t.Error(err)
		}
		ask <- struct{}{}
		for p.Stats().Waiting == 0 { // until the other is in the queue
			runtime.Gosched()
		}
		l.Release()
		<-got
	})
	assertNoAllocs(t, allocs)
}

// assertNoAllocs fails t if there were any. The race detector makes sync.Pool
// forget at random, so that figures mean nothing under it.
func assertNoAllocs(t *testing.T, allocs float64) {
	if raceEnabled {
		t.Skip("sync.Pool drops at random under the race detector")
	}
	require.Zero(t, allocs)
}

func BenchmarkAcquire(b *testing.B) {
	b.Run("clients=1", func(b *testing.B) {
		p := openPlain(b, 10)
		ctx := context.Background()
		b.ReportAllocs()
		for b.Loop() {
			l, err := p.Acquire(ctx)
			if err != nil {
				b.Fatal(err)
			}
			l.Release()
		}
	})
	for _, c := range []struct {
		name         string
		size, perCPU int
	}{{"clients=8/cpu/size=64", 64, 8}, {"clients=64/cpu/size=8", 8, 64}} {
		b.Run(c.name, func(b *testing.B) {
			p := openPlain(b, c.size)
			ctx := context.Background()
			b.SetParallelism(c.perCPU)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					l, err := p.Acquire(ctx)
					if err != nil {
						b.Error(err)
						return
					}
					l.Release()
				}
			})
		})
	}
}
