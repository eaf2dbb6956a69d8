// Package drivertest is for those who write drivers, and for those who test
// programs that use them.
//
// # Test my driver
//
// [Run] checks a driver against the contract of package driver, rule by rule.
// It wants a listener, a server that speaks the protocol, and one small
// request:
//
//	func TestConformance(t *testing.T) {
//		drivertest.Run(t, func(t testing.TB) drivertest.Subject {
//			ln, err := net.Listen("tcp", "127.0.0.1:0")
//			if err != nil {
//				t.Fatal(err)
//			}
//			connector, err := driver.OpenConnector("depot", "depot://user:p4ssword@"+ln.Addr().String())
//			if err != nil {
//				t.Fatal(err)
//			}
//			return drivertest.Subject{
//				Connector: connector,
//				Server:    drivertest.Serve(t, ln, drivertest.Each(serveDepot)),
//				Exchange:  func(c driver.Conn) error { _, err := c.(*Depot).Count("bolts"); return err },
//				Secrets:   []string{"p4ssword"},
//			}
//		})
//	}
//
// The example of [Run] has all of that driver: a DSN with user and password,
// a login that obeys the context of Connect, a refusal that is permanent, and
// a session that is reset.
//
// Each rule is a subtest. One that fails quotes the sentence of the contract
// that is broken; one that does not apply is skipped and says why. Rules judge
// by what the driver's caller and the server see: what is returned and when,
// which connections the server still has, which goroutines are left. They wait
// for events, up to 5 seconds, and never sleep. Everything that a rule calls
// runs on goroutines of its own, so a driver that hangs fails the rule and not
// the test run.
//
// # Test my program without a server
//
// [Fake] is a driver and its server in memory, and [Swap] puts it in the place
// of a registered driver, so that the program opens its pool as ever:
//
//	func TestShop(t *testing.T) {
//		fake := drivertest.NewFake(t)
//		drivertest.Swap(t, "depot", fake)
//		shop, err := NewShop("depot://user:password@depot.example:2485") // calls pool.Open
//		...
//		fake.KillAll() // the server restarts
//		...
//		fake.Down(errors.New("no route to host")) // an outage begins
//		...
//		fake.Up() // and ends
//		...
//		fake.Room(4, 0) // the server takes four connections at most
//	}
//
// Where the program wants connections with methods of its protocol, it opens
// its pool for an interface that the driver's connections have, and the test
// writes another type that has it: one that embeds [*FakeConn] and is named in
// [Fake.Wrap]. Each of its methods calls [FakeConn.Use], which stands for the
// round trip. See the example of [Swap].
//
// What a call does, a [Step] says. Steps are planned for the next calls of an
// [Op] or for all:
//
//	fake.Next(drivertest.Connect, 2, drivertest.Fail(err))  // two connects fail
//	fake.Next(drivertest.Connect, 1, drivertest.Delay(time.Minute))
//	fake.Always(drivertest.Ping, drivertest.Hang)           // a silent peer
//	fake.Always(drivertest.Connect, drivertest.Fail(driver.Permanent(err)))
//	fake.Always(drivertest.Connect, nil)                    // healthy again
//
// [Fail], [Hang], [HangUntil], [StallUntil], [Delay], [Panic] and [Goexit] make
// the usual ones. Any function of that type is a step.
//
// Under testing/synctest a Fake made inside the bubble runs in fake time, as it
// waits on channels and timers alone.
//
// # What the Fake watches
//
// A connection has one user at a time, and none after Close; Close comes once.
// The Fake of [NewFake] fails its test where a caller breaks that. With -race
// it finds more: each call writes a plain int of the connection, so two users
// whom nothing orders are a data race, even when they miss each other.
//
// The Fake counts as a server does: a connection from the start of Connect
// until Close has returned.
package drivertest
