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

// A complete driver and its test. The protocol has a login, and state that the
// next holder of a connection must not see. A request is a line, and so is its
// answer.
func ExampleRun() {
	var t *testing.T // func TestConformance(t *testing.T) {

	drivertest.Run(t, depotSubject)
}

// depotSubject returns a server on a free port, and the driver to test against it.
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
		Leftover:  leaveAnswer,
		Fill:      server.fill,
		Secrets:   []string{"p4ss w0rd"},
	}
}

// leaveAnswer makes two requests and reads one answer.
func leaveAnswer(c driver.Conn) error {
	if _, err := fmt.Fprint(c.(*Depot), "COUNT bolts\nCOUNT nuts\n"); err != nil {
		return err
	}
	_, err := c.(*Depot).r.ReadString('\n')
	return err
}

func init() { driver.RegisterFunc("depot", openDepot) }

// openDepot makes a connector for depot://user:password@host:port. Its error
// shows nothing of the DSN, unlike the error of url.Parse.
func openDepot(dsn string) (driver.Connector, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "depot" || u.Port() == "" || u.User == nil {
		return nil, errors.New("depot: dsn: want depot://user:password@host:port, percent-encoded")
	}
	d := &depotConnector{address: u.Host, user: u.User.Username()}
	d.password, _ = u.User.Password()
	if strings.ContainsAny(d.user, " \r\n") || strings.ContainsAny(d.password, "\r\n") {
		return nil, errors.New("depot: dsn: want no spaces in the user, and no line breaks")
	}
	return d, nil
}

type depotConnector struct{ address, user, password string }

// Format hides the password from all verbs of package fmt.
func (d *depotConnector) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "depot "+d.address) }

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

// Depot is a connection. From conn.Conn it has Close, and Bind, which makes the
// I/O in a pool's Do obey a context.
type Depot struct {
	*conn.Conn
	r        *bufio.Reader
	selected bool
}

// login makes the error of a refused password permanent, so that the pool stops
// dialing on its own, which could lock the account. If the server has no room, the
// error is full, and the pool waits for room.
func (c *Depot) login(ctx context.Context, user, password string) error {
	unbind := c.Bind(ctx)
	answer, err := c.ask("LOGIN " + user + " " + password)
	unbind()
	switch {
	case err != nil:
		return err
	case answer == "FULL":
		return driver.Full(errors.New("the server has no room for another connection"), 0)
	case answer != "OK":
		return driver.Permanent(errors.New("the server refused the user or the password"))
	case !c.IsValid(): // ctx ended after the answer, or there is more than one line
		return cmp.Or(c.Err(), conn.ErrUnread)
	}
	return c.Conn.ResetSession(ctx) // sets the counts of sent and received to zero
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

// ResetSession implements driver.SessionResetter. It makes a request only if the
// last holder left state.
func (c *Depot) ResetSession(ctx context.Context) error {
	if err := c.Conn.ResetSession(ctx); err != nil || !c.selected {
		return err
	}
	defer c.Bind(ctx)()
	if err := c.expect("OK", "RESET"); err != nil {
		return err
	}
	c.selected = false
	return c.Conn.ResetSession(ctx) // also restarts the counts
}

// IsValid implements driver.Validator. It also checks the buffer of r, which
// conn.Conn can't see: the next holder would take an extra line for its answer.
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

// expect fails unless the answer to request is answer, with nothing after it.
func (c *Depot) expect(answer, request string) error {
	got, err := c.ask(request)
	switch {
	case err != nil:
		return err
	case got != answer:
		return fmt.Errorf("depot: the server answered %s, want %q", driver.Quote(got), answer)
	case !c.IsValid():
		return conn.ErrUnread
	}
	return nil
}
