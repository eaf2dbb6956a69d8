// Package smtp pools the connections of net/smtp, for mail submission:
//
//	p, err := pool.Open[*smtp.Client]("smtp", "smtp://ada:password@mail.example", pool.Config{MaxUses: 100})
//	if err != nil {
//		return err
//	}
//	defer p.Close()
//
//	err = p.Do(ctx, func(ctx context.Context, c *smtp.Client) error {
//		return errors.Join(c.Mail("ada@mail.example"), c.Rcpt("bob@mail.example"), send(c.Data()))
//	})
//
// It encrypts with STARTTLS unless the DSN ends with ?tls=false, for a server on the same
// machine. Most servers limit the mails per connection, and then refuse further mails but
// keep the connection: set pool.Config.MaxUses below that limit. Exim also limits other
// commands (smtp_accept_max_nonmail); each use has two of them.
//
// For other commands use c.Text.PrintfLine and ReadResponse. After a c.Text.Cmd whose
// response was not read, net/smtp waits forever.
package smtp

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/smtp"
	"net/textproto"
	"time"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/adapt"
	"github.com/hotline-go/hotline/driver/dsn"
)

func init() {
	adapt.Register("smtp", func(u *dsn.URL) (adapt.Client[*smtp.Client], error) {
		secure := true
		var params dsn.Params
		params.Bool("tls", &secure)
		return adapt.Client[*smtp.Client]{
			Address: u.Address(587),
			Start: func(_ context.Context, nc net.Conn) (*smtp.Client, error) {
				if !secure {
					nc = adapt.WholeLines(nc) // net/smtp takes half a line for a whole one
				}
				c, err := smtp.NewClient(nc, u.Host)
				if err == nil && secure {
					err = c.StartTLS(&tls.Config{ServerName: u.Host})
				}
				if err == nil && u.User != "" {
					err = c.Auth(smtp.PlainAuth("", u.User, u.Password, u.Host))
				}
				return c, err
			},
			IgnoreUnread: secure, // TLS sends its own records; Reset finds unread answers
			Goodbye:      "QUIT\r\n",
			Settle:       250 * time.Millisecond, // many servers count processes, not connections
			Ping:         func(_ context.Context, c *smtp.Client) error { return c.Noop() },
			// A holder may leave an unfinished mail or an unread answer. Most answers are
			// 250, so RSET would take that answer for its own. The answer to HELP has
			// a different code.
			Reset: func(_ context.Context, c *smtp.Client) error {
				return cmp.Or(ask(c, "RSET", 250), ask(c, "HELP", 214))
			},
			Class: adapt.ByCode(func(e *textproto.Error) int { return e.Code }, map[int]func(error) error{
				421: adapt.Full, 530: driver.Permanent, 535: driver.Permanent,
			}),
			Answer: adapt.IsA[*textproto.Error],
		}, params.Apply(u.Params)
	})
}

func ask(c *smtp.Client, command string, code int) error {
	if err := c.Text.PrintfLine("%s", command); err != nil {
		return err
	}
	_, _, err := c.Text.ReadResponse(code)
	return err
}
