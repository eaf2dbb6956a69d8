package drivertest_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
)

// serveReal starts a server, which the relay does not control, and returns its
// address.
func serveReal(t testing.TB, network string, handle func(net.Conn)) (server drivertest.Server, address string) {
	at := "127.0.0.1:0"
	if network == "unix" {
		dir, err := os.MkdirTemp("", "")
		require.NoError(t, err)
		t.Cleanup(func() { os.RemoveAll(dir) })
		at = filepath.Join(dir, "s")
	}
	ln, err := net.Listen(network, at)
	require.NoError(t, err)
	return drivertest.Serve(t, ln, drivertest.Each(handle)), ln.Addr().String()
}

// relayed returns a Subject for a driver, made for an address by connector,
// that talks to a depotServer through a Relay.
func relayed(t testing.TB, network string, connector func(address string) driver.Connector) drivertest.Subject {
	var depot depotServer
	_, address := serveReal(t, network, depot.serve)
	server, at := drivertest.Relay(t, network, address)
	return drivertest.Subject{Connector: connector(at), Server: server, Fill: depot.fill}
}

func TestDriversPassTheSuiteThroughARelay(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run("plain, "+network, func(t *testing.T) {
			drivertest.Run(t, func(t testing.TB) drivertest.Subject {
				s := relayed(t, network, func(address string) driver.Connector {
					return &plainConnector{func(ctx context.Context) (net.Conn, error) {
						return new(net.Dialer).DialContext(ctx, network, address)
					}}
				})
				s.Exchange = func(c driver.Conn) error { return c.(asker).ask("PING", "PONG") }
				s.Spoil = func(c driver.Conn) error { return c.(asker).ask("SELECT inbox", "OK") }
				s.Fresh = func(c driver.Conn) error { return c.(asker).ask("SELECTED", "") }
				s.Leftover = func(c driver.Conn) error { return c.(asker).ask("COUNT bolts\nCOUNT nuts", "3") }
				return s
			})
		})
	}
	t.Run("depot", func(t *testing.T) {
		drivertest.Run(t, func(t testing.TB) drivertest.Subject {
			s := depotSubject(t)
			through := relayed(t, "tcp", func(address string) driver.Connector {
				connector, err := driver.OpenConnector("depot", "depot://ada:p4ss%20w0rd@"+address)
				require.NoError(t, err)
				return connector
			})
			s.Connector, s.Server, s.Fill = through.Connector, through.Server, through.Fill
			return s
		})
	})
}

// throughRelay starts echoUntilQuit and a relay to it. It returns both, and
// a function that connects through the relay.
func throughRelay(t *testing.T, network string) (server, relay drivertest.Server, dial func() net.Conn) {
	server, address := serveReal(t, network, echoUntilQuit)
	relay, at := drivertest.Relay(t, network, address)
	return server, relay, func() net.Conn {
		c, err := net.Dial(network, at)
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
}

func TestARelayJoinsEachConnectionToOneOfTheServer(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			server, relay, dial := throughRelay(t, network)
			wantOpen(t, relay, 0)
			a, b := dial(), dial()
			say(t, a, "hello")
			say(t, b, "hello too")
			wantOpen(t, relay, 2)
			wantOpen(t, server, 2)
			a.Close()
			wantOpen(t, relay, 1)
			wantOpen(t, server, 1)
			_, err := fmt.Fprintln(b, "quit")
			require.NoError(t, err)
			_, err = b.Read(make([]byte, 1))
			assert.ErrorIs(t, err, io.EOF, "the server's close is passed on")
			wantOpen(t, relay, 0)
			wantOpen(t, server, 0)
		})
	}
}

func TestASilentRelayPassesNothingOn(t *testing.T) {
	server, relay, dial := throughRelay(t, "tcp")
	old := dial()
	say(t, old, "before")
	received := relay.Silence()
	fresh := dial()
	wantOpen(t, relay, 2)
	wantOpen(t, server, 2)
	server.Hangup() // must not be passed on either
	for _, c := range []net.Conn{old, fresh} {
		_, err := fmt.Fprintln(c, "anybody there?")
		require.NoError(t, err)
		<-received
		c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		_, err = c.Read(make([]byte, 1))
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		c.Close()
	}
	wantOpen(t, relay, 0)
}

func TestARelayHangsUpResetsAndRefuses(t *testing.T) {
	server, relay, dial := throughRelay(t, "tcp")
	c := dial()
	say(t, c, "hello")
	relay.Hangup()
	_, err := c.Read(make([]byte, 1))
	assert.ErrorIs(t, err, io.EOF)
	wantOpen(t, server, 0)

	c = dial()
	say(t, c, "hello again")
	relay.Reset()
	_, err = c.Read(make([]byte, 1))
	assert.Error(t, err)
	assert.NotErrorIs(t, err, io.EOF)
	wantOpen(t, server, 0)

	c = dial()
	say(t, c, "once more")
	relay.Refuse()
	say(t, c, "still here")
	wantOpen(t, relay, 1)
}

func TestARefusingRelayTakesNoNewConnection(t *testing.T) {
	_, address := serveReal(t, "tcp", echoUntilQuit)
	relay, at := drivertest.Relay(t, "tcp", address)
	relay.Refuse()
	_, err := net.Dial("tcp", at)
	assert.Error(t, err)
}

func TestARelayFailsItsTestIfTheServerIsNotThere(t *testing.T) {
	server, address := serveReal(t, "tcp", echoUntilQuit)
	server.Refuse()
	r := record(t, func(t testing.TB) {
		relay, at := drivertest.Relay(t, "tcp", address)
		c, err := net.Dial("tcp", at)
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Read(make([]byte, 1))
		assert.Error(t, err)
		wantOpen(t, relay, 0)
	})
	require.Len(t, r.errors, 1)
	assert.Contains(t, r.errors[0], "drivertest: relay: dial tcp "+address)
}
