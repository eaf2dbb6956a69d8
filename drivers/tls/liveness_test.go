package tls_test

import (
	stdtls "crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/internal/testcert"
)

var _ interface {
	net.Conn
	driver.Pinger
	driver.Binder
	driver.Validator
	driver.SessionResetter
} = (*tls.Conn)(nil)

// tickets is a cache that records whether a ticket was read.
type tickets struct {
	stdtls.ClientSessionCache
	read bool
}

func (c *tickets) Put(key string, s *stdtls.ClientSessionState) {
	c.read = true
	c.ClientSessionCache.Put(key, s)
}

// listeners lists a real socket, where the probe uses a system call, and one in
// memory.
var listeners = map[string]func(t testing.TB) (l net.Listener, config tls.Config){
	"socket": func(t testing.TB) (net.Listener, tls.Config) {
		l := listenTCP(t)
		return l, tls.Config{TCP: tcp.Config{Address: l.Addr().String()}}
	},
	"memory": func(t testing.TB) (net.Listener, tls.Config) {
		var nw memnet.Network
		l, err := nw.Listen("localhost:1")
		require.NoError(t, err)
		return l, tls.Config{TCP: tcp.Config{Address: "localhost:1", Dial: nw.DialContext}}
	},
}

// pair connects, and returns the server's end, whose handshake is done and
// whose tickets are sent.
func pair(t testing.TB, listen func(testing.TB) (net.Listener, tls.Config), version uint16) (c *tls.Conn, server *stdtls.Conn, cache *tickets) {
	t.Helper()
	ca := testcert.NewCA()
	cache = &tickets{ClientSessionCache: stdtls.NewLRUClientSessionCache(1)}
	accepted, ended := make(chan *stdtls.Conn, 1), make(chan struct{})
	l, config := listen(t)
	over := ca.ServerConfig()
	over.MaxVersion = version
	serve(t, l, func(c net.Conn) {
		s := stdtls.Server(c, over)
		if assert.NoError(t, s.Handshake()) {
			accepted <- s
		}
		<-ended // the test has the connection
	})
	t.Cleanup(func() { close(ended) })
	config.TLS.Base = &stdtls.Config{RootCAs: ca.Pool(), ServerName: "localhost", ClientSessionCache: cache}
	c, err := connect(t, config)
	require.NoError(t, err)
	return c, <-accepted, cache
}

func forEach(t *testing.T, f func(t *testing.T, listen func(testing.TB) (net.Listener, tls.Config), version uint16)) {
	for network, listen := range listeners {
		for version, number := range versions {
			t.Run(network+"/TLS "+version, func(t *testing.T) {
				if network == "memory" {
					synctest.Test(t, func(t *testing.T) { f(t, listen, number) })
				} else {
					f(t, listen, number)
				}
			})
		}
	}
}

func TestAHealthyIdleConnectionIsAlive(t *testing.T) {
	forEach(t, func(t *testing.T, listen func(testing.TB) (net.Listener, tls.Config), version uint16) {
		c, server, cache := pair(t, listen, version)
		assert.Equal(t, version == stdtls.VersionTLS12, cache.read, "the tickets of TLS 1.3 are unread")
		for range 3 {
			assert.True(t, c.IsValid())
			require.NoError(t, c.ResetSession(t.Context()))
			require.NoError(t, c.Ping(t.Context()))
		}
		assert.True(t, cache.read, "the check has read them")
		_, err := io.WriteString(server, "hello")
		require.NoError(t, err)
		wantRead(t, c, "hello")
	})
}

func TestAClosedConnectionIsDead(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, s *stdtls.Conn){
		"close_notify": func(t *testing.T, s *stdtls.Conn) { require.NoError(t, s.CloseWrite()) },
		"FIN":          func(t *testing.T, s *stdtls.Conn) { require.NoError(t, s.NetConn().Close()) },
		"both":         func(t *testing.T, s *stdtls.Conn) { require.NoError(t, s.Close()) },
		"RST": func(t *testing.T, s *stdtls.Conn) {
			if socket, ok := s.NetConn().(*net.TCPConn); ok {
				require.NoError(t, socket.SetLinger(0))
				require.NoError(t, socket.Close())
				return
			}
			s.NetConn().(*memnet.Conn).Cut()
		},
	} {
		t.Run(name, func(t *testing.T) {
			forEach(t, func(t *testing.T, listen func(testing.TB) (net.Listener, tls.Config), version uint16) {
				c, server, _ := pair(t, listen, version)
				end(t, server)
				err := c.ResetSession(t.Context())
				require.ErrorIs(t, err, driver.ErrBadConn)
				if name != "RST" {
					require.ErrorIs(t, err, io.EOF)
				}
				assert.True(t, driver.SafeToRetry(err))
				assert.False(t, c.IsValid())
				assert.Error(t, c.Ping(t.Context()))
			})
		})
	}
}

func TestUnsolicitedDataMakesAConnectionInvalid(t *testing.T) {
	forEach(t, func(t *testing.T, listen func(testing.TB) (net.Listener, tls.Config), version uint16) {
		c, server, _ := pair(t, listen, version)
		_, err := io.WriteString(server, "421 bye")
		require.NoError(t, err)
		require.ErrorIs(t, c.ResetSession(t.Context()), conn.ErrUnread)
		assert.False(t, c.IsValid())
		wantRead(t, c, "421 bye")
	})
}

func TestACheckLeavesNoDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server, _ := pair(t, listeners["memory"], stdtls.VersionTLS13)
		require.NoError(t, c.ResetSession(t.Context()))
		start := time.Now()
		time.AfterFunc(time.Hour, func() { _, _ = io.WriteString(server, "hello") })
		wantRead(t, c, "hello")
		assert.Equal(t, time.Hour, time.Since(start).Truncate(time.Second))
	})
}

// sniffed records the bytes read.
type sniffed struct {
	net.Conn
	mu   sync.Mutex
	read []byte
}

func (s *sniffed) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = append(s.read, b[:n]...)
	return n, err
}

// crypto/tls also accepts a bare FIN as a goodbye, so the test checks the records.
// In TLS 1.2 their type is visible.
func TestCloseSaysGoodbye(t *testing.T) {
	const alertRecord = 21
	ca := testcert.NewCA()
	over := ca.ServerConfig()
	over.MaxVersion = stdtls.VersionTLS12
	last := make(chan byte, 1)
	_, config := raw(t, func(c net.Conn) {
		socket := &sniffed{Conn: c}
		s := stdtls.Server(socket, over)
		_, _ = io.Copy(s, s)
		sealed := 5 + 8 + 2 + 16 // header, nonce, alert, tag
		last <- socket.read[len(socket.read)-sealed]
	})
	config.TLS.Base = &stdtls.Config{RootCAs: ca.Pool(), CipherSuites: []uint16{stdtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
	c, err := connect(t, config)
	require.NoError(t, err)
	wantEcho(t, c)
	require.NoError(t, c.Close())
	assert.EqualValues(t, alertRecord, <-last)
	require.NoError(t, c.Close(), "a second one does nothing")
}

func TestCloseOfAStuckPeerTakesAtMostASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server, _ := pair(t, listeners["memory"], stdtls.VersionTLS13)
		server.NetConn().(*memnet.Conn).Silence(true)
		start := time.Now()
		require.NoError(t, c.Close())
		assert.Zero(t, time.Since(start), "there is room for the goodbye")

		c, server, _ = pair(t, listeners["memory"], stdtls.VersionTLS13)
		server.NetConn().(*memnet.Conn).Silence(true)
		socket := c.NetConn().(*stdtls.Conn).NetConn()
		require.NoError(t, socket.SetWriteDeadline(time.Now().Add(time.Second)))
		_, _ = socket.Write(make([]byte, 1<<20)) // until there is no more room
		require.NoError(t, socket.SetWriteDeadline(time.Time{}))
		start = time.Now()
		c.Close()
		assert.Equal(t, time.Second, time.Since(start))
	})
}
