package conn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/driver"
)

// A peer that never answers cannot block a caller for longer than its context.
func ExampleConn_Bind() {
	nc, peer := net.Pipe()
	go io.Copy(io.Discard, peer) // takes everything, says nothing
	c := conn.New(nc)
	defer c.Close()

	io.WriteString(c, "PING\n")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	unbind := c.Bind(ctx)
	_, err := c.Read(make([]byte, 5))
	unbind()

	fmt.Println(err)
	fmt.Println("discard the connection:", driver.IsBad(err))
	fmt.Println("safe to send again:", driver.SafeToRetry(err))
	// Output:
	// conn: read pipe pipe->pipe: context deadline exceeded (5 bytes sent, 0 received)
	// discard the connection: true
	// safe to send again: false
}

// An idle connection is checked before it is used again.
func ExampleConn_Check() {
	nc, peer := net.Pipe()
	c := conn.New(nc)
	defer c.Close()
	fmt.Println("idle:", c.Check())

	peer.Close()
	err := c.Check()
	fmt.Println("closed:", err)
	fmt.Println("try another:", errors.Is(err, driver.ErrBadConn))
	// Output:
	// idle: <nil>
	// closed: conn: check pipe pipe->pipe: closed by the peer (EOF)
	// try another: true
}

// A message read by one goroutine can be the reason why another one fails.
func ExampleConn_CloseWithError() {
	nc, _ := net.Pipe()
	c := conn.New(nc)
	c.CloseWithError(errors.New("* BYE server is shutting down"))
	_, err := io.WriteString(c, "NOOP\r\n")
	fmt.Println(err)
	// Output:
	// conn: write pipe pipe->pipe: use of closed network connection: * BYE server is shutting down (0 bytes sent, 0 received)
}
