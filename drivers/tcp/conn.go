package tcp

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/hotline-go/hotline/conn"
)

// Conn is a connection of this driver. It is a net.Conn, and has the methods
// of [conn.Conn] besides Ping.
type Conn struct {
	*conn.Conn
	ping func(ctx context.Context, c net.Conn) error // nil: look at the socket
	name string                                      // for errors
}

// Ping makes sure that the connection lives, as the Config says: by PingBytes
// or the Ping function, whose I/O obeys ctx. Without either it looks at the
// socket only, without a wait and without a word to the peer. That finds
// a connection that was closed or reset; a peer that vanished is found by the
// keepalive of the socket, which makes the same look fail later. After an error
// the connection is closed.
func (c *Conn) Ping(ctx context.Context) error {
	if c.ping == nil {
		return c.Check()
	}
	unbind := c.Bind(ctx)
	defer unbind()
	if err := c.ping(ctx, c.Conn); err != nil {
		err = &pingError{c.name, err}
		_ = c.CloseWithError(err) // also after a wrong answer: nobody knows what is still to come
		return err
	}
	return nil
}

// pingError is a Ping that failed, and with that the end of the connection.
type pingError struct {
	name string
	err  error
}

func (e *pingError) Error() string { return fmt.Sprintf("tcp: ping %s: %v", e.name, e.err) }
func (e *pingError) Unwrap() error { return e.err }

// BadConn is for driver.IsBad.
func (e *pingError) BadConn() bool { return true }

// pingPong returns a function that sends ping and reads pong, and not a byte
// more. It does not wait for the rest of an answer that begins otherwise.
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
				return fmt.Errorf("the answer begins with %.40q, want %.40q", answer, pong)
			}
			if err != nil && len(answer) < len(pong) {
				return err
			}
		}
		return nil
	}
}
