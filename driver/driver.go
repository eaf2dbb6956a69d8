package driver

import (
	"context"
	"time"
)

// Driver opens connections of one protocol. It is registered by name; see
// [Register].
type Driver interface {
	// Open returns a new connection to the server that dsn names. It blocks, and
	// no context can end it. If the driver is a [DriverContext], the pool calls
	// OpenConnector instead.
	Open(dsn string) (Conn, error)
}

// DriverContext is implemented by a [Driver] that parses a DSN once and then
// connects as often as needed.
type DriverContext interface {
	// OpenConnector checks dsn and returns a Connector for it. It does not
	// dial. Its error names the wrong field, says what is allowed, and shows no
	// secret.
	OpenConnector(dsn string) (Connector, error)
}

// Connector makes connections from one configuration. Any number of goroutines
// may use it at once. It may also be an [Advisor] and a [Tracker].
type Connector interface {
	// Connect returns a new, ready connection: dialed, encrypted and logged in,
	// as the protocol requires. It returns soon after ctx ends, and leaves
	// nothing open when it fails. ctx bounds only Connect, not the life of the
	// connection.
	//
	// If the server has no room for another connection, the error is [Full], and
	// the next Connect asks the server again.
	Connect(ctx context.Context) (Conn, error)
}

// Conn is a connection. One goroutine uses it at a time.
//
// It may also implement [Pinger], [SessionResetter], [Validator], [Binder],
// [Receiver] and [Sender].
type Conn interface {
	// Close ends the connection. The pool may open another in its place as soon as
	// Close returns. So Close returns only when, as far as the driver can know, the
	// peer no longer counts the connection against its limit. Close may be called
	// while another goroutine uses the connection, and unblocks its I/O. A second
	// Close does no harm.
	Close() error
}

// Pinger is implemented by a [Conn] that can ask its peer for a sign of life.
// The pool uses Ping as a keepalive, and to check a connection that was idle for
// a while.
type Pinger interface {
	// Ping makes a round trip to the peer. If the protocol has no request for
	// that, Ping at least checks whether the peer has ended the connection. An
	// error of any class means that the connection is unusable.
	Ping(ctx context.Context) error
}

// SessionResetter is implemented by a [Conn] that keeps state between
// requests: deadlines, a selected mailbox, a transaction.
type SessionResetter interface {
	// ResetSession returns the connection to the state in which Connect left it.
	// The pool calls it before it lends a connection again. If the peer is known
	// to have closed the connection, the error is [IsBad]. After any error the
	// pool discards the connection and tries the next one. After an error that is
	// [IsBad], it also checks the other idle connections before their next use.
	ResetSession(ctx context.Context) error
}

// Validator is implemented by a [Conn] that knows whether it is still usable.
type Validator interface {
	// IsValid reports whether the connection may be pooled. It is false after
	// Close and after failed I/O. The pool calls it when a lease ends and after a
	// successful Ping. It checks only local state and never blocks.
	IsValid() bool
}

// Binder is implemented by a [Conn] whose blocked I/O can be made to obey
// a context.
//
// Make it a [Validator] too. If the end of ctx cuts an exchange in half and the
// caller hides the I/O error or returns a different one, only IsValid keeps the
// connection out of the pool.
type Binder interface {
	// Bind makes the I/O of the connection fail soon after ctx ends, until
	// unbind is called. unbind waits for a cancellation in progress; afterward,
	// the end of ctx has no effect. Binds nest: a Ping that binds its own context
	// may be called under the Bind of Pool.Do, and I/O obeys both.
	Bind(ctx context.Context) (unbind func())
}

// Receiver is implemented by a [Conn] that counts the data it receives. The count
// helps the pool find useless connections, which open but fail at their first use
// before the peer has sent anything. A proxy that accepts every connection and
// then closes it makes such connections.
type Receiver interface {
	// Received returns how much the peer has sent since Connect returned, or
	// since the last ResetSession: in bytes, answers, or any other unit. It is
	// zero when Connect returns and after ResetSession, and grows with each answer
	// of the peer. It checks only local state and never blocks. Any goroutine may
	// call it, even after Close.
	Received() int64
}

// Sender is implemented by a [Conn] that counts the data it sends, and is also
// a [SessionResetter]. Once a holder's function has sent something, the pool
// treats no error of that function as safe to retry, not even [ErrBadConn]: the
// error may come from a second connection, or from a library that does not know
// whether anything was sent.
type Sender interface {
	// Sent returns how much was sent to the peer since Connect returned, or
	// since the last ResetSession: in bytes, requests, or any other unit. It is
	// zero when Connect returns and after ResetSession. It checks only local state
	// and never blocks. Any goroutine may call it, even after Close.
	Sent() int64
}

// Advice holds the defaults that suit the protocol of a [Connector]. Each field
// except Conn and Answer is the default for the pool setting of the same name,
// used if the program and the DSN leave the setting at zero. A zero field gives no
// advice.
type Advice struct {
	// Name identifies the connector in logs, errors and metrics: protocol and
	// address, no secret.
	Name string

	// MaxOpen is how many connections the peer tolerates.
	MaxOpen int

	// MaxConnecting is how many may log in at once.
	MaxConnecting int

	// ConnectTimeout is how long a healthy peer may take to accept a connection.
	ConnectTimeout time.Duration

	// KeepAlive is how often a connection needs a Ping, idle or not.
	KeepAlive time.Duration

	// PingTimeout is how long a healthy peer may take to answer a Ping.
	PingTimeout time.Duration

	// MaxIdleTime is how long an idle connection is worth its cost.
	MaxIdleTime time.Duration

	// MaxLifetime is how old a connection should get.
	MaxLifetime time.Duration

	// Conn is any value of the type of the connections, such as (*Conn)(nil). Only
	// its type matters: opening a pool of another type fails at once, instead of
	// at the first connect. Nil means that the type is not known in advance.
	Conn Conn

	// Answer reports whether err, returned by a request, is an answer of the peer,
	// such as "no such mailbox", that leaves the connection as good as before.
	// Config.BadConn overrides it. After an error that is neither [IsBad] nor
	// [IsGood] nor an answer, the pool pings the connection before its next use.
	// Nil means that no error is an answer.
	Answer func(err error) bool
}

// Advisor is implemented by a [Connector] that gives [Advice].
type Advisor interface {
	// Advice returns the advice, without blocking. A pool calls it when it is
	// opened.
	Advice() Advice
}
