package tcp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/internal/testport"
)

func TestConnectOverTCP(t *testing.T) {
	connector, err := driver.OpenConnector("tcp", "tcp://"+serve(t, "tcp", echo))
	require.NoError(t, err)
	c, err := connectTo(t, connector)
	require.NoError(t, err)
	wantEcho(t, c)
	assert.IsType(t, &net.TCPConn{}, c.NetConn())
}

func TestConnectDialsTheAddressThatTheContextHasForTheName(t *testing.T) {
	_, port, err := net.SplitHostPort(serve(t, "tcp", echo))
	require.NoError(t, err)
	name := "nowhere.invalid:" + port
	connector, err := tcp.NewConnector(tcp.Config{Address: name})
	require.NoError(t, err)
	c, err := connector.Connect(driver.WithAddress(t.Context(), name, netip.MustParseAddr("127.0.0.1")))
	require.NoError(t, err)
	defer c.Close()
	wantEcho(t, c.(*tcp.Conn))
}

func TestConnectOverAUnixSocket(t *testing.T) {
	path := serve(t, "unix", echo)
	for _, name := range []string{"tcp", "unix"} {
		connector, err := driver.OpenConnector(name, "unix://"+path)
		require.NoError(t, err)
		c, err := connectTo(t, connector)
		require.NoError(t, err)
		wantEcho(t, c)
	}
}

func TestLocalAddrIsWhereTheConnectionComesFrom(t *testing.T) {
	from := make(chan string, 1)
	address := serve(t, "tcp", func(c net.Conn) { from <- c.RemoteAddr().(*net.TCPAddr).IP.String() })
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("127.0.0.1 is the only loopback address of this system")
	}
	l.Close()
	_, err = connect(t, tcp.Config{Address: address, LocalAddr: "127.0.0.2"})
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.2", <-from)
}

func TestFallbackDelayReachesTheDialer(t *testing.T) {
	assert.Equal(t, 7*time.Millisecond, tcp.Dialer(tcp.Config{FallbackDelay: 7 * time.Millisecond}).FallbackDelay)
	assert.Negative(t, tcp.Dialer(tcp.Config{FallbackDelay: -1}).FallbackDelay)
}

func TestAConnectErrorNamesTheAddressAndIsNotPermanent(t *testing.T) {
	closed := testport.Refused(t)
	_, err := connect(t, tcp.Config{Address: closed})
	require.ErrorContains(t, err, "tcp: connect to "+closed+": ")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	assert.False(t, driver.IsPermanent(err))

	_, err = connect(t, tcp.Config{Address: "nobody.invalid:1", Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "nobody.invalid", IsNotFound: true}
	}})
	require.EqualError(t, err, "tcp: connect to nobody.invalid:1: lookup nobody.invalid: no such host")
	assert.False(t, driver.IsPermanent(err))
}

func TestADialThatReturnsNothingIsAnError(t *testing.T) {
	_, err := connect(t, tcp.Config{Address: "h:1", Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, nil
	}})
	require.EqualError(t, err, "tcp: connect to h:1: the Dial function returned no connection")
}

func TestConnectDoesNotDialForAContextThatHasEnded(t *testing.T) {
	connector, err := tcp.NewConnector(tcp.Config{Address: serve(t, "tcp", echo)})
	require.NoError(t, err)
	_, err = connector.Connect(canceled())
	require.ErrorContains(t, err, "operation was canceled")
}

// silent accepts connections and sends nothing on them.
func silent(t *testing.T, nw *memnet.Network, address string) {
	l, err := nw.Listen(address)
	require.NoError(t, err)
	serveOn(t, l, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
}

func TestConnectEndsWithItsContextAndLeavesNothing(t *testing.T) {
	hello := func(_ context.Context, c net.Conn) (net.Conn, error) {
		_, err := c.Read(make([]byte, 1))
		return c, err
	}
	for _, tc := range []struct {
		name, want string
		hang       bool
		config     tcp.Config
	}{
		{"dial", "tcp: connect to server:1: ", true, tcp.Config{}},
		{"handshake", "tcp: handshake with server:1: ", false, tcp.Config{Handshake: hello}},
		{"socks5", "tcp: connect to server:1 through socks5 proxy proxy:2: ", false, tcp.Config{Proxy: "socks5://proxy:2"}},
		{"http", "tcp: connect to server:1 through http proxy proxy:2: ", false, tcp.Config{Proxy: "http://proxy:2"}},
		{"handshake behind a proxy that hangs", "through http proxy", true, tcp.Config{Proxy: "http://proxy:2", Handshake: hello}},
	} {
		for _, canceled := range []bool{false, true} {
			t.Run(tc.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var nw memnet.Network
					silent(t, &nw, "server:1")
					silent(t, &nw, "proxy:2")
					nw.Hang(tc.hang)
					config := tc.config
					config.Address, config.Dial = "server:1", nw.DialContext
					connector, err := tcp.NewConnector(config)
					require.NoError(t, err)

					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					want := context.DeadlineExceeded
					if canceled {
						ctx, cancel = context.WithCancel(t.Context())
						time.AfterFunc(time.Second, cancel)
						want = context.Canceled
					}
					defer cancel()
					start := time.Now()
					c, err := connector.Connect(ctx)
					assert.Nil(t, c)
					assert.ErrorContains(t, err, tc.want)
					assert.ErrorIs(t, err, want)
					assert.False(t, driver.IsPermanent(err))
					assert.Equal(t, time.Second, time.Since(start))
					assert.Zero(t, nw.Stats().Open)
				})
			})
		}
	}
}

func TestTheCauseOfACancelIsInTheError(t *testing.T) {
	var nw memnet.Network
	silent(t, &nw, "server:1")
	errShutdown := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	connector, err := tcp.NewConnector(tcp.Config{
		Address: "server:1", Dial: nw.DialContext,
		Handshake: func(_ context.Context, c net.Conn) (net.Conn, error) {
			cancel(errShutdown)
			<-ctx.Done()
			return c, nil
		},
	})
	require.NoError(t, err)
	c, err := connector.Connect(ctx)
	require.EqualError(t, err, "tcp: handshake with server:1: context canceled: shutting down")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, errShutdown)
	assert.Nil(t, c)
	assert.Zero(t, nw.Stats().Open)
}

// slowClose is a connection whose first Close takes a second.
type slowClose struct {
	net.Conn
	began   chan struct{}
	once    atomic.Bool
	closing atomic.Bool
}

func (c *slowClose) Close() error {
	if c.once.CompareAndSwap(false, true) {
		c.closing.Store(true)
		defer c.closing.Store(false)
		close(c.began)
		<-time.After(time.Second)
	}
	return c.Conn.Close()
}

func TestNothingRunsAfterAFailedConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer server.Close()
		c := &slowClose{Conn: client, began: make(chan struct{})}
		connector, err := tcp.NewConnector(tcp.Config{
			Address:   "server:1",
			Dial:      func(context.Context, string, string) (net.Conn, error) { return c, nil },
			Handshake: func(context.Context, net.Conn) (net.Conn, error) { <-c.began; return c, nil },
		})
		require.NoError(t, err)
		_, err = connector.Connect(canceled())
		require.ErrorIs(t, err, context.Canceled)
		assert.False(t, c.closing.Load())
	})
}

func TestBytesReadByAHandshakeDoNotCountAsReceived(t *testing.T) {
	for name, handshake := range map[string]func(context.Context, net.Conn) (net.Conn, error){
		"on the socket": func(_ context.Context, c net.Conn) (net.Conn, error) {
			wantEcho(t, c)
			return c, nil
		},
		"on a conn.Conn": func(_ context.Context, c net.Conn) (net.Conn, error) {
			counted := conn.New(c)
			wantEcho(t, counted)
			return counted, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := connect(t, tcp.Config{Address: serve(t, "tcp", echo), Handshake: handshake})
			require.NoError(t, err)
			var received driver.Receiver = c
			assert.Zero(t, received.Received())
			wantEcho(t, c)
			assert.EqualValues(t, 5, received.Received())
			require.NoError(t, c.ResetSession(t.Context()))
			assert.Zero(t, received.Received())
		})
	}
}

func TestAFailingHandshakeClosesTheSocket(t *testing.T) {
	errLogin := errors.New("535 no such user")
	for _, tc := range []struct {
		name      string
		handshake func(context.Context, net.Conn) (net.Conn, error)
		want      string
	}{
		{"an error", func(context.Context, net.Conn) (net.Conn, error) { return nil, driver.Permanent(errLogin) },
			"tcp: handshake with server:1: 535 no such user"},
		{"an error and a connection", func(_ context.Context, c net.Conn) (net.Conn, error) { return c, driver.Permanent(errLogin) },
			"tcp: handshake with server:1: 535 no such user"},
		{"nothing", func(context.Context, net.Conn) (net.Conn, error) { return nil, nil },
			"tcp: handshake with server:1: the Handshake function returned no connection"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var nw memnet.Network
			silent(t, &nw, "server:1")
			_, err := connect(t, tcp.Config{Address: "server:1", Dial: nw.DialContext, Handshake: tc.handshake})
			require.EqualError(t, err, tc.want)
			assert.Equal(t, tc.name != "nothing", driver.IsPermanent(err))
			assert.Zero(t, nw.Stats().Open)
		})
	}
}

func TestTheClassOfAHandshakeErrorSurvives(t *testing.T) {
	errLogin := errors.New("421 too many connections")
	for name, tc := range map[string]struct {
		err                        error
		full, permanent, throttled bool
	}{
		"full":      {driver.Full(errLogin, time.Minute), true, false, true},
		"throttled": {driver.Throttled(errLogin, time.Minute), false, false, true},
		"permanent": {driver.Permanent(errLogin), false, true, false},
		"none":      {errLogin, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			var nw memnet.Network
			silent(t, &nw, "server:1")
			_, err := connect(t, tcp.Config{Address: "server:1", Dial: nw.DialContext,
				Handshake: func(context.Context, net.Conn) (net.Conn, error) { return nil, tc.err }})
			require.EqualError(t, err, "tcp: handshake with server:1: 421 too many connections")
			after, throttled := driver.RetryAfter(err)
			assert.Equal(t, tc.full, driver.IsFull(err))
			assert.Equal(t, tc.permanent, driver.IsPermanent(err))
			assert.Equal(t, tc.throttled, throttled)
			assert.Equal(t, tc.throttled, after == time.Minute)
			assert.Zero(t, nw.Stats().Open)
		})
	}
}

func TestAPanickingHandshakeClosesTheSocket(t *testing.T) {
	var nw memnet.Network
	silent(t, &nw, "server:1")
	connector, err := tcp.NewConnector(tcp.Config{Address: "server:1", Dial: nw.DialContext, Handshake: noHandshake})
	require.NoError(t, err)
	assert.PanicsWithValue(t, "shook hands", func() { _, _ = connector.Connect(t.Context()) })
	assert.Zero(t, nw.Stats().Open)
}

func TestNothingOfTheHandshakeStaysOnTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var nw memnet.Network
		l, err := nw.Listen("server:1")
		require.NoError(t, err)
		serveOn(t, l, echo)
		connector, err := tcp.NewConnector(tcp.Config{
			Address: "server:1", Dial: nw.DialContext,
			Handshake: func(_ context.Context, c net.Conn) (net.Conn, error) {
				return c, c.SetDeadline(time.Now().Add(time.Second))
			},
		})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		c, err := connector.Connect(ctx)
		require.NoError(t, err)
		defer c.Close()
		<-time.After(time.Minute) // fake time: past both deadlines
		wantEcho(t, c.(*tcp.Conn))
		require.NoError(t, c.(*tcp.Conn).Ping(t.Context()))
	})
}

func TestAHandshakeMayReturnAConnectionOverTheSocket(t *testing.T) {
	ca := testcert.NewCA()
	address := serve(t, "tcp", func(c net.Conn) { echo(tls.Server(c, ca.ServerConfig())) })
	c, err := connect(t, tcp.Config{
		Address: address,
		Handshake: func(ctx context.Context, c net.Conn) (net.Conn, error) {
			secure := tls.Client(c, ca.ClientConfig())
			return secure, secure.HandshakeContext(ctx)
		},
	})
	require.NoError(t, err)
	wantEcho(t, c)
	assert.IsType(t, &tls.Conn{}, c.NetConn())
	require.NoError(t, c.Ping(t.Context()))
	require.NoError(t, c.Close())
}
