package memnet_test

import (
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/hotline-go/hotline/internal/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen opens a listener, which is closed when the test ends.
func listen(t *testing.T, nw *memnet.Network, address string) net.Listener {
	t.Helper()
	l, err := nw.Listen(address)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// pair returns both ends of a new connection, which is closed when the test ends.
func pair(t *testing.T, nw *memnet.Network) (client, server *memnet.Conn) {
	t.Helper()
	l := listen(t, nw, "")
	c, err := nw.DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	s, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); s.Close() })
	return c.(*memnet.Conn), s.(*memnet.Conn)
}

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	n, err := io.WriteString(c, s)
	require.NoError(t, err)
	require.Equal(t, len(s), n)
}

func wantRead(t *testing.T, c net.Conn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	_, err := io.ReadFull(c, b)
	require.NoError(t, err)
	require.Equal(t, want, string(b))
}

// wantSilent fails if a Read gets anything within d.
func wantSilent(t *testing.T, c net.Conn, d time.Duration) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(d)))
	n, err := c.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "read %d bytes", n)
	require.NoError(t, c.SetReadDeadline(time.Time{}))
}

func wantOpError(t *testing.T, err error, op string, is error) {
	t.Helper()
	require.ErrorIs(t, err, is)
	var oe *net.OpError
	require.ErrorAs(t, err, &oe)
	assert.Equal(t, op, oe.Op)
}
