package hotline_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/internal/testserver"
	"github.com/hotline-go/hotline/pool"
)

func TestExampleDriverKeepsTheContract(t *testing.T) {
	drivertest.Run(t, func(t testing.TB) drivertest.Subject {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		return drivertest.Subject{
			Connector: lineConnector(ln.Addr().String()),
			Server:    drivertest.Serve(t, ln, new(testserver.Ping).Serve),
			Exchange:  func(c driver.Conn) error { return want(c, "PING", "PONG") },
			Leftover:  func(c driver.Conn) error { return want(c, "ECHO a\nECHO b", "a") },
		}
	})
}

// want makes a request on c, and returns an error unless the answer matches.
func want(c driver.Conn, line, answer string) error {
	got, err := c.(*Line).Ask(line)
	if err == nil && got != answer {
		return fmt.Errorf("answer %s, want %q", driver.Quote(got), answer)
	}
	return err
}

// chatty answers each line with the same line and a surplus one, in one packet.
func chatty(c net.Conn) {
	for lines := bufio.NewScanner(c); lines.Scan(); {
		if _, err := fmt.Fprintf(c, "%s\nsurplus\n", lines.Text()); err != nil {
			return
		}
	}
}

func TestSurplusAnswerIsNotSeenByTheNextCaller(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	drivertest.Serve(t, ln, drivertest.Each(chatty))
	p, err := pool.Open[*Line]("line", ln.Addr().String(), pool.Config{MaxOpen: 1})
	require.NoError(t, err)
	defer p.Close()

	for _, line := range []string{"one", "two"} {
		answer, err := pool.Call(t.Context(), p, func(_ context.Context, l *Line) (string, error) { return l.Ask(line) })
		require.NoError(t, err)
		assert.Equal(t, line, answer)
	}
	require.NoError(t, p.Ping(t.Context()))
	assert.EqualValues(t, 3, p.Stats().Closed.Invalid)
}
