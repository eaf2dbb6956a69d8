package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/puddle/v2"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool/keyed"
)

// keyedTarget lends connections by key.
type keyedTarget struct {
	name string
	open func(limit int, s *keyedServer) (use func(ctx context.Context, key int, hold func()) error, end func())
}

// keyedServer counts the connections of all keys.
type keyedServer struct {
	takes                time.Duration // how long a connect takes
	open, peak, connects atomic.Int64
}

type keyedConn struct{ server *keyedServer }

func (s *keyedServer) Connect(context.Context) (driver.Conn, error) { return s.connect(), nil }

func (s *keyedServer) connect() *keyedConn {
	s.connects.Add(1)
	n := s.open.Add(1)
	for old := s.peak.Load(); n > old && !s.peak.CompareAndSwap(old, n); old = s.peak.Load() {
	}
	<-time.After(s.takes)
	return &keyedConn{s}
}

func (c *keyedConn) Close() error {
	c.server.open.Add(-1)
	return nil
}

var keyedTargets = []keyedTarget{
	{"hotline", func(limit int, s *keyedServer) (func(context.Context, int, func()) error, func()) {
		p, err := keyed.Open[int, *keyedConn](func(int) (driver.Connector, error) { return s, nil }, keyed.Config[int]{MaxOpen: limit})
		if err != nil {
			panic(err)
		}
		return func(ctx context.Context, key int, hold func()) error {
			l, err := p.Acquire(ctx, key)
			if err != nil {
				return err
			}
			hold()
			l.Release()
			return nil
		}, func() { p.Close() }
	}},
	// As people write it by hand: a semaphore limits the leases, and each key
	// keeps the connections it has opened.
	{"map+puddle+semaphore", func(limit int, s *keyedServer) (func(context.Context, int, func()) error, func()) {
		var mu sync.Mutex // guards pools
		pools := map[int]*puddle.Pool[*keyedConn]{}
		of := func(key int) *puddle.Pool[*keyedConn] {
			mu.Lock()
			defer mu.Unlock()
			if pools[key] == nil {
				pools[key], _ = puddle.NewPool(&puddle.Config[*keyedConn]{
					MaxSize:     int32(limit),
					Constructor: func(context.Context) (*keyedConn, error) { return s.connect(), nil },
					Destructor:  func(c *keyedConn) { c.Close() },
				})
			}
			return pools[key]
		}
		room := make(chan struct{}, limit)
		return func(ctx context.Context, key int, hold func()) error {
				select {
				case room <- struct{}{}:
				case <-ctx.Done():
					return ctx.Err()
				}
				defer func() { <-room }()
				r, err := of(key).Acquire(ctx)
				if err != nil {
					return err
				}
				hold()
				r.Release()
				return nil
			}, func() {
				for _, p := range pools {
					p.Close()
				}
			}
	}},
}

// BenchmarkKeyed runs 64 callers that use connections by key, with a limit of 16
// connections. One key gets half of the calls. It reports the connects per call, the
// most connections that the server counted, and the wait of the callers of the other
// keys.
func BenchmarkKeyed(b *testing.B) {
	const limit, callers = 16, 64
	for _, at := range []struct {
		keys    int
		connect time.Duration
	}{{8, time.Millisecond}, {8, 20 * time.Millisecond}, {100, time.Millisecond}, {100, 20 * time.Millisecond}} {
		keys := at.keys
		for _, target := range keyedTargets {
			b.Run(fmt.Sprintf("keys=%d/connect=%v/pool=%s", keys, at.connect, target.name), func(b *testing.B) {
				s := &keyedServer{takes: at.connect}
				use, end := target.open(limit, s)
				defer end()
				var left atomic.Int64
				left.Store(int64(b.N))
				waits := make([][]time.Duration, callers)
				var all sync.WaitGroup
				b.ResetTimer()
				for i := range callers {
					all.Go(func() {
						for left.Add(-1) >= 0 {
							key := max(rand.N(2*keys)-keys, 0)
							began := time.Now()
							err := use(context.Background(), key, func() {
								if key > 0 {
									waits[i] = append(waits[i], time.Since(began))
								}
								<-time.After(200 * time.Microsecond)
							})
							if err != nil && !errors.Is(err, context.Canceled) {
								b.Error(err)
							}
						}
					})
				}
				all.Wait()
				b.StopTimer()
				sorted := slices.Sorted(slices.Values(slices.Concat(waits...)))
				if len(sorted) > 0 {
					b.ReportMetric(float64(sorted[len(sorted)*99/100].Microseconds())/1000, "p99-wait-ms")
				}
				b.ReportMetric(float64(s.connects.Load())/float64(b.N), "connects/op")
				b.ReportMetric(float64(s.peak.Load()), "peak")
			})
		}
	}
}
