package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"

	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/internal/testserver"
)

// serveCommand is hotline serve. It has a command per protocol.
type serveCommand struct {
	TCP serveTCPCommand `cmd:"" name:"tcp" help:"Serve a line protocol over TCP: it answers PING with PONG, and ECHO text with the text."`
	TLS serveTLSCommand `cmd:"" name:"tls" help:"Serve the same protocol over TLS, with a new certificate."`

	IMAP serveIMAPCommand `cmd:"" name:"imap" help:"Serve a mailbox with a few messages over TLS, with a new certificate and password."`
}

// listening has the flags of all serve commands.
type listening struct {
	Addr string `default:"127.0.0.1:0" help:"Address to listen on. Port 0 means any free port."`
}

// Validate is called by kong.
func (l listening) Validate() error { return checkAddress("--addr", l.Addr) }

// serveTCPCommand is hotline serve tcp.
type serveTCPCommand struct {
	listening
}

// Run serves until ctx ends, and then returns nil.
func (c *serveTCPCommand) Run(ctx context.Context, con console) error {
	ping := new(testserver.Ping)
	dsn := func(addr string) string { return "tcp://" + addr + pinging }
	return offer{ping.Serve, dsn, requestsOf(ping)}.serve(ctx, con, c.Addr)
}

// serveTLSCommand is hotline serve tls.
type serveTLSCommand struct {
	listening
}

// Run serves until ctx ends, and then returns nil. Meanwhile, a file has the certificate
// of the server's CA.
func (c *serveTLSCommand) Run(ctx context.Context, con console) error {
	config, ca, remove, err := newCA()
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

// Run serves until ctx ends, and then returns nil. Meanwhile, a file has the certificate
// of the server's CA. Run prints a DSN with the password, which is valid only for this
// run.
func (c *serveIMAPCommand) Run(ctx context.Context, con console) error {
	config, ca, remove, err := newCA()
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
	logins := func() string { return count(mail.Logins(), "login") }
	return offer{overTLS(mail.Serve, config), dsn, logins}.serve(ctx, con, c.Addr)
}

// overTLS returns protocol over TLS.
func overTLS(protocol func(net.Listener), config *tls.Config) func(net.Listener) {
	return func(ln net.Listener) { protocol(tls.NewListener(ln, config)) }
}

// requestsOf returns offer.served for ping.
func requestsOf(ping *testserver.Ping) func() string {
	return func() string { return count(ping.Requests(), "request") }
}

// newCA makes a CA. It returns a TLS configuration for a server on loopback, and a file
// with the certificate of the CA. remove removes the file.
func newCA() (config *tls.Config, file string, remove func(), err error) {
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

// pinging has the DSN parameters that make Ping a round trip.
const pinging = "?ping=PING%0A&pong=PONG%0A"

// offer is a server to run with hotline serve.
type offer struct {
	protocol func(net.Listener)
	dsn      func(addr string) string
	served   func() string // the number of requests or logins so far, such as "3 requests"
}

// serve serves until ctx ends. At the start it prints the DSN, quoted for a shell, and at
// the end how much was served. The DSN contains no quotes, because it is escaped.
func (o offer) serve(ctx context.Context, con console, addr string) error {
	server, err := testserver.Start(testserver.TCP, addr, o.protocol)
	if err != nil {
		return fmt.Errorf("--addr: %w", err)
	}
	fmt.Fprintf(con.out, "address  %s\nDSN      '%s'\n", server.Addr(), o.dsn(server.Addr()))
	<-ctx.Done()
	server.Close()
	stats := server.Stats()
	fmt.Fprintf(con.out, "served   %s on %s, at most %s at once\n",
		o.served(), count(stats.Accepted, "connection"), grouped(int64(stats.Most)))
	return nil
}
