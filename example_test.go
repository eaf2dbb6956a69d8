package hotline_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/textproto"
	"strings"
	"time"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/internal/testserver"
	"github.com/hotline-go/hotline/pool"
)

// serve starts a PING server for an example.
func serve(ping *testserver.Ping) *testserver.Server {
	server, err := testserver.Start(testserver.TCP, "127.0.0.1:0", ping.Serve)
	if err != nil {
		log.Fatal(err)
	}
	return server
}

// ask sends a line on c and returns the line that comes back.
func ask(c net.Conn, line string) (string, error) {
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSuffix(answer, "\n"), err
}

// A pool of plain connections: many goroutines, few connections.
func Example() {
	server := serve(new(testserver.Ping))
	defer server.Close()

	p, err := pool.Open[net.Conn]("tcp", "tcp://"+server.Addr(), pool.Config{MaxOpen: 20})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	err = p.Do(context.Background(), func(ctx context.Context, c net.Conn) error {
		answer, err := ask(c, "ECHO hello")
		fmt.Println(answer)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: hello
}

// Idle connections are pinged, so that neither a firewall nor the server drops them. If
// one is lost, the pool replaces it before a caller needs it.
func Example_keepAlive() {
	server := serve(new(testserver.Ping))
	defer server.Close()

	p, err := pool.Open[net.Conn]("tcp", "tcp://"+server.Addr()+"?ping=PING%0A&pong=PONG%0A&pool_keepalive=30s", pool.Config{
		MinIdle: 4,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println("ready:", p.Ready(ctx))
	fmt.Println("ping:", p.Ping(ctx))
	fmt.Println("open:", p.Stats().Open)
	// Output:
	// ready: <nil>
	// ping: <nil>
	// open: 4
}

// Each new connection is logged in before a caller gets it. A wrong password is
// permanent: every caller gets the error, and the pool does not retry on its own.
func Example_handshake() {
	server := serve(&testserver.Ping{User: "ada", Password: "secret"})
	defer server.Close()

	login := func(password string) func(context.Context, net.Conn) (net.Conn, error) {
		return func(ctx context.Context, c net.Conn) (net.Conn, error) {
			answer, err := ask(c, "LOGIN ada "+password)
			if err == nil && answer != "OK" {
				err = driver.Permanent(errors.New("login refused"))
			}
			return c, err
		}
	}
	for _, password := range []string{"secret", "guess"} {
		connector, err := tcp.NewConnector(tcp.Config{Address: server.Addr(), Handshake: login(password)})
		if err != nil {
			log.Fatal(err)
		}
		p, err := pool.New[net.Conn](connector, pool.Config{})
		if err != nil {
			log.Fatal(err)
		}
		answer, err := pool.Call(context.Background(), p, func(ctx context.Context, c net.Conn) (string, error) {
			return ask(c, "PING")
		})
		fmt.Println(answer, driver.IsPermanent(err))
		p.Close()
	}
	// Output:
	// PONG false
	//  true
}

// If an error means that the connection is dead, the pool discards the connection.
// After any other error, it keeps it. Config.BadConn can change which errors are which.
func Example_badConnection() {
	server := serve(new(testserver.Ping))
	defer server.Close()

	p, err := pool.Open[net.Conn]("tcp", "tcp://"+server.Addr(), pool.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	ctx := context.Background()
	noSuchMail := errors.New("no such mail") // the server's answer: the connection is fine
	err = p.Do(ctx, func(context.Context, net.Conn) error { return noSuchMail })
	fmt.Println(err == noSuchMail, "discarded:", p.Stats().Closed.Bad)

	err = p.Do(ctx, func(ctx context.Context, c net.Conn) error {
		_, err := ask(c, "QUIT") // the server says BYE and closes
		if err == nil {
			_, err = ask(c, "PING")
		}
		return err
	})
	fmt.Println(driver.IsBad(err), "discarded:", p.Stats().Closed.Bad)
	// Output:
	// true discarded: 0
	// true discarded: 1
}

// A pool can hold any client object with a Close, not only sockets. This driver for the
// client of net/textproto takes a few lines.
func Example_clientObject() {
	driver.Register("textproto", textprotoDriver{})
	server := serve(new(testserver.Ping))
	defer server.Close()

	p, err := pool.Open[*textproto.Conn]("textproto", server.Addr(), pool.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	answer, err := pool.Call(context.Background(), p, func(ctx context.Context, c *textproto.Conn) (string, error) {
		if err := c.PrintfLine("ECHO any client will do"); err != nil {
			return "", err
		}
		return c.ReadLine()
	})
	fmt.Println(answer, err)
	// Output: any client will do <nil>
}

type textprotoDriver struct{}

func (textprotoDriver) Open(address string) (driver.Conn, error) {
	return textproto.Dial("tcp", address)
}
