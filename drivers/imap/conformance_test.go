package imap_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"testing"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/internal/testserver"
)

func TestTheDriverKeepsTheContract(t *testing.T) {
	ca := testcert.NewCA()
	run := func(name, scheme, rest string, prepare func(*testserver.IMAP, net.Listener) net.Listener) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			drivertest.Run(t, func(t testing.TB) drivertest.Subject {
				mail := testserver.NewIMAP(account, password)
				require.NoError(t, mail.Append("INBOX", message(10)))
				l, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				config, err := imap.ParseDSN(scheme + "://" + login + l.Addr().String() + rest)
				require.NoError(t, err)
				config.TLS.Base = ca.ClientConfig()
				connector, err := imap.NewConnector(config)
				require.NoError(t, err)
				return drivertest.Subject{
					Connector: connector,
					Server:    drivertest.Serve(t, l, func(l net.Listener) { mail.Serve(prepare(mail, l)) }),
					Exchange:  func(c driver.Conn) error { return c.(*imap.Conn).Noop().Wait() },
					Spoil:     spoil,
					Leftover: func(c driver.Conn) error {
						first, _ := c.(*imap.Conn).Noop(), c.(*imap.Conn).Noop()
						return first.Wait()
					},
					Fresh: func(c driver.Conn) error {
						if at := c.(*imap.Conn).Mailbox(); at != config.Mailbox {
							return fmt.Errorf("selected: %q, want %q", at, config.Mailbox)
						}
						return nil
					},
					Fill: func() func() {
						mail.Refuse(&goimap.Error{Type: goimap.StatusResponseTypeNo, Code: goimap.ResponseCodeLimit, Text: "no more of them"})
						return func() { mail.Refuse(nil) }
					},
					Refusal: func(words string) func() {
						mail.Refuse(&goimap.Error{Type: goimap.StatusResponseTypeNo, Text: words})
						return func() { mail.Refuse(nil) }
					},
					Secrets: []string{password, login},
				}
			})
		})
	}
	run("plain", "imap", "?tls=none", func(_ *testserver.IMAP, l net.Listener) net.Listener { return l })
	run("TLS", "imaps", "", func(_ *testserver.IMAP, l net.Listener) net.Listener {
		return tls.NewListener(l, ca.ServerConfig())
	})
	run("STARTTLS, with a mailbox", "imap", "/INBOX?readonly=true", func(mail *testserver.IMAP, l net.Listener) net.Listener {
		mail.TLS = ca.ServerConfig()
		return l
	})
}

// spoil selects a mailbox other than the one in the DSN.
func spoil(c driver.Conn) error {
	conn := c.(*imap.Conn)
	if err := conn.Create("Other", nil).Wait(); err != nil {
		return err
	}
	_, err := conn.Select("Other", nil).Wait()
	return err
}
