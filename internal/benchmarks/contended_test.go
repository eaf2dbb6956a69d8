package benchmarks

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkContended runs 128 goroutines on 8 connections. A holder yields once, as in
// a request over the network. Otherwise, on two cores, no more than two goroutines
// would ever want a connection.
//
// p50-ns, p99-ns and max-ns are how long a caller waits for a connection. share is the
// number of uses by the least served goroutine as a fraction of the most served one's.
func BenchmarkContended(b *testing.B) {
	b.Run("clients=128/size=8", func(b *testing.B) {
		forEach(b, candidates, 8, func(b *testing.B, t target) { contend(b, t, 128) })
	})
}

// contend makes clients goroutines share b.N uses of t.
func contend(b *testing.B, t target, clients int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	all := newClients(clients)
	var used atomic.Int64
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range all {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			c := &all[i]
			for used.Add(1) <= int64(b.N) {
				if err := c.use(ctx, t); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	ready.Wait()
	b.ResetTimer()
	close(start)
	done.Wait()
	b.StopTimer()
	report(b, all)
}

// client is a goroutine that uses a target, and its measurements.
type client struct {
	waits histogram
	began time.Time
	hold  func() // made once: a closure for each use would be an allocation
}

func newClients(n int) []client {
	all := make([]client, n)
	for i := range all {
		c := &all[i]
		c.hold = func() {
			c.waits.add(time.Since(c.began))
			runtime.Gosched()
		}
	}
	return all
}

// use takes a connection, records how long that took, and yields once before it gives
// the connection back.
func (c *client) use(ctx context.Context, t target) error {
	c.began = time.Now()
	return t.use(ctx, c.hold)
}

// report reports the combined measurements of the clients.
func report(b *testing.B, clients []client) {
	var sum histogram
	least, most := clients[0].waits.total, clients[0].waits.total
	for i := range clients {
		sum.merge(&clients[i].waits)
		least = min(least, clients[i].waits.total)
		most = max(most, clients[i].waits.total)
	}
	b.ReportMetric(float64(sum.quantile(0.5)), "p50-ns")
	b.ReportMetric(float64(sum.quantile(0.99)), "p99-ns")
	b.ReportMetric(float64(sum.max), "max-ns")
	b.ReportMetric(float64(least)/float64(most), "share")
}
