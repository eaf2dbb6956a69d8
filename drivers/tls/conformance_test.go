package tls_test

import (
	"bufio"
	"context"
	stdtls "crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/internal/testserver"
)

// Each of these has a ping, so that Ping is a round trip.
func TestTheDriverKeepsTheContract(t *testing.T) {
	ca := testcert.NewCA()
	run := func(name string, setup func(t testing.TB, config tls.Config) drivertest.Subject) {
		t.Run(name, func(t *testing.T) {
			drivertest.Run(t, func(t testing.TB) drivertest.Subject {
				config := tls.Config{TLS: tls.ClientConfig{Base: &stdtls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}}}
				config.TCP.PingBytes, config.TCP.PongBytes = "PING\n", "PONG\n"
				return setup(t, config)
			})
		})
	}
	for version, number := range versions {
		server := ca.ServerConfig()
		server.MaxVersion = number
		run("TLS "+version, func(t testing.TB, config tls.Config) drivertest.Subject {
			return subject(t, listenTCP(t), server, &testserver.Ping{}, config)
		})
		run("TLS "+version+" with certificates of both", func(t testing.TB, config tls.Config) drivertest.Subject {
			config.TLS.Base.Certificates = []stdtls.Certificate{ca.Client("ada")}
			return subject(t, listenTCP(t), mutual(server.Clone(), ca), &testserver.Ping{}, config)
		})
	}
	run("memory", func(t testing.TB, config tls.Config) drivertest.Subject {
		var nw memnet.Network
		l, err := nw.Listen("localhost:1")
		require.NoError(t, err)
		config.TCP.Dial = nw.DialContext
		return subject(t, l, ca.ServerConfig(), &testserver.Ping{}, config)
	})
	run("login", func(t testing.TB, config tls.Config) drivertest.Subject {
		config.TCP.Handshake = func(_ context.Context, c net.Conn) (net.Conn, error) {
			return c, ask(c, "LOGIN ada p4ssword", "OK")
		}
		server := &testserver.Ping{User: "ada", Password: "p4ssword"}
		s := subject(t, listenTCP(t), ca.ServerConfig(), server, config)
		s.Fill = func() func() {
			server.SetFull(true)
			return func() { server.SetFull(false) }
		}
		return s
	})
}

func subject(t testing.TB, l net.Listener, over *stdtls.Config, server *testserver.Ping, config tls.Config) drivertest.Subject {
	config.TCP.Address = l.Addr().String()
	connector, err := tls.NewConnector(config)
	require.NoError(t, err)
	return drivertest.Subject{
		Connector: connector,
		Server:    drivertest.Serve(t, l, func(l net.Listener) { server.Serve(stdtls.NewListener(l, over)) }),
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
