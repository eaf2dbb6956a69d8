package tcp_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/internal/testcert"
)

// Without a pool, a connector is all you need.
func Example() {
	server := startServer(nil)
	defer server.Close()

	connector, err := driver.OpenConnector("tcp", "tcp://"+server.Address)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := connector.Connect(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	conn := c.(net.Conn)
	fmt.Fprintln(conn, "PING")
	answer, _ := bufio.NewReader(conn).ReadString('\n')
	fmt.Print(answer)
	// Output: PONG
}

// The server answers a message that asks whether it is there. A pool sends it while
// a connection is idle, and before it lends one that was idle for a while.
func Example_pingPong() {
	server := startServer(nil)

	connector, err := driver.OpenConnector("tcp", "tcp://"+server.Address+"?ping=PING%0A&pong=PONG%0A")
	if err != nil {
		log.Fatal(err)
	}
	c, err := connector.Connect(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println("there:", c.(driver.Pinger).Ping(ctx) == nil)
	server.Close()
	fmt.Println("gone:", driver.IsBad(c.(driver.Pinger).Ping(ctx)))
	// Output:
	// there: true
	// gone: true
}

// Each new connection is encrypted and logged in before anyone gets it.
func Example_handshake() {
	ca := testcert.NewCA()
	server := startServer(ca.ServerConfig())
	defer server.Close()

	config, err := tcp.ParseDSN("tcp://" + server.Address)
	if err != nil {
		log.Fatal(err)
	}
	config.Handshake = func(ctx context.Context, c net.Conn) (net.Conn, error) {
		if err := command(c, "STARTTLS"); err != nil {
			return nil, err
		}
		secure := tls.Client(c, ca.ClientConfig())
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		if err := command(secure, "LOGIN", "me", "secret"); err != nil {
			return nil, driver.Permanent(err) // the same password will fail again
		}
		return secure, nil
	}
	connector, err := tcp.NewConnector(config)
	if err != nil {
		log.Fatal(err)
	}
	c, err := connector.Connect(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	conn := c.(net.Conn)
	fmt.Fprintln(conn, "WHOAMI")
	answer, _ := bufio.NewReader(conn).ReadString('\n')
	fmt.Print(answer)
	// Output: me
}

// command sends a line and fails unless the answer is OK, with nothing after it:
// bytes before TLS may come from an attacker.
func command(c net.Conn, verb string, arguments ...string) error {
	fmt.Fprintln(c, strings.Join(append([]string{verb}, arguments...), " "))
	r := bufio.NewReader(c)
	answer, err := r.ReadString('\n')
	switch {
	case err != nil:
		return err
	case r.Buffered() > 0:
		return errors.New("the server sent more than its answer")
	case answer != "OK\n":
		return fmt.Errorf("%s: %s", verb, strings.TrimSpace(answer))
	}
	return nil
}

// server answers PING with PONG, STARTTLS and LOGIN with OK, and WHOAMI with
// the user's name.
type server struct {
	Address string
	close   func()
}

func (s *server) Close() { s.close() }

func startServer(config *tls.Config) *server {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(ctx, func() { c.Close() })
			wg.Go(func() {
				defer stop()
				defer c.Close()
				answer(c, config)
			})
		}
	})
	return &server{l.Addr().String(), func() { l.Close(); cancel(); wg.Wait() }}
}

func answer(c net.Conn, config *tls.Config) {
	r, user := bufio.NewReader(c), "nobody"
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch words := strings.Fields(line); {
		case len(words) == 1 && words[0] == "PING":
			_, _ = io.WriteString(c, "PONG\n")
		case len(words) == 1 && words[0] == "STARTTLS":
			_, _ = io.WriteString(c, "OK\n")
			c = tls.Server(c, config)
			r = bufio.NewReader(c)
		case len(words) == 3 && words[0] == "LOGIN":
			user = words[1]
			_, _ = io.WriteString(c, "OK\n")
		case len(words) == 1 && words[0] == "WHOAMI":
			_, _ = io.WriteString(c, user+"\n")
		default:
			_, _ = io.WriteString(c, "NO\n")
		}
	}
}
