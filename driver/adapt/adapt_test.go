package adapt_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/adapt"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/driver/dsn"
	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/internal/registry"
	"github.com/hotline-go/hotline/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines is a client library with a buffer, which hides the errors of its I/O.
type lines struct {
	nc net.Conn
	r  *bufio.Reader
}

func newLines(nc net.Conn) *lines { return &lines{nc, bufio.NewReader(nc)} }

func (l *lines) ask(request, want string) error {
	if _, err := fmt.Fprintln(l.nc, request); err != nil {
		return fmt.Errorf("lines: %v", err)
	}
	answer, err := l.r.ReadString('\n')
	if err != nil {
		return fmt.Errorf("lines: %v", err)
	}
	if answer = strings.TrimSpace(answer); answer != want {
		return refusal(answer)
	}
	return nil
}

func (l *lines) Close() error { return l.nc.Close() }

// refusal is an answer of the server other than the one wanted.
type refusal string

func (r refusal) Error() string { return "lines: " + string(r) }

func ping(_ context.Context, l *lines) error { return l.ask("PING", "PONG") }

// nothingRead reports whether the buffer of l is empty.
func nothingRead(l *lines) bool { return l.r.Buffered() == 0 }

func start(_ context.Context, nc net.Conn) (*lines, error) {
	l := newLines(nc)
	return l, l.ask("LOGIN ada p4ssword", "OK")
}

// client returns the lines that c wraps.
func client(t testing.TB, c driver.Conn) *lines {
	l, ok := driver.As[*lines](c)
	require.True(t, ok)
	return l
}

func TestAdaptedClientsKeepTheContract(t *testing.T) {
	for name, how := range map[string]func(addr string) adapt.Client[*lines]{
		"Start": func(addr string) adapt.Client[*lines] {
			return adapt.Client[*lines]{Address: addr, Start: start, Valid: nothingRead}
		},
		"Start and Ping": func(addr string) adapt.Client[*lines] {
			return adapt.Client[*lines]{Address: addr, Start: start, Ping: ping, Valid: nothingRead}
		},
		"Start and Reset": func(addr string) adapt.Client[*lines] {
			return adapt.Client[*lines]{Address: addr, Start: start, Ping: ping, Reset: ping}
		},
	} {
		t.Run(name, func(t *testing.T) {
			drivertest.Run(t, func(t testing.TB) drivertest.Subject {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				connector, err := adapt.New(how(ln.Addr().String()))
				require.NoError(t, err)
				server := &testserver.Ping{User: "ada", Password: "p4ssword"}
				return drivertest.Subject{
					Connector: connector,
					Server:    drivertest.Serve(t, ln, server.Serve),
					Exchange:  func(c driver.Conn) error { return client(t, c).ask("ECHO x", "x") },
					Leftover:  func(c driver.Conn) error { return client(t, c).ask("ECHO a\nECHO b", "a") },
					Secrets:   []string{"p4ssword"},
				}
			})
		})
	}
}

// thing is a client that does nothing.
type thing struct{ closes int }

func (c *thing) Close() { c.closes++ }

func connectThing(context.Context) (*thing, error) { return &thing{}, nil }

// connect returns a connection of how.
func connect[C any](t *testing.T, how adapt.Client[C]) driver.Conn {
	connector, err := adapt.New(how)
	require.NoError(t, err)
	c, err := connector.Connect(t.Context())
	require.NoError(t, err)
	return c
}

func TestStartGetsAConnectionToTheAddressInTheContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	name := "nowhere.invalid:" + port
	var reached string
	connector, err := adapt.New(adapt.Client[*lines]{Address: name, Start: func(_ context.Context, nc net.Conn) (*lines, error) {
		reached = nc.RemoteAddr().String()
		return newLines(nc), nil
	}})
	require.NoError(t, err)
	c, err := connector.Connect(driver.WithAddress(t.Context(), name, netip.MustParseAddr("127.0.0.1")))
	require.NoError(t, err)
	defer c.Close()
	assert.Equal(t, l.Addr().String(), reached)
}

func TestAConnectionHasExactlyTheMethodsThatItsClientSupports(t *testing.T) {
	for set := range 16 {
		can := func(bit int) bool { return set>>bit&1 == 1 }
		how := adapt.Client[*thing]{Connect: connectThing}
		if can(0) {
			how.Ping = func(context.Context, *thing) error { return nil }
		}
		if can(1) {
			how.Reset = func(context.Context, *thing) error { return nil }
		}
		if can(2) {
			how.Valid = func(*thing) bool { return true }
		}
		if can(3) {
			how.Bind = func(context.Context, *thing) func() { return func() {} }
		}
		c := connect(t, how)
		p, pings := c.(driver.Pinger)
		assert.Equal(t, can(0), pings && p.Ping(t.Context()) == nil)
		r, resets := c.(driver.SessionResetter)
		assert.Equal(t, can(1), resets && r.ResetSession(t.Context()) == nil)
		v, validates := c.(driver.Validator)
		assert.Equal(t, can(2), validates && v.IsValid())
		b, binds := c.(driver.Binder)
		assert.Equal(t, can(3), binds && b.Bind(t.Context()) != nil)
		_, receives := c.(driver.Receiver)
		assert.False(t, receives)
		client, ok := driver.As[*thing](c)
		assert.True(t, ok)
		require.NoError(t, c.Close())
		require.NoError(t, c.Close())
		assert.Equal(t, 1, client.closes, "the client is closed once")
		assert.False(t, validates && v.IsValid(), "a closed connection is not valid")
	}
}

func TestFaultsOfAClientNameTheField(t *testing.T) {
	noStart := func(context.Context, net.Conn) (*thing, error) { return nil, nil }
	for _, tc := range []struct {
		name, want string
		how        adapt.Client[*thing]
	}{
		{"nothing", "adapt: Connect and Start: want exactly one of the two", adapt.Client[*thing]{}},
		{"both", "adapt: Connect and Start: want exactly one of the two", adapt.Client[*thing]{Connect: connectThing, Start: noStart, Address: "h:1"}},
		{"no address", "adapt: Address: want host:port, or set Dial instead", adapt.Client[*thing]{Start: noStart}},
		{"of Start", "adapt: Dial, IgnoreUnread and Goodbye: want them only with Start", adapt.Client[*thing]{Connect: connectThing, IgnoreUnread: true}},
		{"Bind", "adapt: Bind: want nil with Start", adapt.Client[*thing]{Start: noStart, Address: "h:1", Bind: func(context.Context, *thing) func() { return nil }}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := adapt.New(tc.how)
			assert.EqualError(t, err, tc.want)
		})
	}
	_, err := adapt.New(adapt.Client[string]{Connect: func(context.Context) (string, error) { return "", nil }})
	assert.EqualError(t, err, "adapt: Close: want a function, because string has no method Close() error or Close()")
}

func TestCloseWaitsUntilTheServerNoLongerCountsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct{ gone, want time.Duration }{{0, 0}, {time.Second, time.Second}, {time.Hour, 4 * time.Second}} {
			c := connect(t, adapt.Client[*thing]{Connect: connectThing, Closed: func(*thing) <-chan struct{} {
				gone := make(chan struct{})
				time.AfterFunc(tc.gone, func() { close(gone) })
				return gone
			}})
			began := time.Now()
			require.NoError(t, c.Close())
			assert.Equal(t, tc.want, time.Since(began))
		}
	})
}

// onMemnet returns how with the address of an in-memory server, which runs serve.
func onMemnet(t *testing.T, serve func(net.Conn), how adapt.Client[*lines]) adapt.Client[*lines] {
	nw := new(memnet.Network)
	ln, err := nw.Listen("server:1")
	require.NoError(t, err)
	server := drivertest.Serve(t, ln, drivertest.Each(serve))
	t.Cleanup(server.Hangup)
	how.Address = "server:1"
	how.Dial = func(ctx context.Context) (net.Conn, error) { return nw.DialContext(ctx, "tcp", "server:1") }
	return how
}

func TestPingAndResetRevealAnErrorThatTheLibraryHides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangsUp := func(nc net.Conn) { _, _ = nc.Read(make([]byte, 100)) } // instead of answering
		ask := func(_ context.Context, l *lines) error { return l.ask("ASK", "ANSWER") }
		hiding := onMemnet(t, hangsUp, adapt.Client[*lines]{
			Start: func(_ context.Context, nc net.Conn) (*lines, error) { return newLines(nc), nil },
			Ping:  ask,
			Reset: ask,
		})
		c1, c2 := connect(t, hiding), connect(t, hiding)
		defer c1.Close()
		defer c2.Close()
		err := c1.(driver.Pinger).Ping(t.Context())
		assert.True(t, driver.IsBad(err), "Ping = %v", err)
		err = c2.(driver.SessionResetter).ResetSession(t.Context())
		assert.True(t, driver.IsBad(err), "ResetSession = %v", err)
	})
}

func TestAnErrorThatTheLibraryHidesMakesTheConnectionInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangup := make(chan struct{})
		c := connect(t, onMemnet(t, func(nc net.Conn) { <-hangup }, adapt.Client[*lines]{
			Start: func(_ context.Context, nc net.Conn) (*lines, error) { return newLines(nc), nil },
		}))
		defer c.Close()
		assert.True(t, c.(driver.Validator).IsValid())
		close(hangup)
		err := client(t, c).ask("PING", "PONG")
		require.Error(t, err)
		assert.False(t, driver.IsBad(err), "the library hides it")
		assert.False(t, c.(driver.Validator).IsValid())
	})
}

func TestUnreadBytesEndAConnectionUnlessIgnoreUnreadIsSet(t *testing.T) {
	for _, ignore := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := connect(t, onMemnet(t, func(nc net.Conn) {
				fmt.Fprintln(nc, "HELLO")
				nc.Read(make([]byte, 1))
				fmt.Fprintln(nc, "and something else")
				nc.Read(make([]byte, 1))
			}, adapt.Client[*lines]{
				IgnoreUnread: ignore,
				Start: func(_ context.Context, nc net.Conn) (*lines, error) {
					l := newLines(nc)
					_, err := l.r.ReadString('\n')
					return l, err
				},
			}))
			defer c.Close()
			r := c.(driver.SessionResetter)
			require.NoError(t, r.ResetSession(t.Context()))
			_, err := client(t, c).nc.Write([]byte{1})
			require.NoError(t, err)
			synctest.Wait()
			assert.Equal(t, ignore, r.ResetSession(t.Context()) == nil)
		})
	}
}

func TestAStartThatFailsOrPanicsLeavesNothingOpen(t *testing.T) {
	for name, fail := range map[string]func() (*lines, error){
		"fails":  func() (*lines, error) { return nil, errors.New("wrong password") },
		"panics": func() (*lines, error) { panic("oops") },
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			connector, err := adapt.New(onMemnet(t, func(nc net.Conn) {
				_, err := nc.Read(make([]byte, 1))
				ended <- err
			}, adapt.Client[*lines]{
				Class: driver.Permanent,
				Start: func(context.Context, net.Conn) (*lines, error) { return fail() },
			}))
			require.NoError(t, err)
			func() {
				defer func() { recover() }()
				_, err = connector.Connect(t.Context())
				assert.True(t, driver.IsPermanent(err))
			}()
			assert.Error(t, <-ended)
		})
	}
}

func TestARegisteredClientIsMadeFromItsDSN(t *testing.T) {
	adapt.Register("things", func(u *dsn.URL) (adapt.Client[*thing], error) {
		var p dsn.Params
		n := 0
		p.Int("n", &n, 0, 9)
		return adapt.Client[*thing]{
			Address: u.Address(7),
			Connect: func(context.Context) (*thing, error) { return nil, fmt.Errorf("dial %s: no route", u.Unredacted()) },
			Close:   func(*thing) error { return nil },
		}, errors.Join(p.Apply(u.Params), ofLibrary(u))
	})
	t.Cleanup(func() { registry.Replace("things", nil) })

	c, err := driver.OpenConnector("things", "things://ada:p4ssword@h?n=3")
	require.NoError(t, err)
	assert.Equal(t, "things h:7", c.(driver.Advisor).Advice().Name)
	_, err = c.Connect(t.Context())
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "p4ssword")

	_, err = driver.OpenConnector("things", "things://ada:p4ssword@h?n=33")
	assert.EqualError(t, err, `dsn: parameter n="33": want a whole number from 0 to 9`)
	_, err = driver.OpenConnector("things", "things//ada:p4ssword@h")
	assert.ErrorContains(t, err, "no scheme")
	_, err = driver.OpenConnector("things", "tcp://ada:p4ssword@h")
	assert.EqualError(t, err, `adapt: dsn: scheme "tcp": want "things"`)
	d := registry.Replace("things", nil)
	_, err = d.(driver.DriverContext).OpenConnector("things://ada:p4ssword@h/strange")
	require.Error(t, err)
	assert.NotContains(t, fmt.Sprintf("%#v", err), "p4ssword", "the library keeps the text in its error")
}

// ofLibrary returns the error of a library that accepts no path.
func ofLibrary(u *dsn.URL) error {
	if u.Path == "" {
		return nil
	}
	return &parseError{u.Unredacted()}
}

type parseError struct{ Text string }

func (e *parseError) Error() string { return "things: cannot parse a path" }

func TestNothingOfAnAdaptedConnectionIsPrinted(t *testing.T) {
	type secretive struct{ password string }
	how := adapt.Client[secretive]{
		Connect: func(context.Context) (secretive, error) { return secretive{"p4ssword"}, nil },
		Close:   func(secretive) error { return nil },
		Ping:    func(context.Context, secretive) error { return nil },
	}
	connector, err := adapt.New(how)
	require.NoError(t, err)
	c := connect(t, how)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{c, connector, struct{ hidden any }{c}, struct{ hidden any }{connector}} {
			assert.NotContains(t, fmt.Sprintf(verb, v), "p4ssword", verb)
		}
	}
}

func TestAStartThatReturnsNoClientLeavesNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		how := onMemnet(t, func(nc net.Conn) {
			untilEnd(0)(nc)
			close(ended)
		}, adapt.Client[*lines]{})
		connector, err := adapt.New(adapt.Client[io.Closer]{Address: how.Address, Dial: how.Dial,
			Start: func(context.Context, net.Conn) (io.Closer, error) { return nil, nil },
		})
		require.NoError(t, err)
		c, err := connector.Connect(t.Context())
		assert.Nil(t, c)
		assert.ErrorContains(t, err, "adapt: Start returned neither a client nor an error")
		<-ended
	})
}

func TestCloseIsBoundedWhateverTheServerAndClosedDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, onMemnet(t, untilEnd(time.Hour), adapt.Client[*lines]{
			Start:  func(_ context.Context, nc net.Conn) (*lines, error) { return newLines(nc), nil },
			Close:  func(l *lines) error { _, err := l.r.ReadByte(); return err }, // waits for an answer
			Closed: func(*lines) <-chan struct{} { return make(chan struct{}) },
		}))
		began := time.Now()
		_ = c.Close()
		assert.Less(t, time.Since(began), 5*time.Second, "the pool waits no longer")
	})
}
