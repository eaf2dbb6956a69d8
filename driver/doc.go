// Package driver is the contract between a protocol and the pool: the
// interfaces that a driver implements, the registry of drivers by name, and the
// error classes that control the pool and package retry.
//
// It mirrors [database/sql/driver]. A whole driver can be this small:
//
//	type echo struct{}
//
//	func (echo) Open(dsn string) (driver.Conn, error) { return net.Dial("tcp", dsn) }
//
//	func init() { driver.Register("echo", echo{}) }
//
// A driver that parses its DSN, or that wants to obey a context while it
// connects, implements [DriverContext] as well.
//
// # Call order
//
//	Connect ─► use ─► IsValid ─► ResetSession ─► use ─► IsValid ─► … ─► Close
//	           └─ lease 1 ───┘   └─ lease 2 ────────────┘
//	                         └─ idle: Ping ─┘
//
// Connect comes first and once. Each lease begins with ResetSession, unless it
// begins when Connect returns, and ends with IsValid. Ping comes only between
// leases, with an IsValid of its own. Close comes last and once. Everything
// except Connect and Close is optional; the pool finds it by type assertion.
//
// # Rules for a driver
//
//   - Many goroutines use a Connector at a time. One goroutine at a time uses
//     a Conn, not always the same one. Only Close may come from another
//     goroutine; it unblocks I/O in progress.
//   - Connect, Ping and ResetSession return soon after their ctx ends, and leave
//     nothing open or running when they fail.
//   - IsValid, Bind, Received and Sent do no I/O and never wait for the peer.
//   - Close is bounded: saying goodbye to a peer that does not answer may take
//     a second or two, not forever. It leaves no goroutine and no socket.
//   - Data that one holder leaves unread never reaches the next: IsValid is
//     false, or ResetSession removes the data or fails.
//   - Return [ErrBadConn] only if the peer did nothing of the request. After
//     bytes were sent, return the I/O error itself.
//   - No error, log line or String method shows a secret of the DSN.
//   - Text from the peer is quoted and bounded in every error and log line; see
//     [Quote].
//
// # Error classes
//
//	class      made by      tested by      the pool                       package retry
//	bad        ErrBadConn   IsBad          discards the connection        repeats
//	good       BadConn()    IsGood         pools it again                 -
//	unknown    -            neither        pings it before its next use   -
//	permanent  Permanent    IsPermanent    stops dialing on its own       gives up
//	full       Full         IsFull         lets callers wait for a lease  waits as long
//	throttled  Throttled    RetryAfter     pauses before dialing          waits as long
//	unsent     SafeToRetry  SafeToRetry    -                              repeats
//
// Full is about capacity and permanent about failure; no error is both.
// The tests look through any wrapping, errors.Join included.
package driver
