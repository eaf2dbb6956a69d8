package benchmarks

import (
	"context"
	stdtls "crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/pool"
)

// BenchmarkTLS measures a request and its answer over TLS 1.3. The round-trip time is in
// milliseconds, on a network in memory; 0 is loopback TCP.
//
//	conn=pool     Do on a pool with an idle connection
//	conn=resumed  a connect for each request, which resumes the session
//	conn=full     a connect for each request, with a full handshake
//
// In memory there is no socket to check before each use. The check then costs a timer,
// about 1 ms if timers are coarse.
func BenchmarkTLS(b *testing.B) {
	for _, rtt := range []int{0, 10, 50} {
		b.Run(fmt.Sprintf("rtt=%dms", rtt), func(b *testing.B) {
			l, below := inMemory(b, time.Duration(rtt)*time.Millisecond)
			if rtt == 0 {
				l, below = onLoopback(b)
			}
			config := serveTLS(b, l, below, echoForever)
			b.Run("conn=pool", func(b *testing.B) { tlsFromPool(b, config) })
			b.Run("conn=resumed", func(b *testing.B) { tlsPerRequest(b, config, true) })
			config.TLS.SessionCache = -1
			b.Run("conn=full", func(b *testing.B) { tlsPerRequest(b, config, false) })
		})
	}
}

func tlsFromPool(b *testing.B, config tls.Config) {
	connector, err := tls.NewConnector(config)
	require.NoError(b, err)
	p, err := pool.New[net.Conn](connector, pool.Config{MinIdle: 1, MaxOpen: 1})
	require.NoError(b, err)
	defer p.Close()
	ctx := context.Background()
	require.NoError(b, p.Ready(ctx))
	buf := make([]byte, echoSize)
	request := func(_ context.Context, c net.Conn) error { return echo(c, buf) }
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Do(ctx, request); err != nil {
			b.Fatal(err)
		}
	}
}

// tlsPerRequest connects for each request, and verifies whether the session is
// resumed.
func tlsPerRequest(b *testing.B, config tls.Config, resumes bool) {
	connector, err := tls.NewConnector(config)
	require.NoError(b, err)
	buf := make([]byte, echoSize)
	request := func() (resumed bool) {
		c, err := connector.Connect(context.Background())
		require.NoError(b, err)
		defer c.Close()
		require.NoError(b, echo(c.(net.Conn), buf))
		return c.(*tls.Conn).ConnectionState().DidResume
	}
	request() // the first one never resumes
	b.ReportAllocs()
	for b.Loop() {
		if request() != resumes {
			b.Fatal("resumed:", !resumes)
		}
	}
}

// BenchmarkTLSMemory measures the memory for each of 1,000 idle connections of a pool,
// with and without TLS. Both include the two ends of a connection in memory, and neither
// includes the TLS state of the server.
func BenchmarkTLSMemory(b *testing.B) {
	const size = 1_000
	for _, name := range []string{"tcp", "tls"} {
		b.Run("driver="+name, func(b *testing.B) {
			var bytes int64
			for b.Loop() {
				bytes += tlsMemory(b, name, size)
			}
			b.ReportMetric(float64(bytes)/float64(b.N)/size, "B/conn")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// tlsMemory returns the heap in bytes of n connections that were each used once.
func tlsMemory(b *testing.B, name string, n int) int64 {
	once := func(c net.Conn) {
		buf := make([]byte, echoSize)
		if _, err := io.ReadFull(c, buf); err == nil {
			_, _ = c.Write(buf)
		}
	}
	var connector driver.Connector
	var err error
	l, config := inMemory(b, 0)
	if name == "tls" {
		connector, err = tls.NewConnector(serveTLS(b, l, config, once))
	} else {
		serve(b, l, once)
		connector, err = tcp.NewConnector(config)
	}
	require.NoError(b, err)
	before := heap()
	p, err := pool.New[net.Conn](connector, pool.Config{MaxOpen: n})
	require.NoError(b, err)
	defer p.Close()
	used := make(chan struct{})
	go func() { // so that its stack is freed with it
		defer close(used)
		useAll(b, p, n)
	}()
	<-used
	return heap() - before
}

// useAll holds n connections at once, and makes a request on each.
func useAll(b *testing.B, p *pool.Pool[net.Conn], n int) {
	if n == 0 {
		return
	}
	err := p.Do(context.Background(), func(_ context.Context, c net.Conn) error {
		defer useAll(b, p, n-1)
		return echo(c, make([]byte, echoSize))
	})
	if err != nil {
		b.Error(err)
	}
}

// inMemory returns a listener on a network in memory with that round-trip time, and
// a Config to connect to it.
func inMemory(b *testing.B, rtt time.Duration) (net.Listener, tcp.Config) {
	nw := new(memnet.Network)
	nw.SetLatency(rtt/2, rtt/2)
	l, err := nw.Listen("localhost:1")
	require.NoError(b, err)
	return l, tcp.Config{Address: "localhost:1", Dial: nw.DialContext}
}

func onLoopback(b *testing.B) (net.Listener, tcp.Config) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	return l, tcp.Config{Address: l.Addr().String()}
}

// serveTLS is serve over TLS. It returns the Config of a client that connects to it
// through below.
func serveTLS(b *testing.B, l net.Listener, below tcp.Config, handle func(net.Conn)) tls.Config {
	ca := testcert.NewCA()
	config := ca.ServerConfig()
	serve(b, l, func(c net.Conn) { handle(stdtls.Server(c, config)) })
	return tls.Config{TCP: below, TLS: tls.ClientConfig{Base: &stdtls.Config{RootCAs: ca.Pool()}}}
}

// serve runs handle for each connection, and closes the connections at the end. After
// handle returns, only the connection itself stays in memory.
func serve(b testing.TB, l net.Listener, handle func(net.Conn)) {
	var wg sync.WaitGroup
	var mu sync.Mutex // guards open
	var open []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			wg.Go(func() { handle(c) })
		}
	})
	b.Cleanup(func() {
		l.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range open {
			c.Close()
		}
		wg.Wait()
	})
}

// echoForever ends with the connection, which it closes.
func echoForever(c net.Conn) {
	_, _ = io.Copy(c, c)
	c.Close()
}
