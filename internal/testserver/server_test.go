package testserver_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a server on loopback, which runs until the test ends.
func start(t *testing.T, serve func(net.Listener)) *testserver.Server {
	t.Helper()
	s, err := testserver.Start(testserver.TCP, "127.0.0.1:0", serve)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// client speaks a line protocol.
type client struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

// dial connects to s. The connection is closed when the test ends.
func dial(t *testing.T, s *testserver.Server) *client {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr())
	require.NoError(t, err)
	return talkOn(t, c)
}

func talkOn(t *testing.T, c net.Conn) *client {
	t.Cleanup(func() { c.Close() })
	return &client{c, t, bufio.NewReader(c)}
}

func (c *client) send(text string) {
	c.t.Helper()
	_, err := io.WriteString(c, text)
	require.NoError(c.t, err)
}

func (c *client) wantLine(want string) {
	c.t.Helper()
	line, err := c.in.ReadString('\n')
	require.NoError(c.t, err)
	require.Equal(c.t, want+"\n", line)
}

// wantEnd fails unless the next read ends with want.
func (c *client) wantEnd(want error) {
	c.t.Helper()
	_, err := c.in.ReadByte()
	require.ErrorIs(c.t, err, want)
}

func (c *client) ask(request, reply string) {
	c.t.Helper()
	c.send(request + "\n")
	c.wantLine(reply)
}

func TestStatsCountOpenMostAndAccepted(t *testing.T) {
	s := start(t, new(testserver.Ping).Serve)
	a, b := dial(t, s), dial(t, s)
	a.ask("PING", "PONG")
	b.ask("PING", "PONG")
	assert.Equal(t, testserver.Stats{Open: 2, Most: 2, Accepted: 2}, s.Stats())
	a.Close()
	require.NoError(t, s.AwaitOpen(t.Context(), 1))
	dial(t, s).ask("PING", "PONG")
	assert.Equal(t, testserver.Stats{Open: 2, Most: 2, Accepted: 3}, s.Stats())
}

func TestKillResetsConnectionsAndRefusesNewOnes(t *testing.T) {
	s := start(t, new(testserver.Ping).Serve)
	c := dial(t, s)
	c.ask("PING", "PONG")
	s.Kill()
	c.wantEnd(syscall.ECONNRESET)
	_, err := net.Dial("tcp", s.Addr())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	assert.Zero(t, s.Stats().Open)
}

func TestKillEndsConnectionsThatTheProtocolForgot(t *testing.T) {
	s := start(t, func(ln net.Listener) {
		for err := error(nil); err == nil; {
			_, err = ln.Accept()
		}
	})
	c := dial(t, s)
	require.NoError(t, s.AwaitOpen(t.Context(), 1))
	s.Kill()
	c.wantEnd(syscall.ECONNRESET)
	assert.Zero(t, s.Stats().Open)
}

func TestRestartServesOnTheSameAddress(t *testing.T) {
	s := start(t, new(testserver.Ping).Serve)
	addr := s.Addr()
	for range 3 {
		dial(t, s).ask("PING", "PONG")
		s.Kill()
		require.NoError(t, s.Restart())
		require.Equal(t, addr, s.Addr())
	}
	dial(t, s).ask("PING", "PONG")
	assert.Equal(t, testserver.Stats{Open: 1, Most: 1, Accepted: 4}, s.Stats())
}

func TestRestartOfARunningServerDoesNothing(t *testing.T) {
	s := start(t, new(testserver.Ping).Serve)
	c := dial(t, s)
	require.NoError(t, s.Restart())
	c.ask("PING", "PONG")
}

func TestCloseEndsConnectionsInOrder(t *testing.T) {
	s := start(t, new(testserver.Ping).Serve)
	c := dial(t, s)
	c.ask("PING", "PONG")
	s.Close()
	c.wantEnd(io.EOF)
	s.Close()
	s.Kill()
}

func TestStartReportsAnAddressThatIsTaken(t *testing.T) {
	s := start(t, new(testserver.Ping).Serve)
	_, err := testserver.Start(testserver.TCP, s.Addr(), new(testserver.Ping).Serve)
	require.ErrorContains(t, err, "listen tcp "+s.Addr())
}

func TestRestartReportsAnAddressThatIsTaken(t *testing.T) {
	s := start(t, new(testserver.Ping).Serve)
	s.Kill()
	other, err := testserver.Start(testserver.TCP, s.Addr(), new(testserver.Ping).Serve)
	require.NoError(t, err)
	require.ErrorContains(t, s.Restart(), "listen tcp "+s.Addr())
	other.Close()
	require.NoError(t, s.Restart())
}

func TestAwaitOpenEndsWithItsContext(t *testing.T) {
	s := start(t, new(testserver.Ping).Serve)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.AwaitOpen(ctx, 1)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "0 connections are open, want 1")
}

// lateListener accepts a connection only after Close, as when a client connects while
// a server stops.
type lateListener struct {
	net.Listener
	conn   net.Conn
	closed chan struct{}
}

func (l *lateListener) Accept() (net.Conn, error) { <-l.closed; return l.conn, nil }
func (l *lateListener) Close() error              { close(l.closed); return l.Listener.Close() }

func TestConnectionAcceptedDuringKillIsClosed(t *testing.T) {
	inner, err := testserver.TCP("127.0.0.1:0")
	require.NoError(t, err)
	ours, theirs := net.Pipe()
	late := &lateListener{inner, theirs, make(chan struct{})}
	listen := func(string) (net.Listener, error) { return late, nil }
	s, err := testserver.Start(listen, "", new(testserver.Ping).Serve)
	require.NoError(t, err)
	s.Kill()
	talkOn(t, ours).wantEnd(io.EOF)
	assert.Zero(t, s.Stats())
}

func TestServerRunsOnANetworkInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var nw memnet.Network
		s, err := testserver.Start(nw.Listen, "", new(testserver.Ping).Serve)
		require.NoError(t, err)
		defer s.Close()
		inner, err := nw.DialContext(t.Context(), "tcp", s.Addr())
		require.NoError(t, err)
		c := talkOn(t, inner)
		c.ask("PING", "PONG")
		s.Kill()
		c.wantEnd(syscall.ECONNRESET)
		_, err = nw.DialContext(t.Context(), "tcp", s.Addr())
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		require.NoError(t, s.Restart())
		inner, err = nw.DialContext(t.Context(), "tcp", s.Addr())
		require.NoError(t, err)
		talkOn(t, inner).ask("PING", "PONG")
	})
}

func TestServerRunsAProtocolInTLS(t *testing.T) {
	ca, ping := testcert.NewCA(), new(testserver.Ping)
	s := start(t, func(ln net.Listener) { ping.Serve(tls.NewListener(ln, ca.ServerConfig())) })
	inner, err := tls.Dial("tcp", s.Addr(), ca.ClientConfig())
	require.NoError(t, err)
	c := talkOn(t, inner)
	c.ask("PING", "PONG")
	s.Kill()
	c.wantEnd(syscall.ECONNRESET)
}

// It runs in a bubble, so that a delay that is not cut short shows in the time.
func TestStopCutsDelaysShort(t *testing.T) {
	for _, stop := range []func(*testserver.Server){(*testserver.Server).Kill, (*testserver.Server).Close} {
		synctest.Test(t, func(t *testing.T) {
			var nw memnet.Network
			ping := &testserver.Ping{Delay: time.Hour}
			s, err := testserver.Start(nw.Listen, "", ping.Serve)
			require.NoError(t, err)
			inner, err := nw.DialContext(t.Context(), "tcp", s.Addr())
			require.NoError(t, err)
			talkOn(t, inner).send("PING\n")
			synctest.Wait()
			began := time.Now()
			stop(s)
			assert.Zero(t, time.Since(began))
		})
	}
}

func TestStartPassesOnTheErrorOfListen(t *testing.T) {
	cause := errors.New("no network")
	_, err := testserver.Start(func(string) (net.Listener, error) { return nil, cause }, "x", nil)
	require.ErrorIs(t, err, cause)
}
