package drivertest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/internal/memnet"
)

// plainConnector connects to a depotServer, using only net.Conn. It and its
// connections obey every rule; brokenDrivers break one each.
type plainConnector struct {
	dial func(context.Context) (net.Conn, error)
}

func (p *plainConnector) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.login(ctx, ctx)
	if err != nil {
		return nil, err // not a nil *plainConn in a driver.Conn
	}
	return c, nil
}

func (p *plainConnector) login(dialCtx, ctx context.Context) (*plainConn, error) {
	inner, err := p.dial(dialCtx)
	if err != nil {
		return nil, err
	}
	c := newPlainConn(inner)
	if err := c.login(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

type plainConn struct {
	net.Conn
	in             *bufio.Reader
	unread         atomic.Bool // data came after the answer
	broken         atomic.Bool
	closed         atomic.Bool
	sent, received atomic.Int64
}

func newPlainConn(inner net.Conn) *plainConn {
	return &plainConn{Conn: inner, in: bufio.NewReader(inner)}
}

func (c *plainConn) login(ctx context.Context) error {
	err := c.askWithin(ctx, "LOGIN "+user+" "+password, "OK")
	if errors.Is(err, answerError("FULL")) {
		err = driver.Full(err, 0)
	}
	c.sent.Store(0)
	c.received.Store(0)
	return err
}

// answerError is an unexpected answer.
type answerError string

func (e answerError) Error() string { return "depot: unexpected answer " + driver.Quote(string(e)) }

// ask makes one request. An I/O error breaks the connection.
func (c *plainConn) ask(request, want string) error {
	c.sent.Add(1)
	_, err := fmt.Fprintln(c, request)
	var answer string
	if err == nil {
		answer, err = c.in.ReadString('\n')
	}
	if err != nil {
		c.broken.Store(true)
		return err
	}
	c.received.Add(int64(len(answer)))
	c.unread.Store(c.in.Buffered() > 0)
	if answer = strings.TrimSpace(answer); answer != want {
		return answerError(answer)
	}
	return nil
}

func (c *plainConn) askWithin(ctx context.Context, request, want string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer c.Bind(ctx)()
	return c.ask(request, want)
}

func (c *plainConn) Ping(ctx context.Context) error { return c.askWithin(ctx, "PING", "PONG") }
func (c *plainConn) Received() int64                { return c.received.Load() }
func (c *plainConn) Sent() int64                    { return c.sent.Load() }
func (c *plainConn) IsValid() bool                  { return c.alive() && !c.unread.Load() }
func (c *plainConn) alive() bool                    { return !c.broken.Load() && !c.closed.Load() }

func (c *plainConn) ResetSession(ctx context.Context) error {
	c.SetDeadline(time.Time{})
	err := c.askWithin(ctx, "RESET", "OK")
	c.sent.Store(0)
	c.received.Store(0)
	return err
}

func (c *plainConn) Bind(ctx context.Context) (unbind func()) {
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

func (c *plainConn) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}

// plainSubject is a Subject whose server is on ln. wrap, if not nil, breaks the
// connector.
func plainSubject(t testing.TB, ln net.Listener, dial func(context.Context) (net.Conn, error),
	wrap func(testing.TB, *plainConnector) driver.Connector) drivertest.Subject {
	good := &plainConnector{dial}
	var server depotServer
	s := drivertest.Subject{
		Connector: good,
		Server:    drivertest.Serve(t, ln, drivertest.Each(server.serve)),
		Exchange:  func(c driver.Conn) error { return c.(asker).ask("PING", "PONG") },
		Spoil:     func(c driver.Conn) error { return c.(asker).ask("SELECT inbox", "OK") },
		Fresh:     func(c driver.Conn) error { return c.(asker).ask("SELECTED", "") },
		Leftover:  func(c driver.Conn) error { return c.(asker).ask("COUNT bolts\nCOUNT nuts", "3") },
		Fill:      server.fill,
		Refusal:   server.refuse,
		Secrets:   []string{password},
	}
	if wrap != nil {
		s.Connector = wrap(t, good)
	}
	if c, ok := s.Connector.(ofDSN); ok {
		s.BadDSN = func() error { return c.check("depot://" + user + ":" + url.PathEscape(password) + "%zz@h") }
	}
	return s
}

type asker interface {
	ask(request, want string) error
}

// inMemory is the setup of a plainSubject on a network in memory.
func inMemory(wrap func(testing.TB, *plainConnector) driver.Connector) func(testing.TB) drivertest.Subject {
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
		return plainSubject(t, ln, dial, wrap)
	}
}

// onLoopback is the setup of a plainSubject on real sockets.
func onLoopback(t testing.TB) drivertest.Subject {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dial := func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", ln.Addr().String())
	}
	return plainSubject(t, ln, dial, nil)
}
