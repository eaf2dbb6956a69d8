package tls_test

import (
	"context"
	stdtls "crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/internal/doubt"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/internal/testcert"
)

// systemCA is the system's authority as seen by this process, if crypto/x509 reads
// SSL_CERT_FILE.
var systemCA = testcert.NewCA()

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "ca.pem"), systemCA.PEM(), 0o600)
	}
	if err != nil {
		panic(err)
	}
	os.Setenv("SSL_CERT_FILE", filepath.Join(dir, "ca.pem"))
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// serve runs handle for each connection to l. At the end of the test it closes
// all connections and waits.
func serve(t testing.TB, l net.Listener, handle func(net.Conn)) {
	var wg sync.WaitGroup
	var mu sync.Mutex // guards open
	var open []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
}

func listenTCP(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

// raw serves handle on a network in memory, and returns a Config for it.
func raw(t testing.TB, handle func(net.Conn)) (*memnet.Network, tls.Config) {
	t.Helper()
	nw := new(memnet.Network)
	l, err := nw.Listen("localhost:1")
	require.NoError(t, err)
	serve(t, l, handle)
	return nw, tls.Config{TCP: tcp.Config{Address: "localhost:1", Dial: nw.DialContext}}
}

// secure serves handle over TLS, for a client that trusts ca.
func secure(t testing.TB, ca *testcert.CA, server *stdtls.Config, handle func(*stdtls.Conn)) (*memnet.Network, tls.Config) {
	t.Helper()
	nw, config := raw(t, overTLS(server, handle))
	config.TLS.Base = &stdtls.Config{RootCAs: ca.Pool()}
	return nw, config
}

func overTLS(server *stdtls.Config, handle func(*stdtls.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		s := stdtls.Server(c, server)
		if s.Handshake() == nil {
			handle(s)
		}
		s.Close()
	}
}

func echo(c *stdtls.Conn) { _, _ = io.Copy(c, c) }

// connect opens a connection with config and closes it at the end of the test.
func connect(t testing.TB, config tls.Config) (*tls.Conn, error) {
	t.Helper()
	connector, err := tls.NewConnector(config)
	require.NoError(t, err)
	return connectTo(t, connector)
}

func connectTo(t testing.TB, connector driver.Connector) (*tls.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := connector.Connect(ctx)
	if err != nil {
		require.Nil(t, c)
		return nil, err
	}
	t.Cleanup(func() { c.Close() })
	return c.(*tls.Conn), nil
}

// wantEcho checks that c leads to an echo server.
func wantEcho(t testing.TB, c net.Conn) {
	t.Helper()
	_, err := io.WriteString(c, "hello")
	require.NoError(t, err)
	wantRead(t, c, "hello")
}

func wantRead(t testing.TB, c net.Conn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	_, err := io.ReadFull(c, b)
	require.NoError(t, err)
	require.Equal(t, want, string(b))
}

// wantDoubted checks that err is permanent only if it lasts: a server that is
// restarting may send anything.
func wantDoubted(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	assert.False(t, driver.IsPermanent(err), "at once: %v", err)
	synctest.Test(t, func(t *testing.T) {
		var d doubt.Doubt
		_ = d.Classify(err)
		<-time.After(doubt.Patience)
		assert.True(t, driver.IsPermanent(d.Classify(err)), "if it lasts: %v", err)
	})
}

// write makes a file and returns its name.
func write(t testing.TB, name string, content []byte) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(name, content, 0o600))
	return name
}

// writeClient makes the files of a client's certificate.
func writeClient(t testing.TB, ca *testcert.CA, name string) (cert, key string) {
	t.Helper()
	certPEM, keyPEM := testcert.PEM(ca.Client(name))
	return write(t, "cert.pem", certPEM), write(t, "key.pem", keyPEM)
}

// mutual makes a server want certificates of ca.
func mutual(server *stdtls.Config, ca *testcert.CA) *stdtls.Config {
	server.ClientAuth = stdtls.RequireAndVerifyClientCert
	server.ClientCAs = ca.Pool()
	return server
}

// versions differ in what happens after the handshake.
var versions = map[string]uint16{"1.2": stdtls.VersionTLS12, "1.3": stdtls.VersionTLS13}

func parse(der []byte) *x509.Certificate {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return cert
}

func derOfPEM(text []byte) []byte {
	block, _ := pem.Decode(text)
	return block.Bytes
}
