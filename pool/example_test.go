package pool_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/go-logr/logr/funcr"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// A caller does not want to wait.
func ExamplePool_TryAcquire() {
	p, err := pool.New[*drivertest.FakeConn](&drivertest.Fake{}, pool.Config{MaxOpen: 1})
	if err != nil {
		log.Fatal(err)
	}
	lease, err := p.Acquire(context.Background())
	if err != nil {
		log.Fatal(err)
	}

	_, err = p.TryAcquire()
	fmt.Println(err, errors.Is(err, pool.ErrNoneIdle)) // try again later

	lease.Release()
	lease, err = p.TryAcquire()
	fmt.Println(err)
	lease.Release()

	p.Close()
	_, err = p.TryAcquire()
	fmt.Println(errors.Is(err, pool.ErrNoneIdle), errors.Is(err, pool.ErrClosed)) // do not try again
	// Output:
	// pool: no idle connection true
	// <nil>
	// false true
}

// The pool connects before the first callers arrive. Unlike MinIdle, Warm keeps no spare
// connections later.
func ExamplePool_Warm() {
	p, err := pool.New[*drivertest.FakeConn](&drivertest.Fake{}, pool.Config{MaxOpen: 10})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(p.Warm(ctx, 5))
	fmt.Println(p.Stats().Idle, "idle")
	// Output:
	// <nil>
	// 5 idle
}

// OnAcquire checks a connection before each lease, like TestOnBorrow in redigo. If it
// finds the connection dead, the caller gets the next one. For a Ping, ValidateAfter is
// enough, and no hook is needed.
func ExampleConfig_onAcquire() {
	check := func(ctx context.Context, c driver.Conn, info pool.Info) error {
		fmt.Println("leased before:", info.Uses)
		if info.Uses == 0 || info.Idle < time.Minute {
			return nil
		}
		return c.(driver.Pinger).Ping(ctx)
	}
	p, err := pool.New[*drivertest.FakeConn](&drivertest.Fake{}, pool.Config{OnAcquire: check})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	for range 3 {
		lease, err := p.Acquire(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		lease.Release()
	}
	// Output:
	// leased before: 0
	// leased before: 1
	// leased before: 2
}

// The server takes fewer connections than MaxOpen, so the callers share them.
func ExampleStats_limit() {
	fake := &drivertest.Fake{}
	fake.Room(2, 0) // Connect fails with driver.Full if two are open
	logged := make(chan string, 1)
	p, err := pool.New[*drivertest.FakeConn](fake, pool.Config{
		Name:    "depot",
		MaxOpen: 10,
		Logger:  funcr.New(func(_, line string) { logged <- line }, funcr.Options{}),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	ctx := context.Background()
	use := func(_ context.Context, c *drivertest.FakeConn) error { return c.Use() }
	first, err := p.Acquire(ctx)
	if err != nil {
		log.Fatal(err)
	}
	second, err := p.Acquire(ctx)
	if err != nil {
		log.Fatal(err)
	}
	third := make(chan error)
	go func() { third <- p.Do(ctx, use) }()

	fmt.Println(<-logged)
	fmt.Println(p.Stats().Limit, "of", p.Stats().MaxOpen)
	first.Release()
	fmt.Println("third caller:", <-third)
	second.Release()
	// Output:
	// "level"=0 "msg"="the server is full" "pool"="depot" "limit"=2 "error"="drivertest: connect: the server has no room for more than 2 connections"
	// 2 of 10
	// third caller: <nil>
}

// An engineer on call wants to know why callers wait.
func ExamplePool_Snapshot() {
	server := &drivertest.Fake{}
	p, err := pool.New[*drivertest.FakeConn](server, pool.Config{Name: "depot"})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	server.Down(errors.New("connection refused"))
	_, err = p.Acquire(context.Background())
	fmt.Println(err != nil)

	s := p.Snapshot()
	fmt.Println(s.Pool, "is", s.State)
	fmt.Println(s.LastError)
	// Output:
	// true
	// depot is down
	// drivertest: connect: connection refused
}
