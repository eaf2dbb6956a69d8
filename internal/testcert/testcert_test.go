package testcert_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/internal/testcert"
)

// handshake does a handshake in memory and returns the error of each side. The server
// writes a byte, so that the client learns whether its certificate was refused.
func handshake(t *testing.T, server, client *tls.Config) (serverErr, clientErr error) {
	t.Helper()
	var nw memnet.Network
	l, err := nw.Listen("server:1")
	require.NoError(t, err)
	defer l.Close()
	cn, err := nw.DialContext(t.Context(), "tcp", "server:1")
	require.NoError(t, err)
	defer cn.Close()
	sn, err := l.Accept()
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		defer sn.Close()
		s := tls.Server(sn, server)
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte("x"))
		}
		done <- err
	}()
	c := tls.Client(cn, client)
	_, clientErr = io.ReadFull(c, make([]byte, 1))
	cn.Close()
	return <-done, clientErr
}

func TestServerIsTrustedOnlyByItsOwnClients(t *testing.T) {
	ca, stranger := testcert.NewCA(), testcert.NewCA()
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		client := ca.ClientConfig()
		client.ServerName = name
		_, err := handshake(t, ca.ServerConfig(), client)
		assert.NoError(t, err, name)
	}
	_, err := handshake(t, ca.ServerConfig(), stranger.ClientConfig())
	var unknown x509.UnknownAuthorityError
	assert.ErrorAs(t, err, &unknown)
}

func TestServerHasTheNamesItWasGiven(t *testing.T) {
	ca := testcert.NewCA()
	server := ca.ServerConfig("db.example", "192.0.2.1")
	_, err := handshake(t, server, ca.ClientConfig())
	var wrongName x509.HostnameError
	require.ErrorAs(t, err, &wrongName)
	for _, name := range []string{"db.example", "192.0.2.1"} {
		client := ca.ClientConfig()
		client.ServerName = name
		_, err := handshake(t, server, client)
		assert.NoError(t, err, name)
	}
}

func TestExpiredIsRefused(t *testing.T) {
	ca := testcert.NewCA()
	server := &tls.Config{Certificates: []tls.Certificate{ca.Expired()}}
	_, err := handshake(t, server, ca.ClientConfig())
	var invalid x509.CertificateInvalidError
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, x509.Expired, invalid.Reason)
}

func TestClientCertificateSatisfiesAServer(t *testing.T) {
	ca := testcert.NewCA()
	server := ca.ServerConfig()
	server.ClientAuth = tls.RequireAndVerifyClientCert
	server.ClientCAs = ca.Pool()
	client := ca.ClientConfig()
	serverErr, _ := handshake(t, server, client)
	assert.Error(t, serverErr)

	client.Certificates = []tls.Certificate{ca.Client("alice")}
	serverErr, clientErr := handshake(t, server, client)
	assert.NoError(t, serverErr)
	assert.NoError(t, clientErr)
	assert.Equal(t, "alice", client.Certificates[0].Leaf.Subject.CommonName)
}

func TestIssueSetsMissingFields(t *testing.T) {
	ca := testcert.NewCA()
	cert := ca.Issue(&x509.Certificate{DNSNames: []string{"localhost"}})
	_, err := handshake(t, &tls.Config{Certificates: []tls.Certificate{cert}}, ca.ClientConfig())
	assert.NoError(t, err)
}

func TestPEMCanBeReadBack(t *testing.T) {
	ca := testcert.NewCA()
	cert, err := tls.X509KeyPair(testcert.PEM(ca.Server()))
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(ca.PEM()))
	client := &tls.Config{RootCAs: roots, ServerName: "localhost"}
	_, err = handshake(t, &tls.Config{Certificates: []tls.Certificate{cert}}, client)
	assert.NoError(t, err)
}

func TestCertificatesAreValidInFakeTime(t *testing.T) {
	ca := testcert.NewCA()
	synctest.Test(t, func(t *testing.T) {
		_, err := handshake(t, ca.ServerConfig(), ca.ClientConfig())
		assert.NoError(t, err)
	})
}
