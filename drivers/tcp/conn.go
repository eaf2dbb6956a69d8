package tcp

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/driver"
)

// Conn is a connection of this driver. It is a net.Conn, with the methods of
// [conn.Conn] and Ping.
type Conn struct {
	*conn.Conn
	ping func(ctx context.Context, c net.Conn) error // nil: check the socket
	name string                                      // for errors
}

// Ping checks that the connection works, with the Ping function or the PingBytes of the
// Config; the I/O obeys ctx. Without either, it only checks the socket, and neither
// sends nor waits. That notices a connection that was closed or reset. If the peer has
// vanished, the socket's keepalive notices after a while, and later checks fail. After
// an error the connection is closed.
func (c *Conn) Ping(ctx context.Context) error {
	if c.ping == nil {
		return c.Check()
	}
	unbind := c.Bind(ctx)
	defer unbind()
	if err := c.ping(ctx, c.Conn); err != nil {
		err = &pingError{c.name, driver.QuoteError(err)}
		_ = c.CloseWithError(err) // even after a wrong answer, because more may follow
		return err
	}
	return nil
}

// pingError is the error of a failed Ping, which ends the connection.
type pingError struct {
	name string
	err  error
}

func (e *pingError) Error() string { return fmt.Sprintf("tcp: ping %s: %v", e.name, e.err) }
func (e *pingError) Unwrap() error { return e.err }

// BadConn is for driver.IsBad.
func (e *pingError) BadConn() bool { return true }

// pingPong returns a function that sends ping and reads pong, and no byte more. As
// soon as the answer differs from pong, it fails without reading the rest.
func pingPong(ping, pong string) func(context.Context, net.Conn) error {
	return func(_ context.Context, c net.Conn) error {
		if _, err := io.WriteString(c, ping); err != nil {
			return err
		}
		answer := make([]byte, 0, len(pong))
		for len(answer) < len(pong) {
			n, err := c.Read(answer[len(answer):len(pong)])
			answer = answer[:len(answer)+n]
			if !strings.HasPrefix(pong, string(answer)) {
				return fmt.Errorf("the answer begins with %s, want %s", quoteAnswer(string(answer), []string{ping}), driver.Quote(pong))
			}
			if err != nil && len(answer) < len(pong) {
				return err
			}
		}
		return nil
	}
}
