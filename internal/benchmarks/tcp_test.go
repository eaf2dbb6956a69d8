package benchmarks

import (
	"context"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	_ "github.com/hotline-go/hotline/drivers/tcp" // registers "tcp"
	"github.com/hotline-go/hotline/pool"
)

const echoSize = 64 // bytes of a request and of its answer

// dialer is a driver that has only Connect.
type dialer string

func (addr dialer) Connect(ctx context.Context) (driver.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", string(addr))
}

// openTCP returns a pool of the tcp driver's connections to addr.
func openTCP(tb testing.TB, addr string, config pool.Config) *pool.Pool[net.Conn] {
	p, err := pool.Open[net.Conn]("tcp", "tcp://"+addr, config)
	require.NoError(tb, err)
	return p
}

func dial(tb testing.TB, addr string) net.Conn {
	c, err := net.Dial("tcp", addr)
	require.NoError(tb, err)
	return c
}

// serveEcho runs a server until tb ends, and returns its address.
func serveEcho(tb testing.TB) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	tb.Cleanup(func() { l.Close() })
	go func() { // until l is closed
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveConn(c.(*net.TCPConn))
		}
	}()
	return l.Addr().String()
}

// serveConn answers until the client closes the connection. It then resets the
// connection. Otherwise the client's port would stay taken for a minute, and a benchmark
// with a connection per request would run out of ports.
func serveConn(c *net.TCPConn) {
	defer c.Close()
	c.SetLinger(0)
	buf := make([]byte, echoSize)
	for {
		if _, err := io.ReadFull(c, buf); err != nil {
			return
		}
		if _, err := c.Write(buf); err != nil {
			return
		}
	}
}

// echo makes one request and reads the answer.
func echo(c net.Conn, buf []byte) error {
	if _, err := c.Write(buf); err != nil {
		return err
	}
	_, err := io.ReadFull(c, buf)
	return err
}
