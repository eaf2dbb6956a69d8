//go:build linux

package benchmarks

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"testing"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/mailserver"
)

const mailSize = 4 << 10 // bytes of the one mail in the INBOX

var (
	firstMail = goimap.SeqSetNum(1)
	wholeMail = &goimap.FetchOptions{BodySection: []*goimap.FetchItemBodySection{{Peek: true}}}

	errWrongMail = errors.New("that is not the mail that was asked for")
)

// mailServer is a Dovecot with one mail in the INBOX of its account.
type mailServer struct{ *mailserver.Server }

// startMail starts a server, or skips the benchmark if Dovecot is not installed.
func startMail(b *testing.B) mailServer {
	s := mailServer{mailserver.Start(b, mailserver.Dovecot, mailserver.Options{MaxLogins: 200})}
	mail := "Subject: hotline\r\n\r\n"
	mail += strings.Repeat("x", mailSize-len(mail)-2) + "\r\n"
	s.visit(b, func(c *imapclient.Client) {
		a := c.Append("INBOX", mailSize, nil)
		_, err := io.WriteString(a, mail)
		require.NoError(b, err)
		require.NoError(b, a.Close())
		_, err = a.Wait()
		require.NoError(b, err)
	})
	s.visit(b, func(c *imapclient.Client) { // the first session after the first mail is always slower
		require.NoError(b, fetch.bare(c))
	})
	return s
}

// visit logs in, calls f, and logs out.
func (s mailServer) visit(b *testing.B, f func(c *imapclient.Client)) {
	c := s.login(b, imap.Implicit, near)
	defer c.Close()
	f(c)
	require.NoError(b, c.Logout().Wait())
}

// config returns the Config of the account, with the INBOX selected.
func (s mailServer) config(encryption string) imap.Config {
	c := imap.Config{Encryption: encryption, User: mailserver.User, Password: mailserver.Password, Mailbox: "INBOX"}
	c.TCP.Address, c.TLS.Base = s.TLS, &tls.Config{RootCAs: s.CA.Pool(), ServerName: "localhost"}
	if encryption == imap.None {
		c.TCP.Address = s.Plain
	}
	return c
}

// login returns a plain go-imap client, with the INBOX selected.
func (s mailServer) login(b *testing.B, encryption string, dial dialFunc) *imapclient.Client {
	config := s.config(encryption)
	nc, err := dial(context.Background(), "tcp", config.TCP.Address)
	require.NoError(b, err)
	if encryption == imap.Implicit {
		secure := tls.Client(nc, config.TLS.Base)
		require.NoError(b, secure.Handshake())
		nc = secure
	}
	c := imapclient.New(nc, nil)
	require.NoError(b, c.Login(config.User, config.Password).Wait())
	_, err = c.Select(config.Mailbox, nil).Wait()
	require.NoError(b, err)
	return c
}
