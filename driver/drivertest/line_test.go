package drivertest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/internal/memnet"
)

// The protocol of these tests has a login, a state, and one line for each
// request and answer:
//
//	LOGIN word -> OK     SELECT name -> OK     RESET -> OK
//	PING -> PONG         SELECTED -> name      QUIT -> BYE
func serveLines(c net.Conn) {
	lines := bufio.NewScanner(c)
	loggedIn, selected := false, ""
	for lines.Scan() {
		verb, arg, _ := strings.Cut(lines.Text(), " ")
		answer := "OK"
		switch {
		case verb == "LOGIN":
			loggedIn = arg == password
		case !loggedIn:
			answer = "DENIED"
		case verb == "PING":
			answer = "PONG"
		case verb == "SELECT":
			selected = arg
		case verb == "SELECTED":
			answer = selected
		case verb == "RESET":
			selected = ""
		case verb == "QUIT":
			answer = "BYE"
		}
		if _, err := fmt.Fprintln(c, answer); err != nil {
			return
		}
	}
}

const password = "p4ss w0rd"

// lineConnector connects to the server of serveLines. It, and its connections,
// obey every rule.
type lineConnector struct {
	dial func(context.Context) (net.Conn, error)
}

func (l *lineConnector) Driver() driver.Driver { return lineDriver{} }

func (l *lineConnector) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := l.login(ctx, ctx)
	if err != nil {
		return nil, err // not a nil *lineConn in a driver.Conn
	}
	return c, nil
}

func (l *lineConnector) login(dialCtx, ctx context.Context) (*lineConn, error) {
	inner, err := l.dial(dialCtx)
	if err != nil {
		return nil, err
	}
	c := newLineConn(inner)
	if err := c.askWithin(ctx, "LOGIN "+password, "OK"); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

type lineDriver struct{}

func (lineDriver) Open(string) (driver.Conn, error) { return nil, errors.New("use lineConnector") }

type lineConn struct {
	net.Conn
	in     *bufio.Reader
	broken atomic.Bool
	closed atomic.Bool
}

func newLineConn(inner net.Conn) *lineConn {
	return &lineConn{Conn: inner, in: bufio.NewReader(inner)}
}

// ask makes one request. An I/O error breaks the connection.
func (c *lineConn) ask(request, want string) error {
	_, err := fmt.Fprintln(c, request)
	var answer string
	if err == nil {
		answer, err = c.in.ReadString('\n')
	}
	if err != nil {
		c.broken.Store(true)
		return err
	}
	if answer = strings.TrimSpace(answer); answer != want {
		return fmt.Errorf("line: answer %q, want %q", answer, want)
	}
	return nil
}

func (c *lineConn) askWithin(ctx context.Context, request, want string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer c.Bind(ctx)()
	return c.ask(request, want)
}

func (c *lineConn) Ping(ctx context.Context) error { return c.askWithin(ctx, "PING", "PONG") }
func (c *lineConn) IsValid() bool                  { return !c.broken.Load() && !c.closed.Load() }

func (c *lineConn) ResetSession(ctx context.Context) error {
	c.SetDeadline(time.Time{})
	return c.askWithin(ctx, "RESET", "OK")
}

func (c *lineConn) Bind(ctx context.Context) (unbind func()) {
	canceled := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.SetDeadline(time.Unix(1, 0))
		close(canceled)
	})
	return func() {
		if !stop() {
			<-canceled
			c.broken.Store(true)
		}
	}
}

func (c *lineConn) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}

// lineSubject is a Subject whose server is on ln. wrap, if not nil, breaks the
// connector.
func lineSubject(t testing.TB, ln net.Listener, dial func(context.Context) (net.Conn, error),
	wrap func(testing.TB, *lineConnector) driver.Connector) drivertest.Subject {
	good := &lineConnector{dial}
	s := drivertest.Subject{
		Connector: good,
		Server:    drivertest.Serve(t, ln, drivertest.Each(serveLines)),
		Exchange:  func(c driver.Conn) error { return c.(asker).ask("PING", "PONG") },
		Spoil:     func(c driver.Conn) error { return c.(asker).ask("SELECT inbox", "OK") },
		Fresh:     func(c driver.Conn) error { return c.(asker).ask("SELECTED", "") },
		Secrets:   []string{password},
	}
	if wrap != nil {
		s.Connector = wrap(t, good)
	}
	return s
}

type asker interface {
	ask(request, want string) error
}

// inMemory is the setup of a lineSubject on a network in memory.
func inMemory(wrap func(testing.TB, *lineConnector) driver.Connector) func(testing.TB) drivertest.Subject {
	return func(t testing.TB) drivertest.Subject {
		network := &memnet.Network{}
		if wrap == nil {
			t.Cleanup(func() { assert.Zero(t, network.Stats().Open, "connections that the rule left open") })
		}
		ln, err := network.Listen("")
		if err != nil {
			t.Fatal(err)
		}
		dial := func(ctx context.Context) (net.Conn, error) {
			return network.DialContext(ctx, "mem", ln.Addr().String())
		}
		return lineSubject(t, ln, dial, wrap)
	}
}

// onLoopback is the setup of a lineSubject on real sockets.
func onLoopback(t testing.TB) drivertest.Subject {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dial := func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", ln.Addr().String())
	}
	return lineSubject(t, ln, dial, nil)
}
