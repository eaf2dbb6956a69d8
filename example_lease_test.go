package hotline_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"time"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/internal/testserver"
	"github.com/hotline-go/hotline/pool"
)

// byHand is what Do does, but that Do also ends blocked I/O when ctx ends.
func byHand(ctx context.Context, p *pool.Pool[net.Conn]) error {
	lease, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	defer lease.Release()
	err = ping(ctx, lease.Conn())
	if driver.IsBad(err) {
		lease.Discard(err) // ends the lease; the Release to come does nothing
	}
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

// A connection for what does not fit into one function.
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
