package tls_test

import (
	"bufio"
	"context"
	stdtls "crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/pool"
)

// A pool of TLS connections to a server with a private authority.
func Example() {
	ca := testcert.NewCA()
	server := startServer(ca.ServerConfig(), true)
	defer server.Close()
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	caFile := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(caFile, ca.PEM(), 0o600); err != nil {
		log.Fatal(err)
	}

	p, err := pool.Open[net.Conn]("tls", "tls://"+server.Address+"?ca="+caFile+"&ping=PING%0A&pong=PONG%0A", pool.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	err = p.Do(context.Background(), func(_ context.Context, c net.Conn) error {
		fmt.Println("TLS 1.3:", c.(*tls.Conn).ConnectionState().Version == stdtls.VersionTLS13)
		answer, err := request(c, "PING")
		fmt.Println(answer)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// TLS 1.3: true
	// PONG
}

// Each connection of the pool begins in plain text, switches to TLS and logs in
// before anyone gets it. They share sessions, so only the first one needs a full
// handshake.
func ExampleUpgrade() {
	ca := testcert.NewCA()
	server := startServer(ca.ServerConfig(), false)
	defer server.Close()

	config, err := tcp.ParseDSN("tcp://" + server.Address)
	if err != nil {
		log.Fatal(err)
	}
	secure := &stdtls.Config{
		RootCAs:            ca.Pool(),
		ServerName:         "localhost",
		ClientSessionCache: stdtls.NewLRUClientSessionCache(1),
	}
	config.Handshake = func(ctx context.Context, c net.Conn) (net.Conn, error) {
		if err := command(c, "STARTTLS"); err != nil {
			return nil, err
		}
		c, err := tls.Upgrade(ctx, c, secure)
		if err != nil {
			return nil, err
		}
		if err := command(c, "LOGIN me secret"); err != nil {
			return nil, driver.Permanent(err) // the same password will fail again
		}
		return c, nil
	}
	connector, err := tcp.NewConnector(config)
	if err != nil {
		log.Fatal(err)
	}
	p, err := pool.New[net.Conn](connector, pool.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	err = p.Do(context.Background(), func(_ context.Context, c net.Conn) error {
		answer, err := request(c, "WHOAMI")
		fmt.Println(answer)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: me
}

// command sends a line and fails unless the answer is OK.
func command(c net.Conn, line string) error {
	answer, err := request(c, line)
	if err == nil && answer != "OK" {
		err = errors.New("the server answered " + driver.Quote(answer))
	}
	return err
}

// request sends a line and reads one, byte by byte, so that it takes no byte after
// it from the connection.
func request(c net.Conn, line string) (answer string, err error) {
	if _, err := fmt.Fprintln(c, line); err != nil {
		return "", err
	}
	for next := make([]byte, 1); next[0] != '\n'; answer += string(next) {
		if _, err := io.ReadFull(c, next); err != nil {
			return "", err
		}
	}
	return strings.TrimSuffix(answer, "\n"), nil
}

// server answers PING with PONG, STARTTLS and LOGIN with OK, and WHOAMI with
// the user's name.
type server struct {
	Address string
	close   func()
}

func (s *server) Close() { s.close() }

func startServer(config *stdtls.Config, encrypted bool) *server {
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
				if encrypted {
					answerLines(stdtls.Server(c, config), nil)
				} else {
					answerLines(c, config)
				}
			})
		}
	})
	return &server{l.Addr().String(), func() { l.Close(); cancel(); wg.Wait() }}
}

func answerLines(c net.Conn, config *stdtls.Config) {
	r, user := bufio.NewReader(c), "nobody"
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch words := strings.Fields(line); {
		case len(words) == 1 && words[0] == "PING":
			_, _ = io.WriteString(c, "PONG\n")
		case len(words) == 1 && words[0] == "STARTTLS" && config != nil:
			_, _ = io.WriteString(c, "OK\n")
			c = stdtls.Server(c, config)
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
