//go:build linux

package memcached_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/examples/internal/realserver"
	"github.com/hotline-go/hotline/examples/internal/storm"
	"github.com/hotline-go/hotline/examples/memcached"
)

func TestMain(m *testing.M) { storm.Main(m) }

// ownFiles is how many files memcached 1.6 opens for itself with one thread. It accepts
// a connection if its descriptor is below the limit minus one.
const ownFiles = 13

// start runs a server with room for limit connections.
func start(t testing.TB, limit int) *realserver.Server {
	return realserver.Start(t, realserver.Program{
		Name: "memcached", Package: "memcached", User: "nobody",
		Configure: func(s *realserver.Server) []string {
			return []string{"-l", "127.0.0.1", "-p", s.Port(), "-t", "1", "-c", strconv.Itoa(limit + ownFiles)}
		},
	})
}

func TestConformance(t *testing.T) {
	s := start(t, 20)
	drivertest.Run(t, func(t testing.TB) drivertest.Subject {
		addr, server := s.Relay(t)
		connector, err := driver.OpenConnector("memcached", "memcached://"+addr)
		require.NoError(t, err)
		return drivertest.Subject{
			Connector: connector,
			Server:    server,
			Exchange:  func(c driver.Conn) error { return exchange(client(c), 1) },
			Leftover: func(c driver.Conn) error {
				if err := client(c).Send("get one\r\nget two\r\n"); err != nil {
					return err
				}
				_, _, err := client(c).ReceiveValue("one")
				return err
			},
			Fill: func() func() { return fill(t, s) },
			BadDSN: func() error {
				_, err := driver.OpenConnector("memcached", "memcached://"+addr+"?nosuch=1")
				return err
			},
		}
	})
}

func client(c driver.Conn) *memcached.Client {
	client, _ := driver.As[*memcached.Client](c)
	return client
}

// exchange stores a value that depends on n and reads it.
func exchange(c *memcached.Client, n int) error {
	key, want := fmt.Sprint("key", n%100), fmt.Sprint("value of ", n%100)
	if err := c.Set(key, want); err != nil {
		return err
	}
	got, _, err := c.Get(key)
	if err != nil {
		return err
	}
	return storm.Check(got, want)
}

// fill uses up the remaining room.
func fill(t testing.TB, s *realserver.Server) (makeRoom func()) {
	var all []net.Conn
	for {
		nc := dial(t, s)
		if answer := ask(t, nc, "version\r\n"); strings.HasPrefix(answer, "ERROR") {
			return func() {
				for _, nc := range all {
					ask(t, nc, "quit\r\n") // returns when the server has closed
				}
			}
		}
		all = append(all, nc)
	}
}

func dial(t testing.TB, s *realserver.Server) net.Conn {
	nc, err := net.Dial("tcp", s.Addr)
	require.NoError(t, err)
	t.Cleanup(func() { nc.Close() })
	require.NoError(t, nc.SetDeadline(time.Now().Add(5*time.Second)))
	return nc
}

// ask returns the first line of the answer to a command.
func ask(t testing.TB, nc net.Conn, command string) string {
	_, err := io.WriteString(nc, command)
	require.NoError(t, err)
	line, _ := bufio.NewReader(nc).ReadString('\n')
	return line
}

func TestStorm(t *testing.T) {
	const maxOpen = 12
	s := start(t, maxOpen+1) // refused needs one
	storm.Storm[*memcached.Client]{
		Server:  s,
		MaxOpen: maxOpen,
		Connector: func(addr string) (driver.Connector, error) {
			return driver.OpenConnector("memcached", "memcached://"+addr)
		},
		Exchange: func(_ context.Context, c *memcached.Client, n int) error { return exchange(c, n) },
		Refused:  func() int { return refused(t, s) },
	}.Run(t)
}

// refused asks the server how many connections it has refused.
func refused(t testing.TB, s *realserver.Server) int {
	nc := dial(t, s)
	_, err := io.WriteString(nc, "stats\r\nquit\r\n")
	require.NoError(t, err)
	text, err := io.ReadAll(nc)
	require.NoError(t, err)
	_, after, ok := strings.Cut(string(text), "STAT rejected_connections ")
	require.True(t, ok, "%s", text)
	n, err := strconv.Atoi(strings.Fields(after)[0])
	require.NoError(t, err)
	return n
}
