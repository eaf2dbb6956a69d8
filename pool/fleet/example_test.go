package fleet_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/fleet"
)

// Two processes, played by one, share 3 connections. The TTL is short, because the first
// of them waits that long for a store that is new.
func Example() {
	store, server := &fleet.Memory{}, &drivertest.Fake{}
	for range 2 {
		gate, err := fleet.New(store, fleet.Config{Budget: "depot", Limit: 3, TTL: 100 * time.Millisecond, Grace: -1})
		if err != nil {
			log.Fatal(err)
		}
		defer gate.Close()
		p, err := pool.New[*drivertest.FakeConn](server, pool.Config{Gate: gate})
		if err != nil {
			log.Fatal(err)
		}
		defer p.Close()
		err = p.Do(context.Background(), func(_ context.Context, c *drivertest.FakeConn) error {
			fmt.Println(gate)
			return c.Use()
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// budget "depot": 1 of 3 connections granted, 1 used, 0 connects waiting
	// budget "depot": 1 of 3 connections granted, 1 used, 0 connects waiting
}
