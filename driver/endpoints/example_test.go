package endpoints_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/endpoints"
	"github.com/hotline-go/hotline/internal/testserver"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/retry"
)

// A list in the DSN. The pool opens three connections to each of three servers.
func Example() {
	var hosts []string
	for range 3 {
		s, err := testserver.Start(testserver.TCP, "127.0.0.1:0", new(testserver.Ping).Serve)
		if err != nil {
			log.Fatal(err)
		}
		defer s.Close()
		hosts = append(hosts, s.Addr())
	}
	p, err := pool.Open[net.Conn]("tcp", "tcp://"+strings.Join(hosts, ",")+"?hosts_order=least_open", pool.Config{MaxOpen: 9})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	if err := p.Warm(context.Background(), 9); err != nil {
		log.Fatal(err)
	}
	at := map[string]int{}
	p.ResetIf(func(c net.Conn) bool {
		at[c.RemoteAddr().String()]++
		return false
	})
	for _, host := range hosts {
		fmt.Println(at[host])
	}
	// Output:
	// 3
	// 3
	// 3
}

// store is a server of a line protocol. It accepts writes while it is the primary.
type store struct {
	*testserver.Server
	primary atomic.Bool
	writes  atomic.Int64 // accepted
	refused atomic.Int64
	last    atomic.Int64 // when it last refused a write, in Unix nanoseconds
}

func startStore(primary bool) *store {
	s := &store{}
	s.primary.Store(primary)
	var err error
	if s.Server, err = testserver.Start(testserver.TCP, "127.0.0.1:0", s.serve); err != nil {
		log.Fatal(err)
	}
	return s
}

func (s *store) serve(l net.Listener) {
	var all sync.WaitGroup
	defer all.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		all.Go(func() { // ends with c
			defer c.Close()
			for in := bufio.NewScanner(c); in.Scan(); {
				if _, err := fmt.Fprintln(c, s.answer(in.Text())); err != nil {
					return
				}
			}
		})
	}
}

// answer returns the answer to a line, ROLE or a WRITE.
func (s *store) answer(line string) string {
	switch primary := s.primary.Load(); {
	case line == "ROLE" && primary:
		return "primary"
	case line == "ROLE":
		return "replica"
	case primary:
		s.writes.Add(1)
		return "OK"
	}
	s.refused.Add(1)
	s.last.Store(time.Now().UnixNano())
	return "READONLY"
}

// ask sends a line and returns the answer.
func ask(c io.ReadWriter, line string) (string, error) {
	if _, err := fmt.Fprintln(c, line); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(answer), err
}

var errReadOnly = errors.New("the server does not accept writes")

// Writer writes to the primary of several stores.
type Writer struct {
	*pool.Pool[net.Conn]
}

// OpenWriter returns a Writer to the stores at addrs.
func OpenWriter(addrs ...string) (Writer, error) {
	connector, err := endpoints.New(endpoints.Set{
		Addrs:     addrs,
		Connector: func(addr string) (driver.Connector, error) { return driver.OpenConnector("tcp", "tcp://"+addr) },
		Want:      isPrimary,
	})
	if err != nil {
		return Writer{}, err
	}
	// A failover takes seconds. With a short backoff, the pool notices its end soon.
	p, err := pool.New[net.Conn](connector, pool.Config{MaxOpen: 8, Backoff: pool.Backoff{Max: 250 * time.Millisecond}})
	return Writer{p}, err
}

// isPrimary refuses replicas.
func isPrimary(ctx context.Context, c driver.Conn) error {
	defer c.(driver.Binder).Bind(ctx)()
	role, err := ask(c.(net.Conn), "ROLE")
	if err == nil && role != "primary" {
		err = errors.New("is a " + role)
	}
	return err
}

// Write writes text. If a store refuses a write, it was demoted. Then Write replaces
// all connections to that store and writes again, because a refused write did nothing.
func (w Writer) Write(ctx context.Context, text string) error {
	again := retry.Policy{
		MaxAttempts: -1, MaxInterval: 100 * time.Millisecond,
		RetryIf: func(err error) bool { return retry.Safe(err) || errors.Is(err, errReadOnly) },
	}
	return again.Do(ctx, func(ctx context.Context) error {
		return w.Do(ctx, func(_ context.Context, c net.Conn) error {
			answer, err := ask(c, "WRITE "+text)
			if err == nil && answer == "READONLY" {
				old := c.RemoteAddr().String()
				w.ResetIf(func(c net.Conn) bool { return c.RemoteAddr().String() == old })
				return errReadOnly
			}
			return err
		})
	})
}

// The primary of two servers is demoted, and the other takes over.
func Example_failover() {
	first, second := startStore(true), startStore(false)
	defer first.Close()
	defer second.Close()
	w, err := OpenWriter(first.Addr(), second.Addr())
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(w.Write(ctx, "one"))
	first.primary.Store(false)
	second.primary.Store(true)
	fmt.Println(w.Write(ctx, "two"))
	fmt.Println(w.Write(ctx, "three"))
	fmt.Println("first:", first.writes.Load(), "written,", first.refused.Load(), "refused")
	fmt.Println("second:", second.writes.Load(), "written")
	// Output:
	// <nil>
	// <nil>
	// <nil>
	// first: 1 written, 1 refused
	// second: 2 written
}
