//go:build linux

package smtp_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/examples/internal/realserver"
	"github.com/hotline-go/hotline/examples/internal/storm"
	_ "github.com/hotline-go/hotline/examples/smtp"
	"github.com/hotline-go/hotline/internal/testcert"
)

const (
	password = "p4ss,w/rd"
	dsn      = "smtp://ada:p4ss%2Cw%2Frd@"
)

func TestMain(m *testing.M) { storm.Main(m) }

// ca signs the certificate of the server.
var ca = testcert.NewCA()

// config is for a server that accepts all mail and stores it.
const config = `
primary_hostname = mail.example
spool_directory = @DIR/spool
log_file_path = @DIR/%s
keep_environment =
local_interfaces = 127.0.0.1
smtp_accept_max = @LIMIT
smtp_accept_max_nonmail_hosts =
rfc1413_query_timeout = 0s
queue_only = true
tls_advertise_hosts = *
tls_certificate = @DIR/cert.pem
tls_privatekey = @DIR/key.pem
acl_smtp_rcpt = rcpt
begin acl
rcpt:
  accept message = for $local_part
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${if and{{eq{$auth2}{ada}}{eq{$auth3}{p4ss,w/rd}}}}
  server_set_id = $auth2
`

// start runs an Exim with room for limit connections.
func start(t testing.TB, limit int) *realserver.Server {
	return realserver.Start(t, realserver.Program{
		Name: "exim4", Package: "exim4-daemon-light", User: "Debian-exim",
		Configure: func(s *realserver.Server) []string {
			cert, key := testcert.PEM(ca.Server())
			s.Write("cert.pem", string(cert))
			s.Write("key.pem", string(key))
			s.Mkdir("spool")
			for _, kind := range []string{"main", "reject", "panic"} {
				require.NoError(t, os.Symlink("log", s.Dir+"/"+kind)) // s.Log reads it
			}
			file := s.Write("conf", strings.NewReplacer("@DIR", s.Dir, "@LIMIT", fmt.Sprint(limit)).Replace(config))
			return []string{"-bdf", "-C", file, "-oX", s.Port(), "-oP", s.Dir + "/pid"}
		},
		Ready: func(nc net.Conn) error {
			c, err := smtp.NewClient(nc, "127.0.0.1")
			if err != nil {
				return err
			}
			return c.Quit()
		},
	})
}

func TestConformance(t *testing.T) {
	roots := t.TempDir() + "/roots.pem"
	require.NoError(t, os.WriteFile(roots, ca.PEM(), 0o600))
	t.Setenv("SSL_CERT_FILE", roots) // the driver trusts the system's CAs
	s := start(t, 20)
	for _, tls := range []bool{true, false} {
		t.Run(fmt.Sprint("tls=", tls), func(t *testing.T) {
			drivertest.Run(t, func(t testing.TB) drivertest.Subject { return subject(t, s, tls) })
		})
	}
}

func subject(t testing.TB, s *realserver.Server, tls bool) drivertest.Subject {
	addr, server := s.Relay(t)
	connector, err := driver.OpenConnector("smtp", fmt.Sprint(dsn, addr, "?tls=", tls))
	require.NoError(t, err)
	return drivertest.Subject{
		Connector: connector,
		Server:    server,
		Exchange:  func(c driver.Conn) error { return cmp.Or(exchange(client(c), 1), client(c).Reset()) },
		Leftover: func(c driver.Conn) error {
			text := client(c).Text
			if err := text.PrintfLine("NOOP\r\nNOOP"); err != nil {
				return err
			}
			_, _, err := text.ReadResponse(250)
			return err
		},
		Spoil: func(c driver.Conn) error { return client(c).Mail("ada@mail.example") },
		Fresh: func(c driver.Conn) error {
			if err := client(c).Mail("ada@mail.example"); err != nil { // "sender already given"
				return err
			}
			return client(c).Reset()
		},
		Fill:    func() func() { return fill(t, s) },
		Secrets: []string{password},
		BadDSN: func() error {
			_, err := driver.OpenConnector("smtp", dsn+addr+"?nosuch=1")
			return err
		},
	}
}

func client(c driver.Conn) *smtp.Client {
	client, _ := driver.As[*smtp.Client](c)
	return client
}

// fill uses up the remaining room.
func fill(t testing.TB, s *realserver.Server) (makeRoom func()) {
	before := s.Children()
	var all []*smtp.Client
	for {
		c, err := smtp.Dial(s.Addr)
		if err != nil {
			require.ErrorContains(t, err, "421")
			return func() {
				for _, c := range all {
					c.Quit()
				}
				require.Eventually(t, func() bool { return s.Children() <= before }, 10*time.Second, 10*time.Millisecond) // the server counts processes
			}
		}
		t.Cleanup(func() { c.Close() })
		all = append(all, c)
	}
}

// exchange begins a mail and abandons it: the driver must clean up.
func exchange(c *smtp.Client, n int) error {
	if err := c.Mail("ada@mail.example"); err != nil {
		return outOfStep(err)
	}
	if err := c.Text.PrintfLine("RCPT TO:<u%d@mail.example>", n); err != nil {
		return err
	}
	_, got, err := c.Text.ReadResponse(250)
	if err != nil {
		return outOfStep(err)
	}
	return storm.Check(got, fmt.Sprint("for u", n))
}

// outOfStep turns the error for an answer that can only belong to another command into
// a storm.Wrong.
func outOfStep(err error) error {
	var e *textproto.Error
	if errors.As(err, &e) && e.Code != 421 {
		return &storm.Wrong{Got: e.Error(), Want: "250"}
	}
	return err
}

func TestStorm(t *testing.T) {
	const maxOpen = 12
	s := start(t, maxOpen)
	storm.Storm[*smtp.Client]{
		Server:  s,
		MaxOpen: maxOpen,
		Connector: func(addr string) (driver.Connector, error) {
			return driver.OpenConnector("smtp", dsn+addr+"?tls=false")
		},
		Exchange: func(_ context.Context, c *smtp.Client, n int) error { return exchange(c, n) },
		Slack:    5,
		MaxUses:  300, // Exim accepts 1000 mails on a connection
		Refused:  func() int { return strings.Count(s.Log(), "refused: too many connections") },
	}.Run(t)
}

func TestTheProgramSendsToAllWhoAreNotRefused(t *testing.T) {
	s := start(t, 20)
	out := realserver.GoRun(t, "./program", "DSN="+dsn+s.Addr+"?tls=false", "bob@mail.example\nno one\neve@mail.example\n")
	assert.Contains(t, out, "bob@mail.example: accepted\n")
	assert.Contains(t, out, "eve@mail.example: accepted\n")
	assert.Regexp(t, `(?m)^no one: .*501`, out)
	assert.Equal(t, 2, strings.Count(s.Log(), "<= ada@mail.example"))
}
