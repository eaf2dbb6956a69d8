// Package conn adds what every driver needs to a [net.Conn]: I/O that obeys
// a context, a probe that tells a dead connection from an idle one without
// blocking, and errors that say whether anything was sent.
//
// A driver wraps the connection it dialed, and has the whole contract except
// Ping, which depends on the protocol:
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
// Conn calls [Conn.ResetSession] afterward, so that [Conn.Sent] and
// [Conn.Received] are zero when Connect returns.
//
// # States
//
//	open ──► failed ──► cancelled ──► closed
//
// A connection moves only from left to right, and may skip states.
//
//	open        It is usable.
//	failed      An I/O error or Check ended it. I/O still reaches the socket,
//	            so that a last message can be sent if only the peer's half is
//	            closed.
//	cancelled   The context of Bind ended. All I/O fails with its error, and
//	            deadlines can no longer be set.
//	closed      Close was called.
//
// [Conn.IsValid] is false in every state except open. [Conn.Err] keeps the first
// error. One function, moveLocked, changes the state.
//
// # Which errors end a connection
//
// Any error of Read or Write, io.EOF included, with one exception: a Read that
// hits the user's own deadline when nothing was sent or received since the last
// reset and no Write is in progress. That Read only waited for news that did not
// come. In all other cases an exchange is half done, and the rest of it would be
// taken for the answer to the next request. A Write that hits a deadline always
// ends the connection, because part of it may be on its way.
//
// Errors are of type *[Error]. The exception is io.EOF, which Read returns bare
// because bufio and io.ReadAll compare it with ==; [Conn.Err] has it as
// an *[Error] that says how much was sent.
//
// # A buffer above the Conn
//
// A Conn counts the bytes it moves, but can't tell whether anyone has used them.
// Bytes in the buffer of a bufio.Reader or a client library are as unread as bytes
// in the kernel, and no method of Conn can see them. A driver with such a buffer
// must check it too, or the next holder takes the rest of one answer for another:
//
//	func (c *lineConn) IsValid() bool {
//		return c.in.Buffered() == 0 && c.Conn.IsValid() // in is a bufio.Reader on c.Conn
//	}
//
// If a client has a goroutine that always reads, it reads answers before anybody
// asks for them, and Check finds nothing while that goroutine is in Read. If the
// client matches answers to requests by ID, leftovers do no harm. If it matches them
// by order, IsValid must be false while an answer is outstanding:
//
//	func (c *client) IsValid() bool { return c.outstanding.Load() == 0 && c.Conn.IsValid() }
//
// The rule NothingIsLeftOver of package drivertest tests this.
//
// # Concurrency
//
// One goroutine reads, one writes, and any other may Close. The reading
// goroutine calls Check, between requests. When a bound context ends, another
// goroutine cancels the I/O; unbind waits for it. There are two mutexes:
// reading, which Read and Check hold across I/O; and mu, which guards state and
// deadlines and is never held across I/O. A holder of reading may lock mu; a
// holder of mu must not lock reading.
//
// # Cost
//
// Read and Write add no measurable cost and don't allocate. Check makes one
// system call, and so does ResetSession; Bind registers with the context.
// A request of 64 bytes and its answer over loopback take 13.2 µs on a bare TCP
// connection. A Conn adds 0%, ResetSession and IsValid between requests 5%, and
// Bind another 3% (go test -run '^$' -bench Echo -benchtime 30000x -count 10
// ./conn; Go 1.26.8, Linux, 2 vCPU of an AMD EPYC whose shortest system call
// takes 0.2 µs; medians). The cost is per request, so on a real network the
// share is smaller.
//
// # Limits
//
// Conn has no ReadFrom and no WriteTo, so io.Copy uses Read and Write. The ReadFrom
// of a TCP connection does not say which end of the copy failed, so a full disk
// would cost a connection. If you need splice or sendfile, use [Conn.NetConn], whose
// bytes aren't counted.
package conn
