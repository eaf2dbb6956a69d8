// Package driver is the contract between a protocol and the pool: the
// interfaces that a driver implements, the registry that finds it by name,
// and the error classes that steer the pool and package retry.
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
// Connect comes first and once. Each lease begins with ResetSession, except one
// that begins when Connect returns, and ends with IsValid. Ping comes between
// leases only, with an IsValid of its own. Close comes last and once. Everything
// besides Connect and Close is optional; the pool looks for it by type assertion.
//
// # Rules for a driver
//
//   - A Connector is used by many goroutines at a time. A Conn is used by one
//     goroutine at a time, which need not be the same one for its whole life.
//     Close alone may come from another goroutine, and then unblocks the I/O
//     that is under way.
//   - Connect, Ping and ResetSession return soon after their ctx ends, with
//     nothing left open or running when they fail.
//   - IsValid, Bind and Received do no I/O and never wait for the peer.
//   - Close is bounded: a farewell to a peer that does not answer may take
//     a second or two, not for ever. It leaves no goroutine and no socket.
//   - [ErrBadConn] is returned only where the peer did nothing of what was
//     asked. After bytes were sent, return the I/O error itself.
//   - No error, log line or String method shows a secret of the DSN.
//
// # Error classes
//
//	class      made by      asked by       the pool                       package retry
//	bad        ErrBadConn   IsBad          discards the connection        repeats
//	permanent  Permanent    IsPermanent    stops dialing on its own       gives up
//	full       Full         IsFull         lets callers wait for a lease  waits as long
//	throttled  Throttled    RetryAfter     makes a pause before dialing   waits as long
//	unsent     SafeToRetry  SafeToRetry    -                              repeats
//
// Full is about capacity and permanent about failure; no error is both.
// Each question is answered through any wrapping, errors.Join included.
package driver
