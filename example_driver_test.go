package hotline_test

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net"
	"strings"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/internal/testserver"
	"github.com/hotline-go/hotline/pool"
)

func init() {
	driver.RegisterFunc("line", func(dsn string) (driver.Connector, error) { return lineConnector(dsn), nil })
}

type lineConnector string // host:port

func (address lineConnector) Connect(ctx context.Context) (driver.Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", string(address))
	if err != nil {
		return nil, err
	}
	c := conn.New(nc)
	return &Line{c, bufio.NewReader(c)}, nil
}

// Line is a connection that the pool hands out.
type Line struct {
	*conn.Conn
	r *bufio.Reader
}

// Ask sends a line and returns the answer.
func (l *Line) Ask(line string) (string, error) {
	if _, err := fmt.Fprintln(l, line); err != nil {
		return "", err
	}
	answer, err := l.r.ReadString('\n')
	return strings.TrimSuffix(answer, "\n"), err
}

// IsValid also checks that r has read nothing ahead, which conn.Conn can't see:
// the next caller would take a surplus line for its answer.
func (l *Line) IsValid() bool { return l.r.Buffered() == 0 && l.Conn.IsValid() }

// Ping is the keepalive.
func (l *Line) Ping(ctx context.Context) error {
	defer l.Bind(ctx)()
	_, err := l.Ask("PING")
	return err
}

// A complete driver, and a program that uses it.
func Example_ownDriver() {
	server := serve(new(testserver.Ping))
	defer server.Close()

	p, err := pool.Open[*Line]("line", server.Addr(), pool.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	err = p.Do(context.Background(), func(ctx context.Context, l *Line) error {
		answer, err := l.Ask("ECHO typed")
		fmt.Println(answer)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: typed
}
