package tcp_test

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs handle for each connection to a loopback listener of the network,
// and returns the address. At the end of the test it closes all connections
// and waits.
func serve(t testing.TB, network string, handle func(net.Conn)) string {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = socketPath(t)
	}
	l, err := net.Listen(network, address)
	require.NoError(t, err)
	return serveOn(t, l, handle)
}

// socketPath returns a path that is short enough for a unix socket. The path of
// T.TempDir may be too long.
func socketPath(t testing.TB) string {
	dir, err := os.MkdirTemp("", "")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir + "/s"
}

func serveOn(t testing.TB, l net.Listener, handle func(net.Conn)) string {
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
			wg.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

func echo(c net.Conn) { _, _ = io.Copy(c, c) }

// connect opens a connection with config and closes it at the end of the test.
func connect(t testing.TB, config tcp.Config) (*tcp.Conn, error) {
	t.Helper()
	connector, err := tcp.NewConnector(config)
	require.NoError(t, err)
	return connectTo(t, connector)
}

func connectTo(t testing.TB, connector driver.Connector) (*tcp.Conn, error) {
	t.Helper()
	c, err := connector.Connect(t.Context())
	if err != nil {
		require.Nil(t, c)
		return nil, err
	}
	t.Cleanup(func() { c.Close() })
	return c.(*tcp.Conn), nil
}

// wantEcho checks that c leads to an echo server.
func wantEcho(t testing.TB, c net.Conn) {
	t.Helper()
	_, err := io.WriteString(c, "hello")
	require.NoError(t, err)
	answer := make([]byte, 5)
	_, err = io.ReadFull(c, answer)
	require.NoError(t, err)
	require.Equal(t, "hello", string(answer))
}

// canceled returns a context that has ended.
func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
