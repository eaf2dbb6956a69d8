package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/internal/testserver"
)

// serveCommand is hotline serve, a command per protocol.
type serveCommand struct {
	TCP serveTCPCommand `cmd:"" name:"tcp" help:"Lines over TCP: PING is answered by PONG, ECHO text by the text."`
	TLS serveTLSCommand `cmd:"" name:"tls" help:"The same over TLS, with a certificate made for the occasion."`

	IMAP serveIMAPCommand `cmd:"" name:"imap" help:"A mailbox with a few messages, over TLS, with a password made for the occasion."`
}

// listening is what all of them have.
type listening struct {
	Addr string `default:"127.0.0.1:0" help:"Where to listen; port 0 is any that is free."`
}

// Validate is called by kong. A DSN that was given by mistake holds a password.
func (l listening) Validate() error {
	if _, _, err := net.SplitHostPort(l.Addr); err != nil || strings.ContainsAny(l.Addr, "/@") {
		return errors.New("--addr: want host:port, as in 127.0.0.1:2485")
	}
	return nil
}

// serveTCPCommand is hotline serve tcp.
type serveTCPCommand struct {
	listening
}

// Run serves until ctx ends, which is no failure.
func (c *serveTCPCommand) Run(ctx context.Context, con console) error {
	ping := new(testserver.Ping)
	dsn := func(addr string) string { return "tcp://" + addr + pinging }
	return offer{ping.Serve, dsn, requestsOf(ping)}.serve(ctx, con, c.Addr)
}

// serveTLSCommand is hotline serve tls.
type serveTLSCommand struct {
	listening
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
	dsn := func(addr string) string { return "tls://" + addr + pinging + "&ca=" + url.QueryEscape(ca) }
	return offer{overTLS(ping.Serve, config), dsn, requestsOf(ping)}.serve(ctx, con, c.Addr)
}

// serveIMAPCommand is hotline serve imap.
type serveIMAPCommand struct {
	listening
}

// Run serves until ctx ends, which is no failure. Until then there is a file
// with the authority of the server's certificate. The DSN that it prints holds
// the password, which is for this one run.
func (c *serveIMAPCommand) Run(ctx context.Context, con console) error {
	config, ca, remove, err := newAuthority()
	if err != nil {
		return err
	}
	defer remove()
	password := rand.Text()
	mail, err := newMail(password)
	if err != nil {
		return err
	}
	dsn := func(addr string) string {
		return "imaps://ada:" + password + "@" + addr + "/INBOX?ca=" + url.QueryEscape(ca)
	}
	logins := func() string { return grouped(int64(mail.Logins())) + " logins" }
	return offer{overTLS(mail.Serve, config), dsn, logins}.serve(ctx, con, c.Addr)
}

// overTLS is protocol behind TLS.
func overTLS(protocol func(net.Listener), config *tls.Config) func(net.Listener) {
	return func(ln net.Listener) { protocol(tls.NewListener(ln, config)) }
}

// requestsOf returns the served of an offer of ping.
func requestsOf(ping *testserver.Ping) func() string {
	return func() string { return grouped(ping.Requests()) + " requests" }
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

// offer is what hotline serve serves.
type offer struct {
	protocol func(net.Listener)
	dsn      func(addr string) string
	served   func() string // how much of what
}

// serve serves until ctx ends. It prints the DSN first, and at the end what was
// served.
func (o offer) serve(ctx context.Context, con console, addr string) error {
	server, err := testserver.Start(testserver.TCP, addr, o.protocol)
	if err != nil {
		return err
	}
	fmt.Fprintf(con.out, "address  %s\nDSN      %s\n", server.Addr(), o.dsn(server.Addr()))
	<-ctx.Done()
	server.Close()
	stats := server.Stats()
	fmt.Fprintf(con.out, "served   %s on %s connections, at most %s at once\n",
		o.served(), grouped(int64(stats.Accepted)), grouped(int64(stats.Most)))
	return nil
}
