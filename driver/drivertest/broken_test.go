package drivertest_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// broken is a driver with one fault that breaks one rule.
type broken struct {
	rule, fault string
	wrap        func(testing.TB, *plainConnector) driver.Connector
}

// connector is a plainConnector with another Connect.
type connector struct {
	*plainConnector
	connect func(context.Context) (driver.Conn, error)
}

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) { return c.connect(ctx) }

// wrapped returns p with wrap applied to each connection.
func wrapped(p *plainConnector, wrap func(*plainConn) driver.Conn) driver.Connector {
	return &connector{p, func(ctx context.Context) (driver.Conn, error) {
		c, err := p.login(ctx, ctx)
		if err != nil {
			return nil, err
		}
		return wrap(c), nil
	}}
}

// breaks adapts wrapped to the table of brokenDrivers.
func breaks(wrap func(testing.TB, *plainConn) driver.Conn) func(testing.TB, *plainConnector) driver.Connector {
	return func(t testing.TB, p *plainConnector) driver.Connector {
		return wrapped(p, func(c *plainConn) driver.Conn { return wrap(t, c) })
	}
}

// patched is a plainConn. Each function that is not nil replaces a method.
type patched struct {
	*plainConn
	patchedAsk      func(request, want string) error
	patchedClose    func() error
	patchedPing     func(context.Context) error
	patchedReset    func(context.Context) error
	patchedValid    func() bool
	patchedBind     func(context.Context) func()
	patchedReceived func() int64
	patchedSent     func() int64
	patchedString   string
}

func (p *patched) ask(request, want string) error {
	if p.patchedAsk != nil {
		return p.patchedAsk(request, want)
	}
	return p.plainConn.ask(request, want)
}

func (p *patched) Close() error {
	if p.patchedClose != nil {
		return p.patchedClose()
	}
	return p.plainConn.Close()
}

func (p *patched) Ping(ctx context.Context) error {
	if p.patchedPing != nil {
		return p.patchedPing(ctx)
	}
	return p.plainConn.Ping(ctx)
}

func (p *patched) ResetSession(ctx context.Context) error {
	if p.patchedReset != nil {
		return p.patchedReset(ctx)
	}
	return p.plainConn.ResetSession(ctx)
}

func (p *patched) IsValid() bool {
	if p.patchedValid != nil {
		return p.patchedValid()
	}
	return p.plainConn.IsValid()
}

func (p *patched) Bind(ctx context.Context) func() {
	if p.patchedBind != nil {
		return p.patchedBind(ctx)
	}
	return p.plainConn.Bind(ctx)
}

func (p *patched) Received() int64 {
	if p.patchedReceived != nil {
		return p.patchedReceived()
	}
	return p.plainConn.Received()
}

func (p *patched) Sent() int64 {
	if p.patchedSent != nil {
		return p.patchedSent()
	}
	return p.plainConn.Sent()
}

func (p *patched) String() string { return p.patchedString }

var past = time.Unix(1, 0)

// until returns a channel that is closed when t ends.
func until(t testing.TB) <-chan struct{} {
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	return end
}

var brokenDrivers = []broken{
	{"ConnectReturnsAReadyConnection", "does not log in", func(_ testing.TB, p *plainConnector) driver.Connector {
		return &connector{p, func(ctx context.Context) (driver.Conn, error) {
			inner, err := p.dial(ctx)
			if err != nil {
				return nil, err
			}
			return newPlainConn(inner), nil
		}}
	}},
	{"ConnectEndsWithItsContext", "logs in without it", func(_ testing.TB, p *plainConnector) driver.Connector {
		return &connector{p, func(ctx context.Context) (driver.Conn, error) {
			c, err := p.login(ctx, context.Background())
			if err != nil {
				return nil, err
			}
			return c, nil
		}}
	}},
	{"ConnectEndsWithItsContext", "ignores that it has ended", func(_ testing.TB, p *plainConnector) driver.Connector {
		return &connector{p, func(ctx context.Context) (driver.Conn, error) {
			if ctx.Err() != nil {
				ctx = context.Background()
			}
			return p.Connect(ctx)
		}}
	}},
	{"FailedConnectLeavesNothing", "socket", func(t testing.TB, p *plainConnector) driver.Connector {
		return &connector{p, func(ctx context.Context) (driver.Conn, error) {
			inner, err := p.dial(ctx)
			if err != nil {
				return nil, err
			}
			c := newPlainConn(inner)
			if err := c.login(ctx); err != nil {
				return nil, err
			}
			return c, nil
		}}
	}},
	{"FailedConnectLeavesNothing", "socket of a full server", func(t testing.TB, p *plainConnector) driver.Connector {
		return &connector{p, func(ctx context.Context) (driver.Conn, error) {
			inner, err := p.dial(ctx)
			if err != nil {
				return nil, err
			}
			c := newPlainConn(inner)
			if err := c.login(ctx); err != nil {
				if !driver.IsFull(err) {
					c.Close()
				}
				return nil, err
			}
			return c, nil
		}}
	}},
	{"FullServerIsFull", "calls it permanent", func(_ testing.TB, p *plainConnector) driver.Connector {
		return onError(p, driver.Permanent)
	}},
	{"FullServerIsFull", "takes it for an outage", func(_ testing.TB, p *plainConnector) driver.Connector {
		return onError(p, func(err error) error { return fmt.Errorf("no login: %v", err) })
	}},
	{"FullServerIsFull", "takes it for throttling", func(_ testing.TB, p *plainConnector) driver.Connector {
		return onError(p, func(err error) error { return driver.Throttled(errors.New(err.Error()), time.Second) })
	}},
	{"FullServerIsFull", "takes it for success", func(_ testing.TB, p *plainConnector) driver.Connector {
		return &connector{p, func(ctx context.Context) (driver.Conn, error) {
			inner, err := p.dial(ctx)
			if err != nil {
				return nil, err
			}
			c := newPlainConn(inner)
			if err := c.login(ctx); err != nil && !driver.IsFull(err) {
				c.Close()
				return nil, err
			}
			return c, nil
		}}
	}},
	{"FullServerIsFull", "never asks again", func(_ testing.TB, p *plainConnector) driver.Connector {
		var full atomic.Pointer[error]
		return &connector{p, func(ctx context.Context) (driver.Conn, error) {
			if before := full.Load(); before != nil {
				return nil, *before
			}
			c, err := p.Connect(ctx)
			if driver.IsFull(err) {
				full.Store(&err)
			}
			return c, err
		}}
	}},
	{"FailedConnectLeavesNothing", "goroutine", func(t testing.TB, p *plainConnector) driver.Connector {
		end := until(t)
		return &connector{p, func(ctx context.Context) (driver.Conn, error) {
			c, err := p.Connect(ctx)
			if err != nil {
				go func() { <-end }()
			}
			return c, err
		}}
	}},
	{"FailedConnectLeavesNothing", "typed nil", func(_ testing.TB, p *plainConnector) driver.Connector {
		return &connector{p, func(ctx context.Context) (driver.Conn, error) {
			c, err := p.login(ctx, ctx)
			return typedNil{c}, err
		}}
	}},
	{"ContextOfConnectEndsWithConnect", "closes with it", func(_ testing.TB, p *plainConnector) driver.Connector {
		return &connector{p, func(ctx context.Context) (driver.Conn, error) {
			c, err := p.Connect(ctx)
			if err == nil {
				context.AfterFunc(ctx, func() { c.Close() })
			}
			return c, err
		}}
	}},
	{"ConnectorIsConcurrent", "one at a time", func(_ testing.TB, p *plainConnector) driver.Connector {
		var connecting atomic.Int32
		return &connector{p, func(ctx context.Context) (driver.Conn, error) {
			defer connecting.Add(-1)
			if connecting.Add(1) > 1 {
				return nil, errors.New("busy")
			}
			<-time.After(time.Microsecond) // fake time: all others have tried by then
			return p.Connect(ctx)
		}}
	}},
	{"ConnectorIsConcurrent", "shares a connection", func(_ testing.TB, p *plainConnector) driver.Connector {
		var connecting atomic.Int32
		var shared atomic.Value
		return &connector{p, func(ctx context.Context) (driver.Conn, error) {
			defer connecting.Add(-1)
			if connecting.Add(1) > 1 {
				<-time.After(time.Second)
				return shared.Load().(driver.Conn), nil
			}
			<-time.After(time.Microsecond)
			c, err := p.Connect(ctx)
			if err == nil {
				shared.Store(c)
			}
			return c, err
		}}
	}},
	{"SecondCloseIsHarmless", "panics", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		closed := make(chan struct{})
		return &patched{plainConn: c, patchedClose: func() error {
			close(closed)
			return c.Close()
		}}
	})},
	{"CloseUnblocksIO", "waits for the user", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		var mu sync.Mutex
		return &patched{plainConn: c,
			patchedAsk: func(request, want string) error {
				mu.Lock()
				defer mu.Unlock()
				return c.ask(request, want)
			},
			patchedClose: func() error {
				for !mu.TryLock() {
					<-time.After(time.Second) // a blocked Lock would stop fake time
				}
				defer mu.Unlock()
				return c.Close()
			},
		}
	})},
	{"CloseIsBounded", "waits for a farewell", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		var asking atomic.Bool
		return &patched{plainConn: c,
			patchedAsk: func(request, want string) error {
				asking.Store(true)
				defer asking.Store(false)
				return c.ask(request, want)
			},
			patchedClose: func() error {
				if !asking.Load() && c.IsValid() {
					c.ask("QUIT", "BYE")
				}
				return c.Close()
			},
		}
	})},
	{"CloseLeavesNothing", "goroutine", breaks(func(t testing.TB, c *plainConn) driver.Conn {
		end := until(t)
		return &patched{plainConn: c, patchedClose: func() error {
			go func() { <-end }()
			return c.Close()
		}}
	})},
	{"CloseReachesThePeer", "leaves the socket", breaks(func(t testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedClose: func() error {
			c.closed.Store(true)
			return c.SetDeadline(past)
		}}
	})},
	{"CloseReachesThePeer", "closes later", breaks(func(t testing.TB, c *plainConn) driver.Conn {
		end := until(t)
		return &patched{plainConn: c, patchedClose: func() error {
			if !c.closed.Swap(true) {
				c.SetDeadline(past)
				go closeLater(c, end)
			}
			return nil
		}}
	})},
	{"CloseReachesThePeer", "closes later after a Ping without an answer", breaks(func(t testing.TB, c *plainConn) driver.Conn {
		end := until(t)
		var closing atomic.Bool
		return &patched{plainConn: c,
			patchedPing: func(ctx context.Context) error {
				err := c.Ping(ctx)
				if ctx.Err() != nil && !closing.Swap(true) {
					go closeLater(c, end)
				}
				return err
			},
			patchedClose: func() error {
				if closing.Load() {
					return nil
				}
				return c.Close()
			},
		}
	})},
	{"PingMakesARoundTrip", "always succeeds", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedPing: func(context.Context) error { return nil }}
	})},
	{"PingMakesARoundTrip", "only writes", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedPing: func(context.Context) error {
			_, err := c.Write([]byte("\n"))
			return err
		}}
	})},
	{"PingEndsWithItsContext", "ignores it", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedPing: func(context.Context) error { return c.ask("PING", "PONG") }}
	})},
	{"PingEndsWithItsContext", "leaves a reader", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedPing: func(ctx context.Context) error {
			answer := make(chan error, 1)
			go func() { answer <- c.ask("PING", "PONG") }()
			select {
			case err := <-answer:
				return err
			case <-ctx.Done():
				c.broken.Store(true)
				return ctx.Err()
			}
		}}
	})},
	{"LocalCallsNeverWait", "IsValid asks the peer", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedValid: func() bool {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			return c.IsValid() && c.Ping(ctx) == nil
		}}
	})},
	{"LocalCallsNeverWait", "Bind asks the peer", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedBind: func(ctx context.Context) func() {
			c.ask("PING", "PONG")
			return c.Bind(ctx)
		}}
	})},
	{"ClosedIsInvalid", "forgets Close", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedValid: func() bool { return !c.broken.Load() }}
	})},
	{"FailedIsInvalid", "knows only Close", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedValid: func() bool { return !c.closed.Load() }}
	})},
	{"FailedIsInvalid", "forgets a Ping that timed out", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedPing: func(ctx context.Context) error {
			err := c.Ping(ctx)
			c.broken.Store(false)
			return err
		}}
	})},
	{"ResetSessionCleansUp", "keeps the deadline", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &deadlined{plainConn: c}
	})},
	{"ResetSessionCleansUp", "keeps the state", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedReset: func(ctx context.Context) error {
			c.SetDeadline(time.Time{})
			defer func() { c.sent.Store(0); c.received.Store(0) }()
			return c.Ping(ctx)
		}}
	})},
	{"ResetSessionCleansUp", "wants a used connection", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return unused(c, func() error { return errors.New("nothing to reset") })
	})},
	{"ResetSessionCleansUp", "spoils an unused connection", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return unused(c, func() error { return c.SetDeadline(past) })
	})},
	{"ResetSessionFindsADeadPeer", "swallows the error", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedReset: func(ctx context.Context) error {
			c.ResetSession(ctx)
			return nil
		}}
	})},
	{"ResetSessionFindsADeadPeer", "hides the class", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedReset: func(ctx context.Context) error {
			if c.ResetSession(ctx) != nil {
				return errors.New("reset failed")
			}
			return nil
		}}
	})},
	{"ResetSessionEndsWithItsContext", "ignores it", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedReset: func(context.Context) error {
			return c.ResetSession(context.Background())
		}}
	})},
	{"NothingIsLeftOver", "ignores its buffer", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c,
			patchedValid: c.alive,
			patchedReset: func(ctx context.Context) error {
				fresh := newPlainConn(c.Conn) // with another buffer
				defer func() { c.sent.Store(0); c.received.Store(0) }()
				return fresh.ResetSession(ctx)
			},
		}
	})},
	{"NothingIsLeftOver", "can't tell", breaks(func(_ testing.TB, c *plainConn) driver.Conn { return onlyAsks{c} })},
	{"BindEndsBlockedIO", "does nothing", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedBind: func(context.Context) func() { return func() {} }}
	})},
	{"UnbindEndsTheBinding", "forgets to stop", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedBind: func(ctx context.Context) func() {
			c.Bind(ctx)
			return func() {}
		}}
	})},
	{"UnbindEndsTheBinding", "does not wait", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedBind: func(ctx context.Context) func() {
			stop := context.AfterFunc(ctx, func() {
				<-time.After(time.Millisecond) // fake time: all others are blocked by then
				c.SetDeadline(past)
			})
			return func() { stop() }
		}}
	})},
	{"BindsNest", "obeys only the last", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		unbind := func() {}
		return &patched{plainConn: c, patchedBind: func(ctx context.Context) func() {
			unbind()
			unbind = sync.OnceFunc(c.Bind(ctx))
			return unbind
		}}
	})},
	{"BindsNest", "obeys only the first", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		bound := false
		return &patched{plainConn: c, patchedBind: func(ctx context.Context) func() {
			if bound {
				return func() {}
			}
			bound = true
			unbind := c.Bind(ctx)
			return func() {
				bound = false
				unbind()
			}
		}}
	})},
	{"BindsNest", "ends all of them with one", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		var unbinds []func()
		return &patched{plainConn: c, patchedBind: func(ctx context.Context) func() {
			unbinds = append(unbinds, sync.OnceFunc(c.Bind(ctx)))
			return func() {
				for _, unbind := range unbinds {
					unbind()
				}
			}
		}}
	})},
	{"LocalCallsNeverWait", "Received asks the peer", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedReceived: func() int64 {
			before := c.Received()
			if c.IsValid() {
				c.ask("PING", "PONG")
			}
			return before
		}}
	})},
	{"ReceivedCountsAnswers", "counts the login", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		c.received.Store(3)
		return c
	})},
	{"ReceivedCountsAnswers", "counts the last lease", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedReset: func(ctx context.Context) error {
			before := c.Received()
			err := c.ResetSession(ctx)
			c.received.Store(before)
			return err
		}}
	})},
	{"ReceivedCountsAnswers", "counts nothing", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedReceived: func() int64 { return 0 }}
	})},
	{"ReceivedCountsAnswers", "panics after Close", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedReceived: func() int64 {
			if c.closed.Load() {
				panic("closed")
			}
			return c.Received()
		}}
	})},
	{"SentCountsRequests", "counts the login", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		c.sent.Store(1)
		return c
	})},
	{"SentCountsRequests", "counts nothing", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedSent: func() int64 { return 0 }}
	})},
	{"ErrBadConnMeansNothingWasDone", "calls all bad", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedAsk: func(request, want string) error {
			if err := c.ask(request, want); err != nil {
				return fmt.Errorf("%w: %w", driver.ErrBadConn, err)
			}
			return nil
		}}
	})},
	{"ErrBadConnMeansNothingWasDone", "calls a canceled one bad", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedAsk: func(request, want string) error {
			err := c.ask(request, want)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return driver.ErrBadConn
			}
			return err
		}}
	})},
	{"ConnectReturnsAReadyConnection", "returns one twice", func(_ testing.TB, p *plainConnector) driver.Connector {
		var first atomic.Value
		return &connector{p, func(ctx context.Context) (driver.Conn, error) {
			if c := first.Load(); c != nil && c.(*plainConn).IsValid() {
				return c.(driver.Conn), nil
			}
			c, err := p.Connect(ctx)
			if err == nil {
				first.CompareAndSwap(nil, c)
			}
			return c, err
		}}
	}},
	{"WordsOfThePeerAreQuoted", "raw in Connect's error", func(_ testing.TB, p *plainConnector) driver.Connector {
		return &connector{p, func(ctx context.Context) (driver.Conn, error) {
			c, err := p.Connect(ctx)
			return c, raw(err)
		}}
	}},
	{"WordsOfThePeerAreQuoted", "raw in the error of a request", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedAsk: func(request, want string) error { return raw(c.ask(request, want)) }}
	})},
	{"WordsOfThePeerAreQuoted", "raw in the error of a Ping", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedPing: func(ctx context.Context) error { return raw(c.Ping(ctx)) }}
	})},
	{"WordsOfThePeerAreQuoted", "raw in the error of a ResetSession", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedReset: func(ctx context.Context) error { return raw(c.ResetSession(ctx)) }}
	})},
	{"WordsOfThePeerAreQuoted", "all of them", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedAsk: func(request, want string) error {
			err := c.ask(request, want)
			var answer answerError
			if errors.As(err, &answer) {
				return fmt.Errorf("%w: %q", err, string(answer))
			}
			return err
		}}
	})},
	{"SecretsStaySecret", "in Connect's error", func(_ testing.TB, p *plainConnector) driver.Connector {
		return &connector{p, func(ctx context.Context) (driver.Conn, error) {
			c, err := p.Connect(ctx)
			if err != nil {
				err = fmt.Errorf("depot://user:p4ss%%20w0rd@host: %w", err)
			}
			return c, err
		}}
	}},
	{"SecretsStaySecret", "in the connector", func(_ testing.TB, p *plainConnector) driver.Connector {
		return &struct {
			*connector
			Password string
		}{&connector{p, p.Connect}, password}
	}},
	{"SecretsStaySecret", "in the connector under %#v", func(_ testing.TB, p *plainConnector) driver.Connector {
		return &named{p, password}
	}},
	{"SecretsStaySecret", "in the error about a DSN", func(_ testing.TB, p *plainConnector) driver.Connector {
		return ofDSN{p, checkURL}
	}},
	{"SecretsStaySecret", "takes any DSN", func(_ testing.TB, p *plainConnector) driver.Connector {
		return ofDSN{p, func(string) error { return nil }}
	}},
	{"SecretsStaySecret", "in the advice", func(_ testing.TB, p *plainConnector) driver.Connector {
		return advisor{p}
	}},
	{"SecretsStaySecret", "in String", breaks(func(_ testing.TB, c *plainConn) driver.Conn {
		return &patched{plainConn: c, patchedString: "depot with " + password}
	})},
}

// raw shows an unexpected answer unquoted.
func raw(err error) error {
	var answer answerError
	if errors.As(err, &answer) {
		return fmt.Errorf("%w: %s", err, string(answer))
	}
	return err
}

// onError is p with change applied to the errors of a full server.
func onError(p *plainConnector, change func(error) error) driver.Connector {
	return &connector{p, func(ctx context.Context) (driver.Conn, error) {
		c, err := p.Connect(ctx)
		if driver.IsFull(err) {
			err = change(err)
		}
		return c, err
	}}
}

// typedNil is a connection that is not nil, even if its pointer is.
type typedNil struct{ *plainConn }

// closeLater closes c when an unanswered cancel request has timed out, or at the
// end of the test.
func closeLater(c *plainConn, end <-chan struct{}) {
	select {
	case <-time.After(time.Second):
	case <-end:
	}
	c.Close()
}

// onlyAsks is a connection without the optional interfaces.
type onlyAsks struct{ conn *plainConn }

func (o onlyAsks) ask(request, want string) error { return o.conn.ask(request, want) }
func (o onlyAsks) Close() error                   { return o.conn.Close() }

// deadlined gets its old deadline back when it is reset.
type deadlined struct {
	*plainConn
	deadline time.Time
}

func (d *deadlined) SetDeadline(t time.Time) error {
	d.deadline = t
	return d.plainConn.SetDeadline(t)
}

func (d *deadlined) ResetSession(ctx context.Context) error {
	err := d.plainConn.ResetSession(ctx)
	d.plainConn.SetDeadline(d.deadline)
	return err
}

type advisor struct{ *plainConnector }

func (advisor) Advice() driver.Advice { return driver.Advice{Name: "depot " + password} }

// named has a String method, which %#v does not call.
type named struct {
	*plainConnector
	password string
}

func (*named) String() string { return "depot" }

// unused returns a connection whose ResetSession is reset until its first use.
func unused(c *plainConn, reset func() error) driver.Conn {
	used := false
	return &patched{plainConn: c,
		patchedAsk: func(request, want string) error {
			used = true
			return c.ask(request, want)
		},
		patchedReset: func(ctx context.Context) error {
			if used {
				return c.ResetSession(ctx)
			}
			return reset()
		},
	}
}

// ofDSN is a connector of a driver that checks its DSN with check.
type ofDSN struct {
	*plainConnector
	check func(dsn string) error
}

func checkURL(dsn string) error {
	_, err := url.Parse(dsn)
	return err
}
