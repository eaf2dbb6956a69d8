package drivertest_test

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
)

// A whole driver, of a protocol with a login and with a state that the next
// holder of a connection must not see, and its test. A request is a line, and
// so is its answer.
func ExampleRun() {
	var t *testing.T // func TestConformance(t *testing.T) {

	drivertest.Run(t, depotSubject)
}

// depotSubject is a server, on a port of its own, and the driver to be tested on it.
func depotSubject(t testing.TB) drivertest.Subject {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connector, err := driver.OpenConnector("depot", "depot://ada:p4ss%20w0rd@"+ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var server depotServer
	return drivertest.Subject{
		Connector: connector,
		Server:    drivertest.Serve(t, ln, drivertest.Each(server.serve)),
		Exchange:  func(c driver.Conn) error { return c.(*Depot).expect("PONG", "PING") },
		Spoil:     func(c driver.Conn) error { return c.(*Depot).Select("north") },
		Fresh:     func(c driver.Conn) error { return c.(*Depot).expect("", "SELECTED") },
		Fill:      server.fill,
		Secrets:   []string{"p4ss w0rd"},
	}
}

func init() { driver.Register("depot", depotDriver{}) }

// depotDriver makes connections to depot://user:password@host:port.
type depotDriver struct{}

// Open implements driver.Driver.
func (d depotDriver) Open(dsn string) (driver.Conn, error) {
	c, err := d.OpenConnector(dsn)
	if err != nil {
		return nil, err
	}
	return c.Connect(context.Background())
}

// OpenConnector implements driver.DriverContext. Its error shows nothing of the
// DSN, as that of url.Parse would.
func (depotDriver) OpenConnector(dsn string) (driver.Connector, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "depot" || u.Port() == "" || u.User == nil {
		return nil, errors.New("depot: dsn: want depot://user:password@host:port, percent-encoded")
	}
	d := &depotConnector{address: u.Host, user: u.User.Username()}
	d.password, _ = u.User.Password()
	if strings.ContainsAny(d.user, " \r\n") || strings.ContainsAny(d.password, "\r\n") {
		return nil, errors.New("depot: dsn: want no spaces in the user, and no line ends")
	}
	return d, nil
}

type depotConnector struct{ address, user, password string }

// Format keeps the password from all verbs of package fmt.
func (d *depotConnector) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "depot "+d.address) }

// Driver implements driver.Connector.
func (d *depotConnector) Driver() driver.Driver { return depotDriver{} }

// Connect implements driver.Connector. ctx bounds the dial and the login.
func (d *depotConnector) Connect(ctx context.Context) (driver.Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", d.address)
	if err != nil {
		return nil, fmt.Errorf("depot: %w", err)
	}
	c := conn.New(nc)
	depot := &Depot{Conn: c, r: bufio.NewReader(c)}
	if err := depot.login(ctx, d.user, d.password); err != nil {
		c.Close()
		return nil, fmt.Errorf("depot: login of %s at %s: %w", d.user, d.address, err)
	}
	return depot, nil
}

// Depot is a connection. What it does not have itself, conn.Conn has: Close,
// and Bind, by which a pool's Do makes the I/O obey a context.
type Depot struct {
	*conn.Conn
	r        *bufio.Reader
	selected bool
}

// login makes an error permanent that the same password would bring again: the
// pool then stops dialing on its own, which could lock the account. A server
// that has no room is another matter: the pool then waits for some.
func (c *Depot) login(ctx context.Context, user, password string) error {
	unbind := c.Bind(ctx)
	answer, err := c.ask("LOGIN " + user + " " + password)
	unbind()
	switch {
	case err != nil:
		return err
	case answer == "FULL":
		return driver.Full(errors.New("the server has no room for one more connection"), 0)
	case answer != "OK":
		return driver.Permanent(errors.New("the server refused user or password"))
	case !c.IsValid(): // ctx has ended behind the answer, or there is more than that
		return cmp.Or(c.Err(), conn.ErrUnread)
	}
	return c.Conn.ResetSession(ctx) // what was sent and received so far doesn't count
}

// Count returns how many of an item there are in the selected depot.
func (c *Depot) Count(item string) (int, error) {
	answer, err := c.ask("COUNT " + item)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(answer)
}

// Select chooses the depot for Count, until the lease ends.
func (c *Depot) Select(depot string) error {
	c.selected = true
	return c.expect("OK", "SELECT "+depot)
}

// Ping implements driver.Pinger.
func (c *Depot) Ping(ctx context.Context) error {
	defer c.Bind(ctx)()
	return c.expect("PONG", "PING")
}

// ResetSession implements driver.SessionResetter. It asks the server only where
// the last holder has left something.
func (c *Depot) ResetSession(ctx context.Context) error {
	if err := c.Conn.ResetSession(ctx); err != nil || !c.selected {
		return err
	}
	defer c.Bind(ctx)()
	if err := c.expect("OK", "RESET"); err != nil {
		return err
	}
	c.selected = false
	return c.Conn.ResetSession(ctx) // for what the next holder sends, count anew
}

// IsValid implements driver.Validator. It also looks at what r has read ahead
// and conn.Conn can't see: a line too many would be the next holder's answer.
func (c *Depot) IsValid() bool { return c.r.Buffered() == 0 && c.Conn.IsValid() }

// ask sends a request and returns its answer.
func (c *Depot) ask(request string) (string, error) {
	if strings.ContainsAny(request, "\r\n") {
		return "", errors.New("depot: a request is one line")
	}
	if _, err := fmt.Fprintln(c, request); err != nil {
		return "", err
	}
	answer, err := c.r.ReadString('\n')
	return strings.TrimSuffix(answer, "\n"), err
}

// expect wants one answer, and nothing behind it.
func (c *Depot) expect(answer, request string) error {
	got, err := c.ask(request)
	switch {
	case err != nil:
		return err
	case got != answer:
		return fmt.Errorf("depot: the server said %q, want %q", got, answer)
	case !c.IsValid():
		return conn.ErrUnread
	}
	return nil
}
