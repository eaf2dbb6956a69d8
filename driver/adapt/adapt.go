package adapt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"time"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/dsn"
)

// Client says how to make and maintain connections of a client library. C is the
// library's own type, such as *redis.Client or *ssh.Client, and the type of the
// pool.
//
// Set Start if the library can work on a given net.Conn, or else Connect; exactly
// one of them is required. Start needs Address or Dial. Everything else may be nil
// or zero. The functions may be called from several goroutines at once, for
// different connections.
type Client[C any] struct {
	// Address is host:port. Connections for Start are dialed to it over TCP
	// unless Dial is set. It is part of the pool's name.
	Address string

	// Dial, if not nil, dials the connections for Start: to a unix socket, with
	// TLS, through a proxy. It returns soon after ctx ends.
	Dial func(ctx context.Context) (net.Conn, error)

	// Start makes a client on nc: it waits for the greeting, logs in, and
	// returns. I/O on nc obeys ctx. If Start fails, nc is closed.
	//
	// nc is a [conn.Conn]; the package doc says what that does for the pool.
	Start func(ctx context.Context, nc net.Conn) (C, error)

	// IgnoreUnread says that bytes waiting on nc between two uses are not an
	// unread answer. Set it if Start or the library runs TLS over nc, or if the
	// server sends messages on its own.
	IgnoreUnread bool

	// Connect returns a new connection that is ready for use. It returns soon
	// after ctx ends, and leaves nothing open if it fails.
	Connect func(ctx context.Context) (C, error)

	// Close closes the connection. Nil means the method Close() error or
	// Close() of C; if C has neither, Close is required.
	Close func(c C) error

	// Goodbye, such as "QUIT\r\n", is sent when a connection made by Start ends,
	// so that the server closes it; see [Farewell]. Use it only if these bytes end
	// the connection no matter which requests were sent before. If it is empty, or
	// a Write has failed, perhaps in the middle of a request, the client closes its
	// half of the connection instead.
	Goodbye string

	// Closed returns a channel that is closed when the server no longer counts
	// the connection. It is for a library whose Close returns earlier. The pool
	// waits for it before it opens another connection in place of c, but no
	// longer than 4 seconds from the start of Close.
	Closed func(c C) <-chan struct{}

	// Settle is how long Close, and a Start that fails, wait after the connection
	// has ended, for a server that counts it a moment longer. For example, vsftpd
	// counts a connection until it learns that its process has exited. Zero means
	// no wait.
	Settle time.Duration

	// Ping makes a round trip to the server. See [driver.Pinger].
	Ping func(ctx context.Context, c C) error

	// Reset returns the connection to the state in which Connect or Start left
	// it. See [driver.SessionResetter].
	Reset func(ctx context.Context, c C) error

	// Valid reports whether the connection may be pooled again. It does no I/O.
	// See [driver.Validator].
	Valid func(c C) bool

	// Bind makes blocked I/O obey ctx until unbind is called, for a library
	// whose methods take no context. See [driver.Binder]. It must be nil with
	// Start, whose connections already are Binders.
	Bind func(ctx context.Context, c C) (unbind func())

	// Class marks an error of Connect, Start, Ping or Reset for the pool, with
	// driver.Permanent, driver.Full or driver.Throttled, or returns it unchanged.
	// It is not called for nil.
	Class func(err error) error

	// Answer reports whether err, returned by a holder's function, is an answer
	// of the server, such as "no such key", that leaves the connection as good as
	// before. It becomes Advice.Answer. Without it, the pool pings after every
	// unknown error.
	Answer func(err error) bool

	// Advice holds defaults for the settings of the pool. If Advice.Name is
	// empty, it becomes the name of the driver and Address.
	Advice driver.Advice

	learn func(how *Client[C], c C) // if not nil, sets the functions in how that c supports
}

// New returns a connector for c. It does not connect. Its error names each wrong
// field.
func New[C any](c Client[C]) (driver.Connector, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Advice.Name == "" {
		c.Advice.Name = poolName(strings.TrimPrefix(reflect.TypeFor[C]().String(), "*"), c.Address)
	}
	if c.Answer != nil {
		c.Advice.Answer = c.Answer
	}
	if c.learn == nil && reflect.TypeFor[C]().Kind() != reflect.Interface { // otherwise only Connect can tell the type
		c.Advice.Conn = c.sample()
	}
	return &connector{c.Advice, c.connect}, nil
}

// Register registers a driver under the name scheme. Its DSNs are URLs. open
// turns one into a Client; its error should name the wrong parameter. URLs with
// syntax errors, such as port 70000, never reach open.
//
// No error of open or of Connect shows the user or the password of the DSN,
// whatever the library does; see [driver.Redact].
func Register[C any](scheme string, open func(u *dsn.URL) (Client[C], error)) {
	driver.RegisterFunc(scheme, func(text string) (driver.Connector, error) {
		u, err := dsn.Parse(text)
		if err != nil {
			return nil, err
		}
		if u.Scheme != strings.ToLower(scheme) {
			return nil, fmt.Errorf("adapt: dsn: scheme %q: want %q", u.Scheme, scheme)
		}
		c, err := open(u)
		if err != nil {
			return nil, driver.Redact(scheme, text, err)
		}
		if c.Advice.Name == "" {
			c.Advice.Name = poolName(scheme, c.Address)
		}
		c.Class = redacting(scheme, text, c.Class)
		return New(c)
	})
}

// sample returns a connection around the zero client, of the type that connect
// returns.
func (c *Client[C]) sample() driver.Conn {
	a := &adapted[C]{how: c, client: func() (zero C) { return zero }}
	if c.Start != nil {
		a.under = new(conn.Conn)
	}
	return a.withInterfaces()
}

// check reports the faults of c.
func (c *Client[C]) check() error {
	var errs []error
	want := func(ok bool, field, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("adapt: %s: want %s", field, want))
		}
	}
	want((c.Start != nil) != (c.Connect != nil), "Connect and Start", "exactly one of the two")
	want(c.Start == nil || c.Address != "" || c.Dial != nil, "Address", "host:port, or set Dial instead")
	want(c.Start != nil || c.Dial == nil && !c.IgnoreUnread && c.Goodbye == "", "Dial, IgnoreUnread and Goodbye", "them only with Start")
	want(c.Start == nil || c.Bind == nil, "Bind", "nil with Start")
	typ := reflect.TypeFor[C]()
	want(c.Close != nil || typ.Implements(closerType) || typ.Implements(plainCloserType), "Close", "a function, because "+typ.String()+" has no method Close() error or Close()")
	return errors.Join(errs...)
}

// poolName returns the name of a pool for logs.
func poolName(protocol, address string) string {
	if address == "" {
		return protocol
	}
	return protocol + " " + address
}

// redacting returns a function that calls class, if not nil, and then driver.Redact.
func redacting(name, dsn string, class func(error) error) func(error) error {
	return func(err error) error {
		if class != nil {
			err = class(err)
		}
		return driver.Redact(name, dsn, err)
	}
}

type plainCloser interface{ Close() }

var (
	closerType      = reflect.TypeFor[driver.Conn]()
	plainCloserType = reflect.TypeFor[plainCloser]()
)

// connector keeps the Client in a closure, where %+v can't print a password.
type connector struct {
	advice  driver.Advice
	connect func(context.Context) (driver.Conn, error)
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) { return c.connect(ctx) }

// Advice implements driver.Advisor.
func (c *connector) Advice() driver.Advice { return c.advice }
