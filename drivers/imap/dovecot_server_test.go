//go:build linux

package imap_test

import (
	"context"
	"crypto/tls"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/mailserver"
)

// dovecot is a mail server of its own.
type dovecot struct {
	*mailserver.Server
	t testing.TB
}

// startDovecot starts a server that lets the account have limit connections,
// or skips the test.
func startDovecot(t testing.TB, limit int) *dovecot {
	t.Helper()
	return &dovecot{mailserver.Start(t, mailserver.Dovecot, mailserver.Options{MaxLogins: limit}), t}
}

// config is for the server with TLS from the first byte, or what encryption says.
func (d *dovecot) config(encryption string) imap.Config {
	d.t.Helper()
	address, scheme := d.TLS, "imaps"
	if encryption != imap.Implicit {
		address, scheme = d.Plain, "imap"
	}
	c, err := imap.ParseDSN(scheme + "://" + login + address)
	require.NoError(d.t, err)
	c.TLS, c.Encryption = &tls.Config{RootCAs: d.CA.Pool()}, encryption
	return c
}

func (d *dovecot) connector(c imap.Config) driver.Connector {
	d.t.Helper()
	connector, err := imap.NewConnector(c)
	require.NoError(d.t, err)
	return connector
}

func (d *dovecot) dial(encryption string) *imap.Conn {
	d.t.Helper()
	c, err := connectTo(d.t, d.connector(d.config(encryption)))
	require.NoError(d.t, err)
	return c
}

// fill puts n small messages and a big one into the INBOX.
func (d *dovecot) fill(n, big int) {
	d.t.Helper()
	c := d.dial(imap.None)
	defer c.Close()
	for i := range n + 1 {
		text := message(10)
		if i == n {
			text = message(big)
		}
		require.NoError(d.t, appendMail(c, text))
	}
}

func appendMail(c *imap.Conn, text string) error {
	a := c.Append("INBOX", int64(len(text)), nil)
	if _, err := a.Write([]byte(text)); err != nil {
		_ = a.Close()
		return err
	}
	if err := a.Close(); err != nil {
		return err
	}
	_, err := a.Wait()
	return err
}

// ended waits until c knows that the server has hung up.
func ended(t testing.TB, c *imap.Conn) {
	t.Helper()
	require.Eventually(t, func() bool { return !c.IsValid() }, 5*time.Second, time.Millisecond)
}

// bounded returns a context of d.
func bounded(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
