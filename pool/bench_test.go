package pool_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
)

// plainConn is a connection that costs nothing, so that only the pool is measured.
// internal/benchmarks compares it with other pools.
type plainConn struct{}

func (*plainConn) Close() error { return nil }

type plainConnector struct{}

func (plainConnector) Connect(context.Context) (driver.Conn, error) { return &plainConn{}, nil }

// openPlain returns a pool of n idle plain connections.
func openPlain(tb testing.TB, n int) *pool.Pool[*plainConn] {
	p, err := pool.New[*plainConn](plainConnector{}, pool.Config{MaxOpen: n, MinIdle: n})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, p.Close()) })
	require.NoError(tb, p.Ready(context.Background()))
	return p
}

func TestCallersAllocateNothing(t *testing.T) {
	p := openPlain(t, 4)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	full := openPlain(t, 3)
	defer releaseAll(acquireN(t, full, 3))
	fn := func(context.Context, *plainConn) error { return nil }
	for name, use := range map[string]func() bool{
		"Acquire, Info and Release": func() bool {
			l, err := p.Acquire(ctx)
			defer l.Release()
			return err == nil && l.Info().Uses >= 0
		},
		"Do":                           func() bool { return p.Do(ctx, fn) == nil },
		"TryAcquire if all are in use": func() bool { _, err := full.TryAcquire(); return err == pool.ErrNoneIdle },
	} {
		t.Run(name, func(t *testing.T) {
			assertNoAllocs(t, testing.AllocsPerRun(1000, func() {
				if !use() {
					t.Error("the call failed")
				}
			}))
		})
	}
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
		for p.Stats().Waiting == 0 { // until the other caller is in the queue
			runtime.Gosched()
		}
		l.Release()
		<-got
	})
	assertNoAllocs(t, allocs)
}

// assertNoAllocs fails t unless allocs is zero. It does nothing under the race detector,
// which makes sync.Pool drop values at random.
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

// BenchmarkSeeing measures the cost of stacks and of Trace.Use.
func BenchmarkSeeing(b *testing.B) {
	use := pool.Trace{Use: func(pool.UseInfo) {}}
	sampled := use
	sampled.UseEvery = 100
	for name, cfg := range map[string]pool.Config{
		"trace=use":           {Trace: use},
		"trace=use/every=100": {Trace: sampled},
		"stacks=armed":        {LeakAfter: time.Hour, KeepAlive: -1},
		"do/max=10":           {},
		"do/max=3":            {MaxOpen: 3},
	} {
		b.Run(name, func(b *testing.B) {
			p, err := pool.New[*plainConn](plainConnector{}, cfg)
			require.NoError(b, err)
			defer p.Close()
			ctx := context.Background()
			fn := func(context.Context, *plainConn) error { return nil }
			armed, do := cfg.LeakAfter > 0, strings.HasPrefix(name, "do")
			b.ReportAllocs()
			for b.Loop() {
				if armed {
					p.Arm(true) // because no sweep does it here
				}
				if do {
					err = p.Do(ctx, fn)
				} else {
					var l pool.Lease[*plainConn]
					l, err = p.Acquire(ctx)
					l.Release()
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
