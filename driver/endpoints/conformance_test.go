package endpoints_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/driver/endpoints"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/internal/testport"
	"github.com/hotline-go/hotline/internal/testserver"
)

// The first of two servers is down.
func TestASetKeepsTheContractOfItsDriver(t *testing.T) {
	drivertest.Run(t, func(t testing.TB) drivertest.Subject {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		server := &testserver.Ping{User: "ada", Password: "p4ssword"}
		connector, err := endpoints.New(endpoints.Set{
			Addrs: []string{testport.Refused(t), l.Addr().String()},
			Connector: func(addr string) (driver.Connector, error) {
				return tcp.NewConnector(tcp.Config{Address: addr, PingBytes: "PING\n", PongBytes: "PONG\n", Handshake: login})
			},
		})
		require.NoError(t, err)
		return drivertest.Subject{
			Connector: connector,
			Server:    drivertest.Serve(t, l, server.Serve),
			Exchange: func(c driver.Conn) error {
				answer, err := ask(c.(net.Conn), "PING")
				if err == nil && answer != "PONG" {
					err = errors.New("unexpected answer")
				}
				return err
			},
			Fill: func() (makeRoom func()) {
				server.SetFull(true)
				return func() { server.SetFull(false) }
			},
			Secrets: []string{"p4ssword"},
		}
	})
}

func login(_ context.Context, c net.Conn) (net.Conn, error) {
	answer, err := ask(c, "LOGIN ada p4ssword")
	if err == nil && answer == "FULL" {
		err = driver.Full(errors.New("the server is full"), 0)
	}
	return c, err
}
