package hotline_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"testing"
	"time"

	"github.com/hotline-go/hotline/internal/testserver"
	"github.com/hotline-go/hotline/pool"
)

// byHand does what p.Do(ctx, ping) does.
func byHand(ctx context.Context, p *pool.Pool[net.Conn]) error {
	lease, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	defer lease.Discard(nil)  // if ping panics; after End it does nothing
	unbind := lease.Bind(ctx) // the end of ctx ends blocked I/O
	err = ping(ctx, lease.Conn())
	unbind()
	lease.End(err)
	return err
}

// ping makes a request and prints the answer.
func ping(_ context.Context, c net.Conn) error {
	if _, err := io.WriteString(c, "PING\n"); err != nil {
		return err
	}
	answer := make([]byte, 5)
	_, err := io.ReadFull(c, answer)
	fmt.Printf("%s", answer)
	return err
}

// The server does not answer. Without Bind, the read would go on after ctx has ended.
func TestTheEndOfCtxEndsTheReadOfALease(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // the system accepts for it
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	p, err := pool.Open[net.Conn]("tcp", "tcp://"+listener.Addr().String(), pool.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	lease, err := p.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lease.Release()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := byHand(ctx, p); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("byHand = %v, want the error of ctx", err)
	}
}

// A lease is for work that does not fit into one function.
func Example_lease() {
	server := serve(new(testserver.Ping))
	defer server.Close()

	p, err := pool.Open[net.Conn]("tcp", "tcp://"+server.Addr(), pool.Config{})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := byHand(ctx, p); err != nil {
		log.Fatal(err)
	}
	stats := p.Stats()
	fmt.Println(stats.Open, "open,", stats.Leased, "leased")
	fmt.Println(p.Shutdown(ctx)) // waits for leases until ctx ends
	// Output:
	// PONG
	// 1 open, 0 leased
	// <nil>
}
