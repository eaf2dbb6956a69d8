// Package drivertest tests drivers, and helps you test programs that use them.
//
// # Test my driver
//
// [Run] checks a driver against the contract of package driver, rule by rule.
// It needs a listener, a server that speaks the protocol, and one small request:
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
//				Exchange:  func(c driver.Conn) error { return c.(*Depot).Ping(context.Background()) },
//				Leftover:  leaveAnswer,
//				Secrets:   []string{"p4ssword"},
//			}
//		})
//	}
//
// The example of [Run] has that whole driver: a DSN with user and password,
// a login that obeys the context of Connect, a permanent refusal, and a session
// that is reset.
//
// Each rule is a subtest. A rule that fails quotes the sentence of the contract
// that the driver breaks. A rule that does not apply is skipped and says why. Rules
// check only what the driver's caller and the server can observe: results, how long
// calls take, connections that the server still has, and goroutines that are left.
// They wait for events, up to 5 seconds. A rule calls the driver on separate
// goroutines, so a driver that hangs fails the rule, not the whole test run.
//
// # What one holder leaves to the next
//
// A holder may leave session state behind, or an answer that it has not read. Two
// fields of the Subject test for that. If one is missing, go test -v shows a line
// about it at the end:
//
//   - Spoil leaves session state, such as an open transaction. After ResetSession,
//     Fresh must not find it.
//   - Leftover leaves an answer: it makes two requests at once and reads one
//     answer. Unless IsValid or ResetSession then rejects the connection, as in
//     a pool, the next request must get its own answer.
//
// What IsValid and ResetSession must do depends on where the answer waits:
//
//   - On the socket: ResetSession of conn.Conn finds it. A driver without
//     conn.Conn checks the socket itself, or makes an exchange in ResetSession and
//     fails if it gets a different answer.
//   - In a buffer, such as a bufio.Reader: IsValid is false unless the buffer is
//     empty. Checking the socket does not help.
//   - With a goroutine that always reads: either it matches answers to requests by
//     ID and drops the ones nobody waits for, or IsValid is false while a request
//     has no answer. IsValid is also false once the goroutine has ended.
//
// # On a real server
//
// [Relay] sits between the driver and a running server. The Subject is then as
// short as this:
//
//	server, address := drivertest.Relay(t, "tcp", "127.0.0.1:6379")
//	return drivertest.Subject{
//		Connector: newConnector(address),
//		Server:    server,
//		Exchange:  ping,
//	}
//
// # Test my program without a server
//
// [Fake] is a driver and its server in memory, and [Swap] replaces a registered
// driver with it, so that the program opens its pool as usual:
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
//		fake.Room(4, 0) // the server takes at most four connections
//	}
//
// If the program needs connections with methods of its protocol, it opens its
// pool with an interface that the driver's connections implement. The test
// defines a type that embeds [*FakeConn] and implements the interface too, and
// sets [Fake.Wrap]. Each method calls [FakeConn.Use], which stands for the round
// trip. See the example of [Swap].
//
// A [Step] says what a call does. Set steps for the next calls of an [Op] or for
// all of them:
//
//	fake.Next(drivertest.Connect, 2, drivertest.Fail(err))  // two connects fail
//	fake.Next(drivertest.Connect, 1, drivertest.Delay(time.Minute))
//	fake.Always(drivertest.Ping, drivertest.Hang)           // a silent peer
//	fake.Always(drivertest.Connect, drivertest.Fail(driver.Permanent(err)))
//	fake.Always(drivertest.Connect, nil)                    // healthy again
//
// [Fail], [Hang], [HangUntil], [StallUntil], [Delay], [Panic] and [Goexit] make
// the common ones. Any function of type Step works.
//
// Under testing/synctest a Fake made inside the bubble runs in fake time, because
// it waits only on channels and timers.
//
// # What the Fake checks
//
// A connection has one user at a time, and none after Close; Close is called
// once. If a caller breaks that, the Fake of [NewFake] fails its test. With -race
// it finds more: each call writes a plain int of the connection, so two users
// without synchronization are a data race, even if their calls don't overlap.
//
// The Fake counts like a server: a connection counts from the start of Connect
// until Close has returned.
package drivertest
