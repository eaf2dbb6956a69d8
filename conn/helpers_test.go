package conn_test

import (
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/internal/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open returns a Conn on a connection in memory, and its peer. The end of the test
// closes both.
func open(t testing.TB) (*conn.Conn, *memnet.Conn) {
	t.Helper()
	var nw memnet.Network
	c, s := dial(t, &nw)
	return conn.New(c), s
}

// dial makes a connection in memory.
func dial(t testing.TB, nw *memnet.Network) (client, server *memnet.Conn) {
	t.Helper()
	l, err := nw.Listen("")
	require.NoError(t, err)
	defer l.Close()
	c, err := nw.DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	s, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); s.Close() })
	return c.(*memnet.Conn), s.(*memnet.Conn)
}

// dialTCP makes a connection over a real socket.
func dialTCP(t testing.TB) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	s, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); s.Close() })
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

func write(t testing.TB, w io.Writer, s string) {
	t.Helper()
	n, err := io.WriteString(w, s)
	require.NoError(t, err)
	require.Equal(t, len(s), n)
}

func wantRead(t testing.TB, r io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	_, err := io.ReadFull(r, b)
	require.NoError(t, err)
	require.Equal(t, want, string(b))
}

// read reads a byte and returns the error.
func read(r io.Reader) error {
	_, err := r.Read(make([]byte, 1))
	return err
}

// wantError fails unless err is a *conn.Error of op that wraps is, and returns it.
func wantError(t testing.TB, err error, op string, is error) *conn.Error {
	t.Helper()
	require.ErrorIs(t, err, is)
	var e *conn.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, op, e.Op)
	return e
}

// wantOpen fails if c is unusable.
func wantOpen(t testing.TB, c *conn.Conn) {
	t.Helper()
	assert.NoError(t, c.Err())
	assert.True(t, c.IsValid())
	assert.NoError(t, c.Check())
}

// wantDead fails unless c has ended because of is, and all its methods say so.
func wantDead(t testing.TB, c *conn.Conn, is error) {
	t.Helper()
	assert.False(t, c.IsValid())
	assert.ErrorIs(t, c.Err(), is)
	wantBadConn(t, c.Check())
	wantBadConn(t, c.ResetSession(t.Context()))
	assert.ErrorIs(t, c.Err(), is)
}

// wantBadConn fails unless err makes the pool try another connection.
func wantBadConn(t testing.TB, err error) {
	t.Helper()
	assert.ErrorIs(t, err, driver.ErrBadConn)
	assert.True(t, driver.IsBad(err))
	assert.True(t, driver.SafeToRetry(err))
}

// dialEcho makes a connection over a real socket to a server that sends
// everything back.
func dialEcho(t testing.TB) net.Conn {
	c, s := dialTCP(t)
	go func() {
		b := make([]byte, 1024)
		for {
			n, err := s.Read(b)
			if err != nil {
				return
			}
			s.Write(b[:n])
		}
	}()
	return c
}
