//go:build unix && !aix

package conn

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/internal/testcert"
)

// These tests cover the probe on real sockets.

// pair makes a connection over a real socket. The end of the test closes it.
func pair(t testing.TB, network, address string) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen(network, address)
	require.NoError(t, err)
	defer l.Close()
	client, err = net.Dial(network, l.Addr().String())
	require.NoError(t, err)
	server, err = l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

func pairTCP(t testing.TB) (client, server net.Conn) {
	return pair(t, "tcp", "127.0.0.1:0")
}

// waitPeek waits until peek returns want: the kernel takes time to deliver.
func waitPeek(t *testing.T, c *Conn, want error) {
	t.Helper()
	for start := time.Now(); time.Since(start) < 10*time.Second; runtime.Gosched() {
		c.reading.Lock()
		err := c.sock.peek()
		c.reading.Unlock()
		if err == want {
			return
		}
	}
	t.Fatalf("peek never returned %v", want)
}

// waitCheck calls Check until it finds something.
func waitCheck(t *testing.T, c *Conn) error {
	t.Helper()
	for start := time.Now(); time.Since(start) < 10*time.Second; runtime.Gosched() {
		if err := c.Check(); err != nil {
			return err
		}
	}
	t.Fatal("Check never found anything")
	return nil
}

// reset closes c with a RST.
func reset(t *testing.T, c net.Conn) {
	t.Helper()
	require.NoError(t, c.(*net.TCPConn).SetLinger(0))
	require.NoError(t, c.Close())
}

// wantExchange fails unless a request and its answer get through.
func wantExchange(t *testing.T, c *Conn, peer net.Conn) {
	t.Helper()
	assert.True(t, c.IsValid())
	answered := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(peer, make([]byte, 7))
		peer.Write([]byte("answer"))
		answered <- err
	}()
	_, err := io.WriteString(c, "request")
	require.NoError(t, err)
	require.NoError(t, <-answered)
	b := make([]byte, 6)
	_, err = io.ReadFull(c, b)
	require.NoError(t, err)
	assert.Equal(t, "answer", string(b))
}

func wantBad(t *testing.T, err, is error) {
	t.Helper()
	assert.ErrorIs(t, err, is)
	assert.ErrorIs(t, err, driver.ErrBadConn)
	assert.True(t, driver.SafeToRetry(err))
}

func TestCheckOfASocket(t *testing.T) {
	for name, address := range map[string][2]string{
		"tcp":  {"tcp", "127.0.0.1:0"},
		"unix": {"unix", filepath.Join(t.TempDir(), "sock")},
	} {
		t.Run(name+"/silence", func(t *testing.T) {
			nc, s := pair(t, address[0], address[1])
			c := New(nc)
			require.NoError(t, c.Check())
			require.NoError(t, c.ResetSession(t.Context()))
			wantExchange(t, c, s)
		})
		t.Run(name+"/data", func(t *testing.T) {
			nc, s := pair(t, address[0], address[1])
			c := New(nc)
			s.Write([]byte("x"))
			wantBad(t, waitCheck(t, c), ErrUnread)
			wantBad(t, c.ResetSession(t.Context()), ErrUnread)
			_, err := io.ReadFull(c, make([]byte, 1))
			require.NoError(t, err)
			require.NoError(t, c.Check())
			wantExchange(t, c, s)
		})
		t.Run(name+"/close", func(t *testing.T) {
			nc, s := pair(t, address[0], address[1])
			c := New(nc)
			s.Close()
			wantBad(t, waitCheck(t, c), io.EOF)
			wantBad(t, c.ResetSession(t.Context()), io.EOF)
			assert.False(t, c.IsValid())
		})
	}
}

func TestCheckFindsAReset(t *testing.T) {
	nc, s := pairTCP(t)
	c := New(nc)
	reset(t, s)
	wantBad(t, waitCheck(t, c), syscall.ECONNRESET)
	wantBad(t, c.Check(), syscall.ECONNRESET)
	assert.ErrorIs(t, c.Err(), syscall.ECONNRESET)
}

func TestCheckFindsASocketThatWasClosedBeneathIt(t *testing.T) {
	nc, _ := pairTCP(t)
	c := New(nc)
	nc.Close()
	wantBad(t, c.Check(), net.ErrClosed)
}

func TestNewOnAClosedSocket(t *testing.T) {
	nc, _ := pairTCP(t)
	nc.Close()
	wantBad(t, New(nc).Check(), net.ErrClosed)
}

func TestCheckIgnoresDeadlines(t *testing.T) {
	nc, s := pairTCP(t)
	c := New(nc)
	require.NoError(t, c.SetDeadline(aLongTimeAgo))
	require.NoError(t, c.Check())
	s.Write([]byte("x"))
	wantBad(t, waitCheck(t, c), ErrUnread)
	_, err := c.Read(make([]byte, 1))
	assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

func TestCheckOfASocketAllocatesNothing(t *testing.T) {
	nc, s := pairTCP(t)
	c := New(nc)
	go io.Copy(s, s)
	b := make([]byte, 64)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		c.Bind(context.Background())()
		c.SetDeadline(time.Now().Add(time.Minute))
		c.Write(b)
		c.Read(b)
		if !c.IsValid() || c.ResetSession(t.Context()) != nil {
			t.Error("connection is unusable")
		}
	}))
	c.Close()
}

// spy records the read deadline set on a socket.
type spy struct {
	*net.TCPConn
	readBy time.Time
}

func (s *spy) SetReadDeadline(t time.Time) error {
	s.readBy = t
	return s.TCPConn.SetReadDeadline(t)
}

// tlsPair makes a TLS connection over real sockets. The server asks for a
// certificate, so that it sends its tickets after the handshake and they stay in
// the client's socket, as with most servers; otherwise Go's server sends them
// earlier.
func tlsPair(t *testing.T, version uint16) (c *Conn, server *tls.Conn, sock *spy) {
	t.Helper()
	nc, ns := pairTCP(t)
	sock = &spy{TCPConn: nc.(*net.TCPConn)}
	ca := testcert.NewCA()
	sc, cc := ca.ServerConfig(), ca.ClientConfig()
	sc.ClientAuth = tls.RequestClientCert
	sc.MaxVersion = version
	cc.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	client := tls.Client(sock, cc)
	server = tls.Server(ns, sc)
	shaken := make(chan error, 1)
	go func() { shaken <- server.Handshake() }()
	require.NoError(t, client.Handshake())
	require.NoError(t, <-shaken)
	return New(client), server, sock
}

func TestCheckOfTLS(t *testing.T) {
	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		t.Run(name+"/silence", func(t *testing.T) {
			c, s, sock := tlsPair(t, version)
			if version == tls.VersionTLS13 {
				waitPeek(t, c, ErrUnread) // the tickets
			}
			for range 3 {
				require.NoError(t, c.Check())
				waitPeek(t, c, nil)
				assert.Zero(t, sock.readBy)
			}
			wantExchange(t, c, s)
			require.NoError(t, c.ResetSession(t.Context()))
			wantExchange(t, c, s)
		})
		t.Run(name+"/data", func(t *testing.T) {
			c, s, sock := tlsPair(t, version)
			s.Write([]byte("x"))
			wantBad(t, waitCheck(t, c), ErrUnread)
			wantBad(t, c.Check(), ErrUnread)
			assert.False(t, c.IsValid())
			assert.Zero(t, sock.readBy)
			b := make([]byte, 2)
			n, err := c.Read(b)
			require.NoError(t, err)
			assert.Equal(t, "x", string(b[:n]))
			require.NoError(t, c.Check())
			wantExchange(t, c, s)
		})
		t.Run(name+"/data that TLS has decrypted", func(t *testing.T) {
			c, s, _ := tlsPair(t, version)
			s.Write([]byte("answer, and more"))
			_, err := io.ReadFull(c, make([]byte, 6))
			require.NoError(t, err)
			waitPeek(t, c, nil)
			wantBad(t, c.Check(), ErrUnread)
			rest := make([]byte, 10)
			_, err = io.ReadFull(c, rest)
			require.NoError(t, err)
			assert.Equal(t, ", and more", string(rest))
			wantExchange(t, c, s)
		})
		t.Run(name+"/close_notify", func(t *testing.T) {
			c, s, _ := tlsPair(t, version)
			require.NoError(t, s.CloseWrite())
			waitPeek(t, c, ErrUnread)
			wantBad(t, waitCheck(t, c), io.EOF)
			assert.False(t, c.IsValid())
		})
		t.Run(name+"/close", func(t *testing.T) {
			c, s, _ := tlsPair(t, version)
			s.Close()
			wantBad(t, waitCheck(t, c), io.EOF)
		})
		t.Run(name+"/FIN alone", func(t *testing.T) {
			c, s, _ := tlsPair(t, version)
			s.NetConn().Close()
			wantBad(t, waitCheck(t, c), io.EOF)
		})
		t.Run(name+"/RST", func(t *testing.T) {
			c, s, _ := tlsPair(t, version)
			reset(t, s.NetConn())
			wantBad(t, waitCheck(t, c), syscall.ECONNRESET)
		})
		t.Run(name+"/not TLS", func(t *testing.T) {
			c, s, _ := tlsPair(t, version)
			s.NetConn().Write([]byte("500 go away\r\n"))
			err := waitCheck(t, c)
			assert.ErrorIs(t, err, driver.ErrBadConn)
			assert.ErrorAs(t, err, new(tls.RecordHeaderError))
		})
	}
}

func TestCheckRestoresTheDeadlineUnderTLS(t *testing.T) {
	c, _, sock := tlsPair(t, tls.VersionTLS13)
	by := time.Now().Add(time.Hour)
	require.NoError(t, c.SetReadDeadline(by))
	sock.readBy = time.Time{}
	require.NoError(t, c.Check())
	assert.Equal(t, by, sock.readBy)
}

// A peer can keep the probe busy with records that TLS handles itself. Check must give
// up at some point.
func TestCheckOfAFloodEnds(t *testing.T) {
	nc, s := pairTCP(t)
	c := New(&deaf{Conn: nc})
	s.Write([]byte("x"))
	waitPeek(t, c, ErrUnread)
	wantBad(t, c.Check(), ErrUnread)
}

// deaf is a layer that never finds anything in the bytes of its socket.
type deaf struct{ net.Conn }

func (d *deaf) NetConn() net.Conn        { return d.Conn }
func (d *deaf) Read([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

func TestCheckBeforeTheTLSHandshakePeeksOnly(t *testing.T) {
	nc, s := pairTCP(t)
	c := New(tls.Client(nc, testcert.NewCA().ClientConfig()))
	require.NoError(t, c.Check())
	s.Close()
	wantBad(t, waitCheck(t, c), io.EOF)
}
