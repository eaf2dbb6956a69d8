package tcp_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/internal/testserver"
)

func TestTheDriverKeepsTheContract(t *testing.T) {
	run := func(name string, setup func(t testing.TB, config tcp.Config) drivertest.Subject) {
		t.Run(name, func(t *testing.T) {
			drivertest.Run(t, func(t testing.TB) drivertest.Subject {
				return setup(t, tcp.Config{PingBytes: "PING\n", PongBytes: "PONG\n"})
			})
		})
	}
	run("tcp", func(t testing.TB, config tcp.Config) drivertest.Subject {
		return subject(t, listenTCP(t), new(testserver.Ping).Serve, config)
	})
	run("unix", func(t testing.TB, config tcp.Config) drivertest.Subject {
		l, err := net.Listen("unix", socketPath(t))
		require.NoError(t, err)
		config.Network = "unix"
		return subject(t, l, new(testserver.Ping).Serve, config)
	})
	run("memory", func(t testing.TB, config tcp.Config) drivertest.Subject {
		var nw memnet.Network
		l, err := nw.Listen("server:1")
		require.NoError(t, err)
		config.Dial = nw.DialContext
		return subject(t, l, new(testserver.Ping).Serve, config)
	})
	run("login", func(t testing.TB, config tcp.Config) drivertest.Subject {
		config.Handshake = func(_ context.Context, c net.Conn) (net.Conn, error) {
			return c, ask(c, "LOGIN ada p4ssword", "OK")
		}
		server := &testserver.Ping{User: "ada", Password: "p4ssword"}
		s := subject(t, listenTCP(t), server.Serve, config)
		s.Fill = func() func() {
			server.SetFull(true)
			return func() { server.SetFull(false) }
		}
		return s
	})
	run("TLS in the handshake", func(t testing.TB, config tcp.Config) drivertest.Subject {
		ca := testcert.NewCA()
		config.Handshake = func(ctx context.Context, c net.Conn) (net.Conn, error) {
			secure := tls.Client(c, ca.ClientConfig())
			return secure, secure.HandshakeContext(ctx)
		}
		serve := func(l net.Listener) { new(testserver.Ping).Serve(tls.NewListener(l, ca.ServerConfig())) }
		return subject(t, listenTCP(t), serve, config)
	})
	run("no ping", func(t testing.TB, config tcp.Config) drivertest.Subject {
		config.PingBytes, config.PongBytes = "", "" // Ping can only check the socket
		return subject(t, listenTCP(t), new(testserver.Ping).Serve, config)
	})
}

func subject(t testing.TB, l net.Listener, serve func(net.Listener), config tcp.Config) drivertest.Subject {
	config.Address = l.Addr().String()
	connector, err := tcp.NewConnector(config)
	require.NoError(t, err)
	return drivertest.Subject{
		Connector: connector,
		Server:    drivertest.Serve(t, l, serve),
		Exchange:  func(c driver.Conn) error { return ask(c.(net.Conn), "PING", "PONG") },
		Leftover:  leaveAnswer,
		Secrets:   []string{"p4ssword"},
	}
}

// leaveAnswer makes two requests and reads one answer, byte by byte, because
// a buffer would also take the other answer.
func leaveAnswer(c driver.Conn) error {
	if _, err := io.WriteString(c.(net.Conn), "ECHO a\nECHO b\n"); err != nil {
		return err
	}
	_, err := io.ReadFull(c.(net.Conn), make([]byte, len("a\n")))
	return err
}

func listenTCP(t testing.TB) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

// ask sends a line and fails unless the answer is want.
func ask(c net.Conn, line, want string) error {
	if _, err := fmt.Fprintln(c, line); err != nil {
		return err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	switch {
	case err != nil || answer == want+"\n":
		return err
	case answer == "FULL\n":
		return driver.Full(errors.New("the server is full"), 0)
	}
	return errors.New("unexpected answer")
}
