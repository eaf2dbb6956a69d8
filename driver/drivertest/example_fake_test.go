package drivertest_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hotline-go/hotline/driver/drivertest"
)

func ExampleFake() {
	fake := &drivertest.Fake{} // in a test: drivertest.NewFake(t)
	ctx := context.Background()

	fake.Next(drivertest.Connect, 2, drivertest.Fail(errors.New("refused")))
	for range 3 {
		_, err := fake.Connect(ctx)
		fmt.Println(err)
	}

	c := fake.Conns()[0]
	fake.Next(drivertest.Ping, 1, drivertest.Delay(time.Millisecond))
	fmt.Println(c.Ping(ctx), c.IsValid())
	c.Kill()
	fmt.Println(c.Ping(ctx), c.IsValid())
	c.Close()

	n := fake.Counts()
	fmt.Println(n.Connects, "connects,", n.Connected, "connected,", n.Open, "open")
	// Output:
	// drivertest: connect: refused
	// drivertest: connect: refused
	// <nil>
	// <nil> true
	// EOF false
	// 3 connects, 1 connected, 0 open
}
