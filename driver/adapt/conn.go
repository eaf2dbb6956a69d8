package adapt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/driver"
)

// closedWait limits how long Close waits for Closed. The pool waits a little longer
// for Close.
const closedWait = 4 * time.Second

// adapted is a connection of a client library.
type adapted[C any] struct {
	how    *Client[C]
	client func() C   // not a field, which fmt would print
	under  *conn.Conn // the connection passed to Start; nil with Connect
	closed atomic.Bool
}

// connect makes a connection.
func (c *Client[C]) connect(ctx context.Context) (driver.Conn, error) {
	if err := ctx.Err(); err != nil { // the library may not check it
		return nil, err
	}
	a := &adapted[C]{how: c}
	var client C
	var err error
	if c.Start != nil {
		client, err = a.start(ctx)
	} else {
		client, err = c.Connect(ctx)
	}
	if err != nil {
		return nil, c.class(err)
	}
	if isNil(client) {
		return nil, nil // the pool returns an error for that
	}
	a.client = func() C { return client }
	if c.learn != nil {
		how := *c
		c.learn(&how, client)
		a.how = &how
	}
	return a.withInterfaces(), nil
}

// class marks err for the pool. It also quotes err, because the library may repeat
// text from the server unescaped.
func (c *Client[C]) class(err error) error {
	if err != nil && c.Class != nil {
		err = c.Class(err)
	}
	return driver.QuoteError(err)
}

// start dials and makes the client.
func (a *adapted[C]) start(ctx context.Context) (client C, err error) {
	dial := a.how.Dial
	if dial == nil {
		dial = func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", driver.DialAddress(ctx, a.how.Address))
		}
	}
	nc, err := dial(ctx)
	if err != nil {
		return client, err
	}
	a.under = conn.New(linger(nc, a.how.Goodbye))
	started := false
	defer func() {
		if !started { // also if Start panics
			a.hangUp()
		}
	}()
	defer a.under.Bind(ctx)()
	client, err = a.how.Start(ctx, a.under)
	if err == nil && isNil(client) {
		err = errors.New("adapt: Start returned neither a client nor an error")
	}
	if err == nil {
		err = a.check(ctx) // also sets the counts to zero
	}
	started = err == nil
	return client, err
}

// isNil reports whether client is a nil interface or a nil pointer.
func isNil(client any) bool {
	v := reflect.ValueOf(client)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// check fails if the server has closed the connection or sent bytes that nobody
// has read.
func (a *adapted[C]) check(ctx context.Context) error {
	err := a.under.ResetSession(ctx)
	if a.how.IgnoreUnread && errors.Is(err, conn.ErrUnread) {
		return a.under.Err()
	}
	return err
}

// Client implements driver.Adapter.
func (a *adapted[C]) Client() any { return a.client() }

// Close implements driver.Conn.
func (a *adapted[C]) Close() error {
	if a.closed.Swap(true) {
		return nil
	}
	var gone <-chan struct{}
	if a.how.Closed != nil {
		gone = a.how.Closed(a.client())
	}
	enough := time.After(closedWait)
	err := a.end()
	if a.under == nil { // otherwise hangUp has waited
		time.Sleep(a.how.Settle)
	}
	if gone != nil {
		select {
		case <-gone:
		case <-enough:
		}
	}
	return err
}

// end closes the client and, if Start made it, the connection below it.
func (a *adapted[C]) end() error {
	if a.under == nil {
		return a.close()
	}
	defer a.hangUp()
	giveUp := time.AfterFunc(farewell, func() { a.under.Close() })
	defer giveUp.Stop()
	return a.close()
}

// hangUp closes the connection passed to Start, and waits for the server to close
// it too and to settle.
func (a *adapted[C]) hangUp() {
	a.under.Close()
	a.under.NetConn().(interface{ end() }).end() // lingering.end
	time.Sleep(a.how.Settle)
}

// close closes the client.
func (a *adapted[C]) close() error {
	if a.how.Close != nil {
		return a.how.Close(a.client())
	}
	switch c := any(a.client()).(type) {
	case io.Closer:
		return c.Close()
	case plainCloser:
		c.Close()
	}
	return nil
}

// bind makes I/O obey ctx if the client supports that.
func (a *adapted[C]) bind(ctx context.Context) (unbind func()) {
	switch {
	case a.how.Bind != nil:
		return a.how.Bind(ctx, a.client())
	case a.under != nil:
		return a.under.Bind(ctx)
	}
	return func() {}
}

func (a *adapted[C]) ping(ctx context.Context) error {
	defer a.bind(ctx)()
	return a.how.class(a.reveal(a.how.Ping(ctx, a.client())))
}

func (a *adapted[C]) reset(ctx context.Context) error {
	if a.under != nil {
		if err := a.check(ctx); err != nil {
			return err
		}
	}
	if a.how.Reset == nil {
		return nil
	}
	defer a.bind(ctx)()
	err := a.how.class(a.reveal(a.how.Reset(ctx, a.client())))
	if err == nil && a.under != nil {
		err = a.check(ctx) // also sets the counts to zero, so that they leave out Reset
	}
	return err
}

// reveal adds to err the error that ended the connection, which the library may
// have hidden.
func (a *adapted[C]) reveal(err error) error {
	if err == nil || a.under == nil || a.under.Err() == nil || driver.IsBad(err) {
		return err
	}
	return fmt.Errorf("%w (%w)", err, a.under.Err())
}

func (a *adapted[C]) valid() bool {
	return !a.closed.Load() && (a.under == nil || a.under.IsValid()) && (a.how.Valid == nil || a.how.Valid(a.client()))
}

// Format prints only the type of the client, for every verb, because its fields may
// hold a password.
func (a *adapted[C]) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "adapt.Conn(%T)", a.client()) }
