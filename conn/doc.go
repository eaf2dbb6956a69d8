// Package conn is what every driver needs around a [net.Conn]: I/O that obeys
// a context, a probe that tells a dead connection from an idle one without
// blocking, and errors that say whether anything was sent.
//
// A driver wraps what it has dialed, and has all of the contract but Ping,
// which is a matter of the protocol:
//
//	func (k *connector) Connect(ctx context.Context) (driver.Conn, error) {
//		nc, err := k.dialer.DialContext(ctx, "tcp", k.addr)
//		if err != nil {
//			return nil, err
//		}
//		return conn.New(nc), nil
//	}
//
// Wrap a connection once, on the outside: dial, encrypt, log in, then New. A TLS
// connection needs nothing else; see [Conn.Check]. A driver that logs in on the
// Conn calls [Conn.ResetSession] after it, so that [Conn.Sent] and
// [Conn.Received] are zero when Connect returns.
//
// # States
//
//	open ──► failed ──► cancelled ──► closed
//
// A connection goes from left to right only, and may leave states out.
//
//	open        usable
//	failed      an I/O error or Check ended it. I/O still reaches the socket,
//	            for a last word on a half-closed one.
//	cancelled   the context of Bind ended. All I/O fails with its error, and
//	            no deadline can be set any more.
//	closed      by Close
//
// Only an open connection [Conn.IsValid]. The first error stays, see
// [Conn.Err]. One function, moveLocked, changes the state.
//
// # Which errors end a connection
//
// Any error of Read or Write, io.EOF included, with one exception: a Read that
// ran into a deadline of the user's own, where nothing was sent or received
// since the last reset, and no Write was under way. That is a look for news
// that did not come. In all other cases an exchange is half done, and its rest
// would be taken for the answer to the next request. A Write that runs into
// a deadline always ends the connection, since part of it may be on its way.
//
// Errors are of type *[Error], but for io.EOF of Read, which stays bare for
// those who compare with ==, as bufio and io.ReadAll do; [Conn.Err] has it as
// an *[Error], with what was sent.
//
// # A buffer above
//
// A Conn sees what it moves, not what becomes of it. Bytes in a bufio.Reader,
// or in a client library, that reads from a Conn are as unread as those in the
// kernel, but no method of Conn knows of them. A driver with such a buffer asks
// it too, or the next holder takes the rest of one answer for another:
//
//	func (c *lineConn) IsValid() bool {
//		return c.in.Buffered() == 0 && c.Conn.IsValid() // in is a bufio.Reader on c.Conn
//	}
//
// # Concurrency
//
// One goroutine reads, one writes, and any other may Close. Check is for the
// one that reads, between requests. The end of a bound context comes from
// a goroutine of its own, which unbind waits for. There are two mutexes:
// reading, held by Read and Check, across I/O; and mu, which guards state and
// deadlines and is never held across I/O. The one that holds reading may lock
// mu, not the other way round.
//
// # Cost
//
// Read and Write cost nothing that can be measured, and don't allocate. Check,
// and so ResetSession, is a system call, and Bind an entry in the context. On
// a request of 64 bytes and its answer over loopback, which takes 13.2 µs on
// a bare TCP connection, a Conn adds 0 %, ResetSession and IsValid between
// requests 5 %, and Bind another 3 % (go test -run '^$' -bench Echo -benchtime
// 30000x -count 10 ./conn; Go 1.26.8, Linux, 2 vCPU of an AMD EPYC whose
// shortest system call takes 0.2 µs; medians). A network makes that share
// smaller, the cost is per request.
//
// # Limits
//
// Conn has no ReadFrom and no WriteTo: io.Copy moves its bytes with Read and
// Write. Those of a TCP connection don't tell an error of the connection from
// one of the other end of the copy, so that a full disk would cost
// a connection. Where splice or sendfile matters, use [Conn.NetConn], whose
// bytes aren't counted.
package conn
