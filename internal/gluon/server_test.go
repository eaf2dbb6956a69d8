package gluon_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/gluon"
	"github.com/ProtonMail/gluon/connector"
	gluonimap "github.com/ProtonMail/gluon/imap"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/testcert"
)

func TestMain(m *testing.M) {
	logrus.SetOutput(io.Discard)
	goleak.VerifyTestMain(m)
}

const (
	account  = "ada@example.org"
	password = "p4ss,w/rd@"
)

// server is a gluon with one account.
type server struct {
	t      testing.TB
	ca     *testcert.CA
	gluon  *gluon.Server
	plain  *listener // STARTTLS or plain text
	secure *listener // TLS from the first byte
}

// listener is a listener that can hang up on all clients.
type listener struct {
	net.Listener
	mu   sync.Mutex // guards open
	open []net.Conn
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.open = append(l.open, c)
	}
	return c, err
}

// hangUp ends all connections.
func (l *listener) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.open {
		_ = c.Close()
	}
	l.open = nil
}

// start runs a server until the test ends.
func start(t testing.TB) *server {
	s := &server{t: t, ca: testcert.NewCA()}
	dir := t.TempDir()
	var err error
	s.gluon, err = gluon.New(
		gluon.WithDataDir(dir), gluon.WithDatabaseDir(dir), gluon.WithTLS(s.ca.ServerConfig()),
		gluon.WithLoginJailTime(time.Millisecond), gluon.WithIdleBulkTime(10*time.Millisecond),
	)
	require.NoError(t, err)
	flags := gluonimap.NewFlagSet(`\Answered`, `\Seen`, `\Flagged`, `\Deleted`)
	users := connector.NewDummy([]string{account}, []byte(password), 10*time.Millisecond, flags, flags, gluonimap.NewFlagSet())
	_, err = s.gluon.AddUser(context.Background(), users, []byte(password))
	require.NoError(t, err)
	require.NoError(t, users.Sync(context.Background()))
	s.plain, s.secure = s.listen(nil), s.listen(s.ca.ServerConfig())
	t.Cleanup(func() {
		require.NoError(t, s.gluon.Close(context.Background()))
		s.plain.Close()
		s.secure.Close()
	})
	return s
}

// listen serves a loopback port.
func (s *server) listen(config *tls.Config) *listener {
	below, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	l := &listener{Listener: below}
	var served net.Listener = l
	if config != nil {
		served = tls.NewListener(l, config)
	}
	require.NoError(s.t, s.gluon.Serve(context.Background(), served))
	return l
}

// config returns a Config for the server with the given encryption.
func (s *server) config(encryption string) imap.Config {
	var c imap.Config
	c.Encryption, c.User, c.Password = encryption, account, password
	c.TCP.Address = s.plain.Addr().String()
	if encryption == imap.Implicit {
		c.TCP.Address = s.secure.Addr().String()
	}
	c.TLS.Base = &tls.Config{RootCAs: s.ca.Pool()}
	return c
}

// connector returns a connector for the server with the given encryption.
func (s *server) connector(encryption string) driver.Connector {
	s.t.Helper()
	connector, err := imap.NewConnector(s.config(encryption))
	require.NoError(s.t, err)
	return connector
}

func (s *server) dial(encryption string) *imap.Conn {
	s.t.Helper()
	c, err := s.connector(encryption).Connect(soon(s.t))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { c.Close() })
	return c.(*imap.Conn)
}

// soon returns a context that ends before the test times out.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
