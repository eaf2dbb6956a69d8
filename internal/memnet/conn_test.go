package memnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"

	"github.com/hotline-go/hotline/internal/memnet"
)

func TestConnBehavesAsANetConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		var nw memnet.Network
		l, err := nw.Listen("server:1")
		if err != nil {
			return nil, nil, nil, err
		}
		c1, err = nw.DialContext(context.Background(), "tcp", "server:1")
		if err != nil {
			return nil, nil, nil, err
		}
		c2, err = l.Accept()
		return c1, c2, func() { c1.Close(); c2.Close(); l.Close() }, err
	})
}

func TestConnAddressesMatch(t *testing.T) {
	var nw memnet.Network
	c1, s1 := pair(t, &nw)
	c2, _ := pair(t, &nw)
	assert.Equal(t, c1.LocalAddr(), s1.RemoteAddr())
	assert.Equal(t, c1.RemoteAddr(), s1.LocalAddr())
	assert.NotEqual(t, c1.LocalAddr(), c2.LocalAddr())
	assert.NotEqual(t, c1.RemoteAddr(), c2.RemoteAddr())
	assert.Equal(t, "mem", c1.LocalAddr().Network())
}

func TestWriteIsBufferedAndBlocksWhenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var nw memnet.Network
		c, s := pair(t, &nw)
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
		n, err := c.Write(make([]byte, 100<<10))
		wantOpError(t, err, "write", os.ErrDeadlineExceeded)
		assert.Equal(t, 64<<10, n)

		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		done := make(chan error, 1)
		go func() {
			_, err := c.Write([]byte("more"))
			done <- err
		}()
		synctest.Wait()
		assert.Empty(t, done)
		_, err = s.Read(make([]byte, 10))
		require.NoError(t, err)
		assert.NoError(t, <-done)
	})
}

func TestCloseEndsTheStreamAfterTheBytesSent(t *testing.T) {
	var nw memnet.Network
	c, s := pair(t, &nw)
	write(t, c, "bye")
	require.NoError(t, c.Close())
	wantRead(t, s, "bye")
	for range 2 {
		_, err := s.Read(make([]byte, 1))
		assert.Equal(t, io.EOF, err) // bare, as in package net
	}
	wantOpError(t, c.Close(), "close", net.ErrClosed)
	wantOpError(t, c.CloseWrite(), "close", net.ErrClosed)
	wantOpError(t, c.SetDeadline(time.Time{}), "set", net.ErrClosed)
	_, err := c.Read(make([]byte, 1))
	wantOpError(t, err, "read", net.ErrClosed)
	_, err = c.Write(make([]byte, 1))
	wantOpError(t, err, "write", net.ErrClosed)
}

func TestFirstWriteToAClosedPeerIsLostAndTheNextFails(t *testing.T) {
	var nw memnet.Network
	c, s := pair(t, &nw)
	require.NoError(t, s.Close())
	write(t, c, "lost")
	_, err := c.Write([]byte("refused"))
	wantOpError(t, err, "write", syscall.EPIPE)
	_, err = c.Read(make([]byte, 1))
	assert.Equal(t, io.EOF, err)
}

func TestCloseWriteLeavesTheOtherDirectionOpen(t *testing.T) {
	var nw memnet.Network
	c, s := pair(t, &nw)
	write(t, c, "request")
	require.NoError(t, c.CloseWrite())
	require.NoError(t, c.CloseWrite())
	got, err := io.ReadAll(s)
	require.NoError(t, err)
	assert.Equal(t, "request", string(got))
	write(t, s, "answer")
	wantRead(t, c, "answer")
	_, err = c.Write([]byte("x"))
	wantOpError(t, err, "write", syscall.EPIPE)
}

func TestCloseUnblocksIO(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var nw memnet.Network
		c, _ := pair(t, &nw)
		errs := make(chan error, 2)
		go func() {
			_, err := c.Read(make([]byte, 1))
			errs <- err
		}()
		go func() {
			_, err := c.Write(make([]byte, 1<<20))
			errs <- err
		}()
		synctest.Wait()
		require.NoError(t, c.Close())
		assert.ErrorIs(t, <-errs, net.ErrClosed)
		assert.ErrorIs(t, <-errs, net.ErrClosed)
	})
}

func TestEmptyReadAndWriteDoNothing(t *testing.T) {
	var nw memnet.Network
	c, s := pair(t, &nw)
	n, err := c.Read(nil)
	assert.NoError(t, err)
	assert.Zero(t, n)
	write(t, c, "")
	write(t, c, "x")
	wantRead(t, s, "x")
}

func TestDeadlineInThePastFailsEvenWithBytesToRead(t *testing.T) {
	var nw memnet.Network
	c, s := pair(t, &nw)
	write(t, s, "x")
	require.NoError(t, c.SetReadDeadline(time.Unix(1, 0)))
	_, err := c.Read(make([]byte, 1))
	wantOpError(t, err, "read", os.ErrDeadlineExceeded)
	require.NoError(t, c.SetReadDeadline(time.Time{}))
	wantRead(t, c, "x")
}

func TestTimeoutErrorsAreNetTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var nw memnet.Network
		c, _ := pair(t, &nw)
		require.NoError(t, c.SetDeadline(time.Now().Add(time.Second)))
		_, err := c.Read(make([]byte, 1))
		var ne net.Error
		require.True(t, errors.As(err, &ne))
		assert.True(t, ne.Timeout())
	})
}
