//go:build linux

package redis_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/gomodule/redigo/redis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/examples/internal/realserver"
	"github.com/hotline-go/hotline/examples/internal/storm"
	_ "github.com/hotline-go/hotline/examples/redis"
)

func TestMain(m *testing.M) { storm.Main(m) }

const (
	password = "p4ss,w/rd"
	dsn      = "redis://:p4ss%2Cw%2Frd@"
)

// start runs a server with room for limit connections.
func start(t testing.TB, limit int) *realserver.Server {
	return realserver.Start(t, realserver.Program{
		Name: "redis-server", Package: "redis-server", User: "nobody",
		Configure: func(s *realserver.Server) []string {
			return []string{"--bind", "127.0.0.1", "--port", s.Port(), "--dir", s.Dir,
				"--maxclients", strconv.Itoa(limit), "--requirepass", password, "--save", ""}
		},
		Ready: func(nc net.Conn) error {
			_, err := redis.NewConn(nc, 0, 0).Do("AUTH", password)
			return err
		},
	})
}

func TestConformance(t *testing.T) {
	s := start(t, 100)
	drivertest.Run(t, func(t testing.TB) drivertest.Subject {
		addr, server := s.Relay(t)
		connector, err := driver.OpenConnector("redis", dsn+addr+"/3")
		require.NoError(t, err)
		return drivertest.Subject{
			Connector: connector,
			Server:    server,
			Exchange:  func(c driver.Conn) error { return do(c, "one", "ECHO", "one") },
			Leftover: func(c driver.Conn) error {
				client := client(c)
				client.Send("ECHO", "one")
				client.Send("ECHO", "two")
				client.Flush()
				_, err := client.Receive()
				return err
			},
			Spoil: func(c driver.Conn) error {
				return errors.Join(do(c, "OK", "SELECT", 7), do(c, "OK", "MULTI"), do(c, "QUEUED", "GET", "x"))
			},
			Fresh: func(c driver.Conn) error {
				if err := do(c, "OK", "SET", "here", "yes"); err != nil {
					return err
				}
				return do(c, "yes", "GET", "here")
			},
			Fill:    func() func() { return fill(t, s) },
			Secrets: []string{password},
			BadDSN: func() error {
				_, err := driver.OpenConnector("redis", dsn+addr+"/3?nosuch=1")
				return err
			},
		}
	})
}

func client(c driver.Conn) redis.Conn {
	client, _ := driver.As[redis.Conn](c)
	return client
}

// do makes a request and fails unless the answer is want.
func do(c driver.Conn, want, command string, args ...any) error {
	got, err := redis.String(client(c).Do(command, args...))
	if err == nil {
		err = storm.Check(got, want)
	}
	return err
}

func TestStorm(t *testing.T) {
	const maxOpen = 12
	s := start(t, maxOpen+1) // refused needs one
	storm.Storm[redis.Conn]{
		Server:    s,
		MaxOpen:   maxOpen,
		Connector: func(addr string) (driver.Connector, error) { return driver.OpenConnector("redis", dsn+addr) },
		Exchange: func(_ context.Context, c redis.Conn, n int) error {
			want := fmt.Sprint("answer ", n)
			got, err := redis.String(c.Do("ECHO", want))
			if err != nil {
				return err
			}
			return storm.Check(got, want)
		},
		Refused: func() int { return refused(t, s) },
	}.Run(t)
}

// admin returns a connection that is not from the pool.
func admin(t testing.TB, s *realserver.Server) redis.Conn {
	c, err := redis.Dial("tcp", s.Addr, redis.DialPassword(password))
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// info returns a number from the answer to INFO.
func info(t testing.TB, c redis.Conn, name string) (n int) {
	text, err := redis.String(c.Do("INFO"))
	require.NoError(t, err)
	_, after, ok := strings.Cut(text, name+":")
	require.True(t, ok, text)
	_, err = fmt.Sscan(after, &n)
	require.NoError(t, err)
	return n
}

// refused returns how many connections the server has refused.
func refused(t testing.TB, s *realserver.Server) int {
	c := admin(t, s)
	defer c.Close()
	return info(t, c, "rejected_connections")
}

// fill lowers the server's limit to its current number of connections.
func fill(t testing.TB, s *realserver.Server) (makeRoom func()) {
	c := admin(t, s)
	limit := func(n int) {
		_, err := c.Do("CONFIG", "SET", "maxclients", n)
		require.NoError(t, err)
	}
	limit(info(t, c, "connected_clients"))
	return func() { limit(100) }
}

func TestTheProgramCountsWords(t *testing.T) {
	s := start(t, 20)
	out := realserver.GoRun(t, "./program", "DSN="+dsn+s.Addr, "to be or not to be\nthat be\n")
	assert.Equal(t, "3 be\n2 to\n1 that\n", out)
}
