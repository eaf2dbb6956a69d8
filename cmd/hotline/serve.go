package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"

	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/internal/testserver"
)

// serveCommand is hotline serve, a command per protocol.
type serveCommand struct {
	TCP serveTCPCommand `cmd:"" name:"tcp" help:"Lines over TCP: PING is answered by PONG, ECHO text by the text."`
	TLS serveTLSCommand `cmd:"" name:"tls" help:"The same over TLS, with a certificate made for the occasion."`
}

// serveTCPCommand is hotline serve tcp.
type serveTCPCommand struct {
	Addr string `default:"127.0.0.1:0" help:"Where to listen; port 0 is any that is free."`
}

// Run serves until ctx ends, which is no failure.
func (c *serveTCPCommand) Run(ctx context.Context, con console) error {
	ping := new(testserver.Ping)
	return servePing(ctx, con, ping, ping.Serve, c.Addr, func(addr string) string { return "tcp://" + addr + pinging })
}

// serveTLSCommand is hotline serve tls.
type serveTLSCommand struct {
	Addr string `default:"127.0.0.1:0" help:"Where to listen; port 0 is any that is free."`
}

// Run serves until ctx ends, which is no failure. Until then there is a file
// with the authority of the server's certificate.
func (c *serveTLSCommand) Run(ctx context.Context, con console) error {
	config, ca, remove, err := newAuthority()
	if err != nil {
		return err
	}
	defer remove()
	ping := new(testserver.Ping)
	serve := func(ln net.Listener) { ping.Serve(tls.NewListener(ln, config)) }
	return servePing(ctx, con, ping, serve, c.Addr, func(addr string) string {
		return "tls://" + addr + pinging + "&ca=" + url.QueryEscape(ca)
	})
}

// newAuthority makes a configuration for a server on loopback, and a file with
// the authority of its certificate.
func newAuthority() (config *tls.Config, file string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "hotline")
	if err != nil {
		return nil, "", nil, err
	}
	ca := testcert.NewCA()
	file = filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(file, ca.PEM(), 0o644); err != nil {
		_ = os.RemoveAll(dir)
		return nil, "", nil, err
	}
	return ca.ServerConfig(), file, func() { _ = os.RemoveAll(dir) }, nil
}

// pinging are the parameters of a DSN that make Ping a round trip.
const pinging = "?ping=PING%0A&pong=PONG%0A"

// servePing serves until ctx ends, and prints the DSN for the address.
func servePing(ctx context.Context, con console, ping *testserver.Ping, serve func(net.Listener), addr string, dsn func(addr string) string) error {
	server, err := testserver.Start(testserver.TCP, addr, serve)
	if err != nil {
		return err
	}
	fmt.Fprintf(con.out, "address  %s\nDSN      %s\n", server.Addr(), dsn(server.Addr()))
	<-ctx.Done()
	server.Close()
	stats := server.Stats()
	fmt.Fprintf(con.out, "served   %s requests on %s connections, at most %s at once\n",
		grouped(ping.Requests()), grouped(int64(stats.Accepted)), grouped(int64(stats.Most)))
	return nil
}
