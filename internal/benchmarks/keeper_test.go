package benchmarks

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
)

// BenchmarkKeeper measures the cost of idle connections that hotline pings every 30
// seconds. Their Ping itself costs nothing.
//
// An iteration is a second of real time, so use -benchtime 30x. The connections are made
// over 30 seconds, because in time they spread out anyway, and then measured for 30 more.
//
// cpu-% is the CPU time spent on all cores, in percent of one core. pings/conn should
// be -benchtime in units of 30 s, plus 5 % for the jitter.
func BenchmarkKeeper(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("conns=%d", n), func(b *testing.B) { keep(b, n) })
	}
}

// keep measures a pool of n idle connections for b.N seconds.
func keep(b *testing.B, n int) {
	c := &pacedConnector{conns: make([]conn, n), began: time.Now(), over: time.Duration(b.N) * time.Second}
	memory, goroutines := heap(), runtime.NumGoroutine()
	p, err := pool.New[*conn](c, pool.Config{
		MaxOpen: n, MinIdle: n, KeepAlive: keepAlive, MaxIdleTime: maxIdleTime, MaxLifetime: maxLifetime,
	})
	require.NoError(b, err)
	defer p.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*c.over+time.Minute)
	defer cancel()
	require.NoError(b, p.Ready(ctx))
	pings, most := p.Stats().Pings, 0
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	b.ResetTimer()
	cpu, ok := cpuTime()
	if !ok {
		b.Skip("this system does not report the CPU time")
	}
	for range b.N {
		<-tick.C
		most = max(most, runtime.NumGoroutine()-goroutines)
	}
	spent, _ := cpuTime()
	b.StopTimer()
	b.ReportMetric(100*(spent-cpu).Seconds()/b.Elapsed().Seconds(), "cpu-%")
	b.ReportMetric(float64(p.Stats().Pings-pings)/float64(n), "pings/conn")
	b.ReportMetric(float64(most), "goroutines")
	b.ReportMetric(float64(heap()-memory)/float64(n), "B/conn")
	b.ReportMetric(0, "ns/op")
}

// pacedConnector makes its connections evenly over some time.
type pacedConnector struct {
	conns []conn
	began time.Time
	over  time.Duration
	next  atomic.Int64
}

func (p *pacedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	i := p.next.Add(1) - 1
	due := p.began.Add(time.Duration(float64(p.over) * float64(i) / float64(len(p.conns))))
	select {
	case <-time.After(time.Until(due)):
		return &p.conns[i], nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
