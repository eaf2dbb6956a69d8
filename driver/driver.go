package driver

import (
	"context"
	"time"
)

// Driver opens connections of one protocol. It is registered by name; see
// [Register].
type Driver interface {
	// Open returns a new connection to what dsn names. It blocks, and no
	// context can end it: implement [DriverContext] to do better. The pool
	// does not call Open on a driver that does.
	Open(dsn string) (Conn, error)
}

// DriverContext is implemented by a [Driver] that parses a DSN once, and then
// connects as often as needed.
type DriverContext interface {
	// OpenConnector checks dsn and returns a Connector for it. It does not
	// dial. Its error names the field that is wrong and what is allowed, and
	// shows no secret.
	OpenConnector(dsn string) (Connector, error)
}

// Connector makes connections to one place, configured once. Any number of
// goroutines may use it at a time.
type Connector interface {
	// Connect returns a new, ready connection: dialed, encrypted and logged
	// in, as the protocol wants it. It returns soon after ctx ends, and leaves
	// nothing open when it fails. ctx bounds Connect alone, not the life of
	// the connection.
	//
	// If the server has no room for one more connection, the error is [Full],
	// and the next Connect asks the server again.
	Connect(ctx context.Context) (Conn, error)

	// Driver returns the driver that the Connector belongs to.
	Driver() Driver
}

// Conn is a connection. One goroutine uses it at a time.
//
// What else it can do, it says by implementing [Pinger], [SessionResetter],
// [Validator], [Binder] or [Receiver].
type Conn interface {
	// Close ends the connection. It may come from another goroutine than the
	// one that uses the connection, and then unblocks its I/O. A second Close
	// does no harm.
	Close() error
}

// Pinger is implemented by a [Conn] that can ask its peer for a sign of life.
// It is the pool's keepalive, and its check of a connection that nobody used
// for a while.
type Pinger interface {
	// Ping makes a round trip to the peer. Where the protocol has nothing to
	// say for that, it finds out at least whether the peer has ended the
	// connection. Any error means that the connection is of no more use,
	// whatever its class.
	Ping(ctx context.Context) error
}

// SessionResetter is implemented by a [Conn] that keeps state between
// requests: deadlines, a selected mailbox, a transaction.
type SessionResetter interface {
	// ResetSession puts the connection back into the state in which Connect
	// returned it. It is called before a connection that was in use or idle is
	// handed out. It returns an error that is [IsBad] if the peer is known to
	// have closed the connection. After any error the pool discards the
	// connection and tries the next one. An error that is [IsBad] also makes it
	// check the other idle connections before their next use.
	ResetSession(ctx context.Context) error
}

// Validator is implemented by a [Conn] that knows by itself whether it is
// still of use.
type Validator interface {
	// IsValid reports whether the connection may be pooled. It is false after
	// Close and after I/O that failed. It is called when a lease ends and after
	// a Ping that succeeded, looks at local state alone, and never blocks.
	IsValid() bool
}

// Binder is implemented by a [Conn] whose blocked I/O can be made to obey
// a context.
//
// Make it a [Validator] as well. The end of ctx may cut an exchange in half
// under a caller that hides the I/O error, or returns another in its place:
// then IsValid alone keeps the connection out of the pool.
type Binder interface {
	// Bind makes the I/O of the connection fail soon after ctx ends, until
	// unbind is called. unbind waits for a cancellation that is under way;
	// after it, the end of ctx does nothing. Binds nest: a Ping that binds its
	// own context may be called under the Bind of Pool.Do, and both are obeyed.
	Bind(ctx context.Context) (unbind func())
}

// Receiver is implemented by a [Conn] that counts what its peer sends. It helps
// the pool find useless connections, which come up and are bad at their
// first use without a word from the peer, as behind a proxy that accepts every
// connection and then closes it.
type Receiver interface {
	// Received returns how much came from the peer since Connect returned, or
	// since the last ResetSession: in bytes, in answers, or in any other unit.
	// It is zero when Connect returns and after ResetSession, and more after an
	// answer of the peer. It looks at local state alone, never blocks, and may
	// be called from any goroutine, also after Close.
	Received() int64
}

// Advice is what a [Connector] knows about the needs of its protocol. Each
// field fills the pool setting of the same name where the program and the DSN
// left that at zero. A zero field gives no advice.
type Advice struct {
	// Name tells connectors apart in logs, errors and metrics: protocol and
	// address, no secret.
	Name string

	// MaxOpen is how many connections the peer puts up with.
	MaxOpen int

	// MaxConnecting is how many may log in at once.
	MaxConnecting int

	// ConnectTimeout is how long a healthy peer may take to let one in.
	ConnectTimeout time.Duration

	// KeepAlive is how often an idle connection wants a Ping.
	KeepAlive time.Duration

	// PingTimeout is how long a healthy peer may take to answer a Ping.
	PingTimeout time.Duration

	// MaxIdleTime is how long an idle connection is worth its cost.
	MaxIdleTime time.Duration

	// MaxLifetime is how old a connection should get.
	MaxLifetime time.Duration
}

// Advisor is implemented by a [Connector] that gives [Advice].
type Advisor interface {
	Advice() Advice
}
