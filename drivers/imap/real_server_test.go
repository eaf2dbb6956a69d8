//go:build linux

package imap_test

import (
	"context"
	"crypto/tls"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/mailserver"
)

// products lists the real servers that the tests use, and how they differ for a client.
var products = []product{
	{
		kind: mailserver.Dovecot, name: "Dovecot",
		refusal:  "NO [AUTHENTICATIONFAILED] Authentication failed.",
		full:     "NO [LIMIT] Maximum number of connections from user+IP exceeded",
		farewell: "BYE Server shutting down.",
		kicks:    10 * time.Second,
	},
	{
		kind: mailserver.Cyrus, name: "Cyrus IMAPD",
		refusal: "NO authentication failure",
		full:    "NO Too many open connections (3 of 3 for " + account + ")",
		kicks:   5 * time.Second,
	},
}

type product struct {
	kind     mailserver.Kind
	name     string        // in its answer to ID
	refusal  string        // its answer to a wrong password
	full     string        // its answer to the login of a fourth session of three
	farewell string        // its message to kicked clients; empty: none
	kicks    time.Duration // how long to kick it
}

// realServer is a running server of a product.
type realServer struct {
	product
	*mailserver.Server
	t testing.TB
}

// onServers runs f as a subtest with a server of each product that is installed.
func onServers(t *testing.T, options mailserver.Options, f func(t *testing.T, s *realServer)) {
	for _, p := range products {
		t.Run(p.name, func(t *testing.T) {
			f(t, &realServer{p, mailserver.Start(t, p.kind, options), t})
		})
	}
}

// config returns a Config for the server, with implicit TLS or the given encryption.
func (s *realServer) config(encryption string) imap.Config {
	s.t.Helper()
	address, scheme := s.TLS, "imaps"
	if encryption != imap.Implicit {
		address, scheme = s.Plain, "imap"
	}
	c, err := imap.ParseDSN(scheme + "://" + login + address)
	require.NoError(s.t, err)
	c.TLS.Base, c.Encryption = &tls.Config{RootCAs: s.CA.Pool()}, encryption
	return c
}

func (s *realServer) connector(c imap.Config) driver.Connector {
	s.t.Helper()
	connector, err := imap.NewConnector(c)
	require.NoError(s.t, err)
	return connector
}

func (s *realServer) dial(encryption string) *imap.Conn {
	s.t.Helper()
	c, err := connectTo(s.t, s.connector(s.config(encryption)))
	require.NoError(s.t, err)
	return c
}

// fill puts n small messages and a big one into the empty INBOX.
func (s *realServer) fill(n, big int) {
	s.t.Helper()
	c := s.dial(imap.None)
	defer c.Close()
	require.NoError(s.t, appendMail(c, message(10)))
	_, err := c.Select("INBOX", nil).Wait()
	require.NoError(s.t, err)
	for have := 1; have < n; have *= 2 {
		_, err := c.Copy(goimap.SeqSet{{Start: 1, Stop: uint32(min(have, n-have))}}, "INBOX").Wait()
		require.NoError(s.t, err)
	}
	require.NoError(s.t, appendMail(c, message(big)))
}

// ended waits until c has noticed that the server hung up.
func ended(t testing.TB, c *imap.Conn) {
	t.Helper()
	require.Eventually(t, func() bool { return !c.IsValid() }, 5*time.Second, time.Millisecond)
}

// bounded returns a context that ends after d.
func bounded(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
