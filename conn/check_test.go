package conn_test

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/internal/testcert"
)

// These tests cover the portable probe: connections in memory have no socket to
// peek at. In fake time its short read never begins too late.

func TestCheckTellsTheDeadFromTheIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		idle, _ := open(t)
		wantOpen(t, idle)
		require.NoError(t, idle.ResetSession(t.Context()))

		left, s := open(t)
		require.NoError(t, s.Close())
		wantBadConn(t, left.Check())
		wantDead(t, left, io.EOF)
		wantError(t, left.Err(), "check", io.EOF)

		cut, s := open(t)
		s.Cut()
		wantBadConn(t, cut.Check())
		wantDead(t, cut, syscall.ECONNRESET)

		silent, s := open(t)
		s.Silence(true)
		wantOpen(t, silent) // only a Ping would notice
	})
}

func TestCheckFindsUnreadBytesAndLosesNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := open(t)
		write(t, s, "* BYE\r\n")
		for range 2 {
			err := c.Check()
			wantError(t, err, "check", conn.ErrUnread)
			wantBadConn(t, err)
			assert.False(t, c.IsValid())
			assert.NoError(t, c.Err())
		}
		wantBadConn(t, c.ResetSession(t.Context()))
		n, err := c.Read(nil)
		assert.NoError(t, err)
		assert.Zero(t, n)
		wantRead(t, c, "* BYE\r\n")
		assert.EqualValues(t, 7, c.Received())
		wantOpen(t, c)
	})
}

func TestCheckOfAClosedPeerWithUnreadBytesLosesNeither(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := open(t)
		write(t, s, "!")
		require.NoError(t, s.Close())
		wantError(t, c.Check(), "check", conn.ErrUnread)
		wantRead(t, c, "!")
		wantError(t, c.Check(), "check", io.EOF)
	})
}

func TestCheckLeavesTheDeadlinesOfTheUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := open(t)
		start := time.Now()
		require.NoError(t, c.SetReadDeadline(start.Add(time.Hour)))
		require.NoError(t, c.Check())
		wantError(t, read(c), "read", os.ErrDeadlineExceeded)
		assert.Equal(t, time.Hour, time.Since(start))

		require.NoError(t, c.SetReadDeadline(time.Time{}))
		require.NoError(t, c.Check())
		time.AfterFunc(24*time.Hour, func() { s.Write([]byte("x")) })
		wantRead(t, c, "x")
	})
}

func TestCheckDuringAReadTakesNothingFromIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := open(t)
		done := make(chan error, 1)
		go func() { done <- read(c) }()
		synctest.Wait()
		start := time.Now()
		require.NoError(t, c.Check())
		assert.True(t, c.IsValid())
		assert.Zero(t, time.Since(start))
		assert.Empty(t, done)
		write(t, s, "x")
		assert.NoError(t, <-done)
	})
}

func TestCheckHardlyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := open(t)
		start := time.Now()
		require.NoError(t, c.Check())
		assert.LessOrEqual(t, time.Since(start), 100*time.Microsecond)
	})
}

func TestCheckWorksOnAPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, s := net.Pipe()
		c := conn.New(nc)
		defer c.Close()
		wantOpen(t, c)
		go s.Write([]byte("x"))
		synctest.Wait()
		wantError(t, c.Check(), "check", conn.ErrUnread)
		wantRead(t, c, "x")
		s.Close()
		wantBadConn(t, c.Check())
		wantDead(t, c, io.EOF)
	})
}

func TestCheckOfTLSWithoutASocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, s := tlsPair(t)
		c := conn.New(nc)
		defer c.Close()
		wantOpen(t, c)
		write(t, s, "x")
		wantError(t, c.Check(), "check", conn.ErrUnread)
		wantRead(t, c, "x")
		wantOpen(t, c)
		go s.Close()
		synctest.Wait()
		wantBadConn(t, c.Check())
		wantDead(t, c, io.EOF)
	})
}

// Wrapping twice is once too often, but does no harm: TLS recognizes the
// timeouts of an inner Conn.
func TestCheckOfTLSOverAConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := testcert.NewCA()
		nc, ns := dial(t, new(memnet.Network))
		s := tls.Server(ns, ca.ServerConfig())
		go s.Handshake()
		client := tls.Client(conn.New(nc), ca.ClientConfig())
		require.NoError(t, client.Handshake())
		c := conn.New(client)
		for range 3 {
			wantOpen(t, c)
			write(t, s, "x")
			wantRead(t, c, "x")
		}
	})
}

func TestCheckStartsNoTLSHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, s := dial(t, new(memnet.Network))
		c := conn.New(tls.Client(nc, &tls.Config{ServerName: "localhost"}))
		require.NoError(t, c.Check())
		require.NoError(t, s.SetReadDeadline(time.Now().Add(time.Second)))
		assert.ErrorIs(t, read(s), os.ErrDeadlineExceeded)
	})
}

// wrapper hides the connection it wraps; NetConn returns inner, which may be nil.
type wrapper struct {
	net.Conn
	inner net.Conn
}

func (w wrapper) NetConn() net.Conn { return w.inner }

func TestCheckWorksOnAWrapperThatHasLostItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, s := dial(t, new(memnet.Network))
		c := conn.New(wrapper{Conn: nc})
		wantOpen(t, c)
		require.NoError(t, s.Close())
		wantBadConn(t, c.Check())
	})
}
