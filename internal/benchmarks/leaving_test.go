package benchmarks

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	leavers     = 10_000
	liveClients = 8
	liveSize    = 4 // fewer than liveClients, so that they use the queue too

	// joinTime is how long the leavers have to join the queue. They need a tenth of
	// it.
	joinTime = 250 * time.Millisecond

	// liveTime is how long the live clients are measured, once undisturbed and once
	// from the deadline of the leavers.
	liveTime = time.Second
)

// BenchmarkLeaving measures the recovery from overload. 10,000 callers wait in vain, each
// with its own context, and all give up at the same deadline. At that moment the
// connections become free for 8 live clients.
//
// live-ratio is the throughput of the live clients after the deadline, as a fraction of
// their undisturbed throughput. leave-ms is how long after the deadline the last of the
// 10,000 leaves.
func BenchmarkLeaving(b *testing.B) {
	b.Run("waiters=10000", func(b *testing.B) {
		forEach(b, candidates, liveSize, func(b *testing.B, t target) {
			var undisturbed, disturbed float64
			var left time.Duration
			for b.Loop() {
				undisturbed += live(b, t)
				rate, last := leave(b, t)
				disturbed += rate
				left += last
			}
			n := float64(b.N)
			b.ReportMetric(undisturbed/n, "undisturbed-ops/s")
			b.ReportMetric(disturbed/n, "live-ops/s")
			b.ReportMetric(disturbed/undisturbed, "live-ratio")
			b.ReportMetric(float64(left.Microseconds())/1000/n, "leave-ms")
			b.ReportMetric(0, "ns/op") // hides it: the time depends on the timers
		})
	})
}

// live returns the uses per second that the live clients make of t in liveTime.
func live(b *testing.B, t target) float64 {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var stop atomic.Bool
	defer time.AfterFunc(liveTime, func() { stop.Store(true) }).Stop()
	clients := newClients(liveClients)
	began := time.Now()
	var done sync.WaitGroup
	for i := range clients {
		done.Go(func() {
			for !stop.Load() {
				if err := clients[i].use(ctx, t); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	done.Wait()
	var uses uint64
	for i := range clients {
		uses += clients[i].waits.total
	}
	return float64(uses) / time.Since(began).Seconds()
}

// leave is like live, but starts when the leavers give up. It also returns how long
// after that the last one has left.
func leave(b *testing.B, t target) (rate float64, last time.Duration) {
	deadline := time.Now().Add(joinTime)
	release := hold(b, t, liveSize)
	var waiting sync.WaitGroup
	for range leavers {
		waiting.Go(func() {
			ctx, cancel := context.WithDeadline(context.Background(), deadline)
			defer cancel()
			if t.use(ctx, nil) == nil && time.Now().Before(deadline) {
				b.Error("a connection became free before the deadline")
			}
		})
	}
	left := make(chan time.Duration, 1)
	go func() {
		waiting.Wait()
		left <- time.Since(deadline)
	}()
	<-time.After(time.Until(deadline))
	close(release)
	rate = live(b, t)
	return rate, <-left
}

// hold takes n connections of t and keeps them until release is closed.
func hold(b *testing.B, t target, n int) (release chan struct{}) {
	release = make(chan struct{})
	var held sync.WaitGroup
	held.Add(n)
	for range n {
		go func() {
			err := t.use(context.Background(), func() {
				held.Done()
				<-release
			})
			if err != nil {
				b.Error(err)
			}
		}()
	}
	held.Wait()
	return release
}
