package conn_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/internal/memnet"
)

func TestConnBehavesAsANetConn(t *testing.T) {
	pairs := map[string]func(t *testing.T) (c1, c2 net.Conn){
		"tcp":    func(t *testing.T) (c1, c2 net.Conn) { return dialTCP(t) },
		"memory": func(t *testing.T) (c1, c2 net.Conn) { return dial(t, new(memnet.Network)) },
		"pipe":   func(t *testing.T) (c1, c2 net.Conn) { return net.Pipe() },
	}
	for name, pair := range pairs {
		t.Run(name, func(t *testing.T) {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				nc1, nc2 := pair(t)
				c1, c2 = conn.New(nc1), conn.New(nc2)
				return c1, c2, func() { c1.Close(); c2.Close() }, nil
			})
		})
	}
}

func TestNewPanicsWithoutAConnection(t *testing.T) {
	assert.PanicsWithValue(t, "conn: New with a nil connection", func() { conn.New(nil) })
}

func TestNetConnAndAddressesAreThoseOfTheWrappedConnection(t *testing.T) {
	nc, _ := dial(t, new(memnet.Network))
	c := conn.New(nc)
	assert.Same(t, nc, c.NetConn())
	assert.Equal(t, nc.LocalAddr(), c.LocalAddr())
	assert.Equal(t, nc.RemoteAddr(), c.RemoteAddr())
}

func TestCountsRestartAtAReset(t *testing.T) {
	c, s := open(t)
	write(t, c, "request")
	write(t, s, "an answer")
	wantRead(t, c, "an ")
	wantRead(t, c, "answer")
	assert.EqualValues(t, 7, c.Sent())
	assert.EqualValues(t, 9, c.Received())
	require.NoError(t, c.ResetSession(t.Context()))
	assert.Zero(t, c.Sent())
	assert.Zero(t, c.Received())
	write(t, c, "x")
	assert.EqualValues(t, 1, c.Sent())
}

func TestPartOfAWriteIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := open(t)
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
		n, err := c.Write(make([]byte, 1<<20))
		e := wantError(t, err, "write", os.ErrDeadlineExceeded)
		assert.EqualValues(t, n, e.Sent)
		assert.EqualValues(t, n, c.Sent())
		assert.Positive(t, n)
		assert.False(t, driver.SafeToRetry(err))
	})
}

// One goroutine reads while another writes, and the read fails when the peer has
// part of the request.
func TestErrorDuringAWriteIsNotSafeToRetry(t *testing.T) {
	for name, fail := range map[string]func(t *testing.T, c *conn.Conn) error{
		"a deadline of the read": func(t *testing.T, c *conn.Conn) error {
			require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
			return read(c)
		},
		"the end of a bound context": func(t *testing.T, c *conn.Conn) error {
			ctx, cancel := context.WithCancel(t.Context())
			defer c.Bind(ctx)()
			cancel()
			synctest.Wait()
			return c.Err() // made before the deadline that ends the write
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := open(t)
				written := make(chan error, 1)
				go func() { // ends when c is closed
					_, err := c.Write(make([]byte, 1<<20))
					written <- err
				}()
				synctest.Wait()
				err := fail(t, c)
				assert.Regexp(t, `\(0 bytes sent and a write in progress, 0 received\)$`, err)
				assert.False(t, driver.SafeToRetry(err))
				assert.True(t, driver.IsBad(err))
				assert.False(t, driver.SafeToRetry(c.Err()))
				assert.False(t, c.IsValid())
				require.NoError(t, c.Close())
				assert.Error(t, <-written)
			})
		})
	}
}

// A write is over by the time its own error is made.
func TestFailedWriteIsNotInProgress(t *testing.T) {
	c, s := open(t)
	s.Cut()
	_, err := io.WriteString(c, "request")
	assert.ErrorContains(t, err, "(0 bytes sent, 0 received)")
	assert.True(t, driver.SafeToRetry(err))
}

func TestReadReturnsABareEOF(t *testing.T) {
	c, s := open(t)
	write(t, c, "request")
	wantRead(t, s, "request")
	write(t, s, "half an ans")
	require.NoError(t, s.Close())
	_, err := bufio.NewReader(c).ReadString('\n')
	assert.True(t, err == io.EOF, "got %v", err)
	assert.Equal(t, io.EOF, read(c))

	e := wantError(t, c.Err(), "read", io.EOF)
	assert.EqualValues(t, 7, e.Sent)
	assert.EqualValues(t, 11, e.Received)
	assert.False(t, driver.SafeToRetry(c.Err()))
	wantDead(t, c, io.EOF)
}

func TestReadAllStopsAtTheEnd(t *testing.T) {
	c, s := open(t)
	write(t, s, "all of it")
	require.NoError(t, s.Close())
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Equal(t, "all of it", string(got))
}

// lastWords returns data together with io.EOF, as a TLS connection may.
type lastWords struct {
	net.Conn
	io.Reader
}

func (l lastWords) Read(b []byte) (int, error) { return l.Reader.Read(b) }

func TestBytesThatComeWithTheEOFAreCounted(t *testing.T) {
	nc, _ := dial(t, new(memnet.Network))
	c := conn.New(lastWords{nc, iotest.DataErrReader(strings.NewReader("bye"))})
	n, err := c.Read(make([]byte, 10))
	assert.Equal(t, 3, n)
	assert.Equal(t, io.EOF, err)
	assert.EqualValues(t, 3, wantError(t, c.Err(), "read", io.EOF).Received)
}

func TestFailedWriteIsSafeToRetryOnlyIfNothingWasSent(t *testing.T) {
	for _, tt := range []struct {
		name string
		sent string
		safe bool
	}{
		{"first write of a session", "", true},
		{"after a write", "half a request", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, s := open(t)
			write(t, c, "the last session's")
			require.NoError(t, c.ResetSession(t.Context()))
			write(t, c, tt.sent)
			s.Cut()
			_, err := io.WriteString(c, "request")
			e := wantError(t, err, "write", syscall.ECONNRESET)
			assert.True(t, driver.IsBad(err))
			assert.Equal(t, tt.safe, driver.SafeToRetry(err))
			assert.Equal(t, tt.safe, e.SafeToRetry())
			wantDead(t, c, syscall.ECONNRESET)
		})
	}
}

func TestTheFirstErrorStays(t *testing.T) {
	c, s := open(t)
	s.Cut()
	first := read(c)
	wantError(t, first, "read", syscall.ECONNRESET)
	_, err := io.WriteString(c, "x")
	wantError(t, err, "write", syscall.ECONNRESET)
	require.NoError(t, c.CloseWithError(errors.New("tired")))
	assert.Equal(t, first, c.Err())
}

func TestAnAnswerCanStillBeWrittenAfterEOF(t *testing.T) {
	c, s := open(t)
	require.NoError(t, s.CloseWrite())
	assert.Equal(t, io.EOF, read(c))
	write(t, c, "answer")
	wantRead(t, s, "answer")
	assert.False(t, c.IsValid())
}

func TestReadTimeoutInAnIdleSessionLeavesTheConnectionOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := open(t)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
		err := read(c)
		e := wantError(t, err, "read", os.ErrDeadlineExceeded)
		assert.True(t, e.Timeout())
		assert.True(t, driver.IsGood(err))
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		wantOpen(t, c)
		write(t, s, "news")
		wantRead(t, c, "news")
	})
}

// The connection was unusable before that Read.
func TestReadTimeoutOfAFailedConnectionIsBad(t *testing.T) {
	c, _ := open(t)
	require.NoError(t, c.SetDeadline(time.Unix(1, 0)))
	_, err := c.Write([]byte("x"))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.False(t, c.IsValid())
	err = read(c)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	assert.True(t, driver.IsBad(err))
}

func TestTimeoutInTheMiddleOfAnExchangeEndsTheConnection(t *testing.T) {
	exchanges := map[string]func(t *testing.T, c *conn.Conn, s net.Conn) error{
		"nothing received": func(t *testing.T, c *conn.Conn, s net.Conn) error {
			write(t, c, "request")
			return read(c)
		},
		"half received": func(t *testing.T, c *conn.Conn, s net.Conn) error {
			write(t, s, "half")
			wantRead(t, c, "half")
			return read(c)
		},
		"write": func(t *testing.T, c *conn.Conn, s net.Conn) error {
			_, err := c.NetConn().Write(make([]byte, 64<<10)) // not counted
			require.NoError(t, err)
			_, err = c.Write([]byte("x"))
			return err
		},
	}
	for name, exchange := range exchanges {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := open(t)
				require.NoError(t, c.SetDeadline(time.Now().Add(time.Second)))
				err := exchange(t, c, s)
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				assert.True(t, driver.IsBad(err))
				wantDead(t, c, os.ErrDeadlineExceeded)
			})
		})
	}
}

func TestResetClearsTheDeadlinesOfTheLastHolder(t *testing.T) {
	for name, set := range map[string]func(*conn.Conn, time.Time) error{
		"both":  (*conn.Conn).SetDeadline,
		"read":  (*conn.Conn).SetReadDeadline,
		"write": (*conn.Conn).SetWriteDeadline,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := open(t)
				require.NoError(t, set(c, time.Now().Add(time.Second)))
				require.NoError(t, c.ResetSession(t.Context()))
				time.AfterFunc(time.Hour, func() { s.Write([]byte("late")) })
				wantRead(t, c, "late")
				write(t, c, "x")
			})
		})
	}
}

func TestErrorSaysWhatWhereWhyAndHowFar(t *testing.T) {
	c, s := open(t)
	write(t, c, "12345")
	write(t, s, "123")
	wantRead(t, c, "123")
	s.Cut()
	local, remote := c.LocalAddr().String(), c.RemoteAddr().String()
	assert.EqualError(t, read(c), "conn: read mem "+local+"->"+remote+
		": read: "+syscall.ECONNRESET.Error()+" (5 bytes sent, 3 received)")
	assert.EqualError(t, c.Check(), "conn: check mem "+local+"->"+remote+": read: "+syscall.ECONNRESET.Error())
}

func TestErrorWorksWithoutAddresses(t *testing.T) {
	e := &conn.Error{Op: "read", Err: io.ErrUnexpectedEOF}
	assert.EqualError(t, e, "conn: read: unexpected EOF (0 bytes sent, 0 received)")
	assert.False(t, e.Timeout())
	assert.False(t, e.Temporary())
	e.Addr = &net.UnixAddr{Net: "unix", Name: "/run/x"}
	assert.EqualError(t, e, "conn: read unix /run/x: unexpected EOF (0 bytes sent, 0 received)")
}

func TestErrorKeepsWhatTLSSays(t *testing.T) {
	alert := &net.OpError{Op: "remote error", Err: tls.AlertError(42)}
	e := &conn.Error{Op: "read", Err: alert, Sent: 3}
	assert.EqualError(t, e, "conn: read: remote error: tls: bad certificate (3 bytes sent, 0 received)")
}

func TestErrorIsATimeoutIfItsCauseIs(t *testing.T) {
	e := &conn.Error{Op: "read", Err: &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}}
	var ne net.Error = e
	assert.True(t, ne.Timeout())
	assert.True(t, e.Temporary(), "or crypto/tls would not read on")
}
