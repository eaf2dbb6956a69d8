package drivertest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
)

// Compiled only: it wants a test. TestGoodDriverPassesOnRealSockets is like it.
func ExampleRun() {
	var t *testing.T // func TestConformance(t *testing.T) {

	drivertest.Run(t, func(t testing.TB) drivertest.Subject {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		connector, err := driver.OpenConnector("line", "line://user:p4ssword@"+ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return drivertest.Subject{
			Connector: connector,
			Server:    drivertest.Serve(t, ln, drivertest.Each(serveLines)),
			Exchange:  func(c driver.Conn) error { return c.(*lineConn).ask("PING", "PONG") },
			Secrets:   []string{"p4ssword"},
		}
	})
}

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
