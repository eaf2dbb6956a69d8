package drivertest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
)

// echoUntilQuit repeats each line, and closes the connection for "quit".
func echoUntilQuit(c net.Conn) {
	for lines := bufio.NewScanner(c); lines.Scan() && lines.Text() != "quit"; {
		fmt.Fprintln(c, lines.Text())
	}
}

// serveEcho runs echoUntilQuit, and returns a function that connects to it.
func serveEcho(t testing.TB) (drivertest.Server, func() net.Conn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := drivertest.Serve(t, ln, drivertest.Each(echoUntilQuit))
	return server, func() net.Conn {
		c, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
}

// say fails unless line comes back.
func say(t testing.TB, c net.Conn, line string) {
	t.Helper()
	_, err := fmt.Fprintln(c, line)
	require.NoError(t, err)
	answer, err := bufio.NewReader(c).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, line+"\n", answer)
}

func wantOpen(t testing.TB, s drivertest.Server, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, s.AwaitOpen(ctx, n))
}

func TestServerCountsOpenConnections(t *testing.T) {
	server, dial := serveEcho(t)
	wantOpen(t, server, 0)
	a, b := dial(), dial()
	wantOpen(t, server, 2)
	a.Close()
	wantOpen(t, server, 1)
	say(t, b, "still here")

	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := server.AwaitOpen(ctx, 0)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "1 connections are open, want 0")
}

func TestSilentServerReceivesAndSendsNothing(t *testing.T) {
	server, dial := serveEcho(t)
	old := dial()
	say(t, old, "before")
	received := server.Silence()
	fresh := dial()
	wantOpen(t, server, 2)
	select {
	case <-received:
		t.Fatal("received is closed although nothing was sent")
	default:
	}

	for _, c := range []net.Conn{old, fresh} {
		_, err := fmt.Fprintln(c, "quit")
		require.NoError(t, err)
		<-received
		c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		_, err = c.Read(make([]byte, 1))
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded, "not even a close is an answer")
		c.Close()
	}
	wantOpen(t, server, 0)
}

func TestSilentServerDropsAnswers(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	greeted := make(chan struct{})
	server := drivertest.Serve(t, ln, drivertest.Each(func(c net.Conn) {
		n, err := c.Write([]byte("hello"))
		assert.Equal(t, 5, n)
		assert.NoError(t, err)
		close(greeted)
		io.Copy(io.Discard, c)
	}))
	server.Silence()
	c, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	<-greeted
	server.Hangup()
	greeting, _ := io.ReadAll(c)
	assert.Empty(t, greeting)
}

func TestHangupIsAnEndOfFileAndResetIsNot(t *testing.T) {
	server, dial := serveEcho(t)
	c := dial()
	say(t, c, "hello")
	server.Hangup()
	wantOpen(t, server, 0)
	_, err := c.Read(make([]byte, 1))
	assert.ErrorIs(t, err, io.EOF)

	c = dial()
	say(t, c, "hello again")
	server.Reset()
	wantOpen(t, server, 0)
	_, err = c.Read(make([]byte, 1))
	assert.Error(t, err)
	assert.NotErrorIs(t, err, io.EOF)
	say(t, dial(), "and again")
}

func TestRefuseEndsNewConnectionsOnly(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := drivertest.Serve(t, ln, drivertest.Each(echoUntilQuit))
	c, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	say(t, c, "hello")
	server.Refuse()
	server.Refuse()
	_, err = net.Dial("tcp", ln.Addr().String())
	assert.Error(t, err)
	say(t, c, "still here")
}

// TestServerSeesTheEndOfAConnectionThatTheProtocolForgets is about servers that do
// not close a connection that their client has closed.
func TestServerSeesTheEndOfAConnectionThatTheProtocolForgets(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	asleep, read := make(chan struct{}), make(chan error, 2)
	server := drivertest.Serve(t, ln, drivertest.Each(func(c net.Conn) {
		c.SetReadDeadline(time.Unix(1, 0))
		_, err := c.Read(make([]byte, 1))
		read <- err
		c.SetReadDeadline(time.Time{})
		_, err = c.Read(make([]byte, 1))
		read <- err
		<-asleep
	}))
	t.Cleanup(func() { close(asleep) })
	c, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	assert.ErrorIs(t, <-read, os.ErrDeadlineExceeded)
	wantOpen(t, server, 1) // a read timeout is not the end
	c.Close()
	assert.ErrorIs(t, <-read, io.EOF)
	wantOpen(t, server, 0)
}

func TestServeEndsAllWithTheTest(t *testing.T) {
	var c net.Conn
	t.Run("inner", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		drivertest.Serve(t, ln, drivertest.Each(echoUntilQuit))
		c, err = net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		say(t, c, "hello")
	})
	_, err := c.Read(make([]byte, 1))
	assert.ErrorIs(t, err, io.EOF)
	c.Close()
}

// TestGoroutinesOfOthersAreNotCounted is about tests that run in parallel.
func TestGoroutinesOfOthersAreNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const name = "CloseLeavesNothing"
		end := until(t)
		leaking := inMemory(breaks(func(_ testing.TB, c *plainConn) driver.Conn {
			return &patched{plainConn: c, patchedClose: func() error {
				go func() { <-end }()
				return c.Close()
			}}
		}))
		assert.NotEmpty(t, record(t, func(t testing.TB) { drivertest.RunRule(t, name, leaking) }).errors)
		assert.Empty(t, record(t, func(t testing.TB) { drivertest.RunRule(t, name, inMemory(nil)) }).errors)
	})
}
