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
// A driver that parses its DSN, or obeys a context while it connects, also
// implements [DriverContext].
//
// # Call order
//
//	Connect ─► use ─► IsValid ─► ResetSession ─► use ─► IsValid ─► … ─► Close
//	           └─ lease 1 ───┘   └─ lease 2 ────────────┘
//	                         └─ idle: Ping ─┘
//
// Connect comes first and once. Each lease begins with ResetSession, except one
// that begins right after Connect, and ends with IsValid. Ping comes only between
// leases, and IsValid follows it. Close comes last and once. Everything except
// Connect and Close is optional; the pool finds it by type assertion.
//
// # Rules for a driver
//
//   - Many goroutines may use a Connector at once. One goroutine at a time uses
//     a Conn, not always the same one. Only Close, Received and Sent may be
//     called from another goroutine; Close unblocks I/O in progress.
//   - Connect, Ping and ResetSession return soon after their ctx ends, and leave
//     nothing open or running when they fail.
//   - IsValid, Bind, Received and Sent do no I/O and never wait for the peer.
//   - Close is bounded: saying goodbye to a peer that does not answer may take
//     a second or two, not forever. It leaves no goroutine and no socket.
//   - Data that one holder leaves unread never reaches the next: IsValid returns
//     false, or ResetSession removes the data or fails.
//   - Return [ErrBadConn] only if the peer can't have acted on the request. Once
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
// Full is about capacity and permanent about failure; no error is both. The
// functions in the third column also find errors that are wrapped or joined.
package driver
