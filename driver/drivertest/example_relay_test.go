package drivertest_test

import (
	"testing"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
)

// The suite runs against a real server, here at 127.0.0.1:2485.
func ExampleRelay() {
	var t *testing.T // func TestConformance(t *testing.T) {

	drivertest.Run(t, func(t testing.TB) drivertest.Subject {
		server, address := drivertest.Relay(t, "tcp", "127.0.0.1:2485")
		connector, err := driver.OpenConnector("depot", "depot://ada:p4ss%20w0rd@"+address)
		if err != nil {
			t.Fatal(err)
		}
		return drivertest.Subject{
			Connector: connector,
			Server:    server,
			Exchange:  func(c driver.Conn) error { return c.(*Depot).expect("PONG", "PING") },
			Leftover:  leaveAnswer,
		}
	})
}
