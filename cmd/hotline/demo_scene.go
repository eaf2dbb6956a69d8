package main

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/drivers/tcp"
	tlsdriver "github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/internal/testserver"
)

// scene is a protocol in the demo.
type scene struct {
	name      string
	serve     func(net.Listener)
	connector func(tcp.Config) (driver.Connector, error) // adds the protocol to an address
	request   request                                    // the request of the clients
}

// scenes returns the scenes of the demo. over is the TLS configuration of the servers, and
// ca the file with the certificate of their CA.
func scenes(over *tls.Config, ca string) ([]scene, error) {
	ping := &testserver.Ping{User: demoUser, Password: demoPassword, Delay: demoDelay, LoginDelay: demoLogin}
	mail, err := newMail(demoPassword)
	if err != nil {
		return nil, err
	}
	mail.Delay, mail.LoginDelay = demoDelay, demoLogin
	secured := tlsdriver.ClientConfig{CA: ca}
	return []scene{
		{"tcp", ping.Serve, pingConnector, pingOnce},
		{"tls", overTLS(ping.Serve, over), func(c tcp.Config) (driver.Connector, error) {
			return tlsdriver.NewConnector(tlsdriver.Config{TCP: loggingIn(c), TLS: secured})
		}, pingOnce},
		{"imaps", overTLS(mail.Serve, over), func(c tcp.Config) (driver.Connector, error) {
			return imap.NewConnector(imap.Config{TCP: c, TLS: secured, User: demoUser, Password: demoPassword, Mailbox: "INBOX"})
		}, fetchOnce},
	}, nil
}

// pingConnector returns a connector to testserver.Ping.
func pingConnector(c tcp.Config) (driver.Connector, error) { return tcp.NewConnector(loggingIn(c)) }

// start starts the server of the scene, and returns a connector to it that uses dial.
func (s scene) start(dial func(ctx context.Context, network, address string) (net.Conn, error)) (*testserver.Server, driver.Connector, error) {
	server, err := testserver.Start(testserver.TCP, "127.0.0.1:0", s.serve)
	if err != nil {
		return nil, nil, err
	}
	c, err := s.connector(tcp.Config{Address: server.Addr(), Dial: dial})
	if err != nil {
		server.Close()
		return nil, nil, err
	}
	return server, c, nil
}
