package benchmarks

import (
	"context"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/pool"
)

// BenchmarkEcho measures a request and its answer over loopback TCP.
//
// With one client, the contenders that keep their connections take turns, so that other
// load on the machine affects all of them alike and the medians can be compared to
// within a percent:
//
//	dedicated-ns  a dedicated net.Conn, the best possible
//	pool-ns       the pool, with a driver that has only Connect
//	tcp-ns        Acquire and Release with the tcp driver, which checks the
//	              socket before each use and counts bytes sent and received
//	do-ns         Do with the tcp driver: the I/O also obeys the context
func BenchmarkEcho(b *testing.B) {
	addr := serveEcho(b)
	b.Run("clients=1", func(b *testing.B) { echoInTurns(b, addr) })
	b.Run("clients=1/conn=per-request", func(b *testing.B) { echoPerRequest(b, addr, 1) })
	b.Run("clients=16/conn=dedicated", func(b *testing.B) { echoDedicated(b, addr, 16) })
	b.Run("clients=16/conn=pool", func(b *testing.B) { echoPool(b, addr, 16) })
	b.Run("clients=16/conn=per-request", func(b *testing.B) { echoPerRequest(b, addr, 16) })
}

func echoInTurns(b *testing.B, addr string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	bare, err := pool.New[net.Conn](dialer(addr), pool.Config{})
	require.NoError(b, err)
	defer bare.Close()
	tcp := openTCP(b, addr, pool.Config{KeepAlive: keepAlive})
	defer tcp.Close()
	dedicated := dial(b, addr)
	defer dedicated.Close()
	buf := make([]byte, echoSize)
	lease := func(p *pool.Pool[net.Conn]) error {
		l, err := p.Acquire(ctx)
		if err != nil {
			return err
		}
		defer l.Release()
		return echo(l.Conn(), buf)
	}
	request := func(_ context.Context, c net.Conn) error { return echo(c, buf) }
	takeTurns(b, []contender{
		{name: "dedicated", request: func() error { return echo(dedicated, buf) }},
		{name: "pool", request: func() error { return lease(bare) }},
		{name: "tcp", request: func() error { return lease(tcp) }},
		{name: "do", request: func() error { return tcp.Do(ctx, request) }},
	})
}

// contender is one of the candidates that take turns.
type contender struct {
	name    string
	request func() error
	took    []time.Duration
}

// takeTurns reports the median time of each contender's request.
func takeTurns(b *testing.B, contenders []contender) {
	for b.Loop() {
		rand.Shuffle(len(contenders), func(i, j int) { contenders[i], contenders[j] = contenders[j], contenders[i] })
		for i := range contenders {
			c := &contenders[i]
			began := time.Now()
			if err := c.request(); err != nil {
				b.Fatal(c.name, err)
			}
			c.took = append(c.took, time.Since(began))
		}
	}
	for _, c := range contenders {
		slices.Sort(c.took)
		b.ReportMetric(float64(c.took[len(c.took)/2]), c.name+"-ns")
	}
	b.ReportMetric(0, "ns/op") // hides the sum of all contenders
}

func echoDedicated(b *testing.B, addr string, clients int) {
	conns := make(chan net.Conn, clients)
	for range clients {
		c := dial(b, addr)
		defer c.Close()
		conns <- c
	}
	runClients(b, clients, func(next func() bool) error {
		c, buf := <-conns, make([]byte, echoSize)
		defer func() { conns <- c }()
		for next() {
			if err := echo(c, buf); err != nil {
				return err
			}
		}
		return nil
	})
}

func echoPool(b *testing.B, addr string, clients int) {
	p := openTCP(b, addr, pool.Config{MaxOpen: clients, MinIdle: clients, KeepAlive: keepAlive})
	defer p.Close()
	require.NoError(b, p.Ready(context.Background()))
	runClients(b, clients, func(next func() bool) error {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		buf := make([]byte, echoSize)
		request := func(_ context.Context, c net.Conn) error { return echo(c, buf) }
		for next() {
			if err := p.Do(ctx, request); err != nil {
				return err
			}
		}
		return nil
	})
}

func echoPerRequest(b *testing.B, addr string, clients int) {
	runClients(b, clients, func(next func() bool) error {
		buf := make([]byte, echoSize)
		for next() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				return err
			}
			err = echo(c, buf)
			c.Close()
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// runClients runs client in n goroutines. Each makes requests while next returns true.
func runClients(b *testing.B, n int, client func(next func() bool) error) {
	b.ReportAllocs()
	if n == 1 {
		require.NoError(b, client(b.Loop))
		return
	}
	b.SetParallelism(max(n/runtime.GOMAXPROCS(0), 1))
	b.RunParallel(func(pb *testing.PB) {
		if err := client(pb.Next); err != nil {
			b.Error(err)
		}
	})
}
