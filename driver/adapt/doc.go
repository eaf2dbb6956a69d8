// Package adapt turns any client library that has a connection object into
// a driver. The pool then lends the library's own connections, such as
// a *redis.Conn or an *ssh.Client, and limits, checks and keeps them alive:
//
//	func init() {
//		adapt.Register("depot", func(u *dsn.URL) (adapt.Client[*depot.Client], error) {
//			return adapt.Client[*depot.Client]{
//				Address: u.Address(2485),
//				Start: func(ctx context.Context, nc net.Conn) (*depot.Client, error) {
//					c := depot.NewClient(nc)
//					return c, c.Login(u.User, u.Password)
//				},
//				Ping:   func(ctx context.Context, c *depot.Client) error { return c.Noop() },
//				Answer: func(err error) bool { return errors.As(err, new(*depot.Refusal)) },
//			}, new(dsn.Params).Apply(u.Params)
//		})
//	}
//
//	p, err := pool.Open[*depot.Client]("depot", "depot://user:password@host", pool.Config{})
//
// # Start or Connect
//
// Use Start for a library that works on a given net.Conn; most have a constructor
// that takes one. Start gets a [conn.Conn], which does three things for the pool:
// it remembers whether I/O has ever failed, even if the library hides the error;
// it ends blocked I/O when a context ends; and it checks before each use whether
// the server has closed the connection or sent bytes that nobody has read. So such
// a driver needs no Valid, no Bind, and in most cases no Reset.
//
// Use Connect for a library that dials on its own. The pool then learns about
// dead connections only from Ping, Valid and the errors of the holders.
//
// # Close
//
// A server counts a connection until it notices that the client has closed it,
// a moment after Close returns. So a pool as large as the server's limit would be
// refused its next connection. To prevent that, closing a connection made by Start
// takes up to a second, until the server has closed it too. It makes no difference
// whether the pool calls Close first or the library does after an error.
// Client.Goodbye says goodbye in the protocol, so that a proxy in between passes it
// on. With Connect, [Farewell] does the same. Client.Closed is for a library that
// closes in the background. If I/O over TLS has failed, or a context has cut it off,
// TLS can say nothing more, and Close does not wait for the server.
//
// # A library with a buffer or a reading goroutine
//
// Libraries read into a buffer. If a holder leaves before it has read its whole
// answer, the rest stays in that buffer. No check of the socket finds it there, and
// the next holder takes it for its own answer. If the library knows whether an
// answer is outstanding, use that in Valid:
//
//	Valid: func(c *depot.Client) bool { return c.Outstanding() == 0 },
//
// Otherwise, let Reset make an exchange whose answer can't be mistaken for
// another, or close whatever was left open. A library with a goroutine that always
// reads needs neither if it matches answers to requests by ID. The rule
// NothingIsLeftOver of package drivertest tests this: give the Subject
// a Leftover.
//
// Some libraries take half a line for a whole one if the connection ends there;
// [WholeLines] prevents that.
//
// # Errors
//
// Two functions say what errors mean. Class is for errors of Connect, Start, Ping
// and Reset: wrong password ([driver.Permanent]), no room ([driver.Full]), too
// fast ([driver.Throttled]). Answer is for errors that holders return: it picks
// out the server's answers, which leave the connection as good as before. After an
// error that is neither an answer nor [driver.IsBad] nor [driver.IsGood], the pool
// pings the connection before its next use. [ByCode] makes a Class for a library
// whose errors have codes, and [IsA] is an Answer for a library whose answers have
// a type.
//
// # Hooks and tests
//
// Only Do, Call and a Lease give you the library's client. The hooks of a pool
// and the functions of a drivertest.Subject get the driver.Conn around it, so
// a type assertion such as c.(*depot.Client) fails. Use [driver.As]:
//
//	client, _ := driver.As[*depot.Client](c)
//
// # Secrets
//
// fmt prints no field of a connector or a connection of this package. No error of
// a driver made by [Register] or [OpenSQL] shows the user-info or the password of
// the DSN; see [driver.Redact].
package adapt
