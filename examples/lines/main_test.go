//go:build linux

package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/examples/internal/realserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t testing.TB) *realserver.Server {
	return realserver.Start(t, realserver.Program{
		Name: "memcached", Package: "memcached", User: "nobody",
		Configure: func(s *realserver.Server) []string { return []string{"-l", "127.0.0.1", "-p", s.Port()} },
	})
}

func TestTheProgramCountsWords(t *testing.T) {
	out := realserver.GoRun(t, ".", "DSN=counter://"+start(t).Addr, "to be or not to be")
	want := []string{"1 be", "1 not", "1 or", "1 to", "2 be", "2 to"}
	assert.ElementsMatch(t, want, strings.Split(strings.TrimSpace(out), "\n"))
}

func TestConformance(t *testing.T) {
	s := start(t)
	drivertest.Run(t, func(t testing.TB) drivertest.Subject {
		addr, server := s.Relay(t)
		connector, err := driver.OpenConnector("counter", "counter://"+addr)
		require.NoError(t, err)
		return drivertest.Subject{
			Connector: connector,
			Server:    server,
			Exchange:  func(c driver.Conn) error { return exchange(client(c)) },
			Leftover: func(c driver.Conn) error {
				_, err := fmt.Fprint(client(c).nc, "mn\r\nmn\r\n")
				return err
			},
			BadDSN: func() error {
				_, err := driver.OpenConnector("counter", "counter://"+addr+"?nosuch=1")
				return err
			},
		}
	})
}

func client(c driver.Conn) *counter {
	client, _ := driver.As[*counter](c)
	return client
}

// exchange counts a word twice. A word that has a space is refused.
func exchange(c *counter) error {
	for range 2 {
		if _, err := c.add("word"); err != nil {
			return err
		}
	}
	if _, err := c.add("two words"); !errors.As(err, new(refusal)) {
		return fmt.Errorf("got %v, want a refusal", err)
	}
	return nil
}
