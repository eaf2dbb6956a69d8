package hotline_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/hotline-go/hotline/internal/testserver"
	"github.com/hotline-go/hotline/pool"
)

// ready answers 503 while p can't serve callers. It does no I/O.
func ready(p *pool.Pool[net.Conn]) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s := p.Snapshot(); s.State >= pool.Down { // or suspended, or closed
			http.Error(w, s.State.String(), http.StatusServiceUnavailable)
		}
	}
}

// A readiness probe asks for the state of the pool. It does not need a connection of
// its own.
func Example_readiness() {
	server := serve(new(testserver.Ping))
	p, err := pool.Open[net.Conn]("tcp", "tcp://"+server.Addr(), pool.Config{FailFast: true})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	probe := func() {
		answer := httptest.NewRecorder()
		ready(p)(answer, httptest.NewRequest("GET", "/ready", nil))
		fmt.Println(answer.Code)
	}

	probe()
	server.Close()
	_ = p.Ping(context.Background()) // a caller finds out
	probe()
	// Output:
	// 200
	// 503
}
