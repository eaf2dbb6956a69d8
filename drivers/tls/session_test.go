package tls_test

import (
	"context"
	stdtls "crypto/tls"
	"net"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/internal/testcert"
)

// resumes connects, uses the connection, and reports whether the session was
// an old one.
func resumes(t *testing.T, connector driver.Connector) bool {
	t.Helper()
	c, err := connectTo(t, connector)
	require.NoError(t, err)
	wantEcho(t, c)
	return c.ConnectionState().DidResume
}

func TestBytesReadByAHandshakeDoNotCountAsReceived(t *testing.T) {
	for version, number := range versions {
		t.Run("TLS "+version, func(t *testing.T) {
			ca := testcert.NewCA()
			server := ca.ServerConfig()
			server.MaxVersion = number
			_, config := secure(t, ca, server, echo)
			config.TCP.Handshake = func(_ context.Context, c net.Conn) (net.Conn, error) {
				wantEcho(t, c)
				return c, nil
			}
			c, err := connect(t, config)
			require.NoError(t, err)
			var received driver.Receiver = c
			assert.Zero(t, received.Received())
			wantEcho(t, c)
			assert.EqualValues(t, 5, received.Received(), "without the bytes of TLS")
			require.NoError(t, c.ResetSession(t.Context()))
			assert.Zero(t, received.Received())
		})
	}
}

func TestTheSecondConnectResumesTheSession(t *testing.T) {
	ca := testcert.NewCA()
	for version, number := range versions {
		for _, isMutual := range []bool{false, true} {
			for _, tc := range []struct {
				size int
				want bool
			}{{0, true}, {1, true}, {-1, false}} {
				t.Run("TLS "+version, func(t *testing.T) {
					server := ca.ServerConfig()
					server.MaxVersion = number
					if isMutual {
						mutual(server, ca)
					}
					_, config := secure(t, ca, server, echo)
					config.TLS.Base.Certificates = []stdtls.Certificate{ca.Client("ada")}
					config.TLS.Pins = []string{unescaped(pinOf(derOf(ca)))} // checked for resumed sessions too
					config.TLS.SessionCache = tc.size
					connector, err := tls.NewConnector(config)
					require.NoError(t, err)
					assert.False(t, resumes(t, connector))
					assert.Equal(t, tc.want, resumes(t, connector))
					assert.Equal(t, tc.want, resumes(t, connector))
					assert.False(t, resumes(t, mustConnector(t, config)), "each connector has its own sessions")
				})
			}
		}
	}
}

func mustConnector(t *testing.T, config tls.Config) driver.Connector {
	t.Helper()
	connector, err := tls.NewConnector(config)
	require.NoError(t, err)
	return connector
}

func TestSessionsAreKeptInTheUsersOwnCache(t *testing.T) {
	ca := testcert.NewCA()
	_, config := secure(t, ca, ca.ServerConfig(), echo)
	config.TLS.Base.ClientSessionCache = stdtls.NewLRUClientSessionCache(1)
	assert.False(t, resumes(t, mustConnector(t, config)))
	assert.True(t, resumes(t, mustConnector(t, config)))
}

func TestAServerThatHasForgottenTheSessionGetsAFullHandshake(t *testing.T) {
	ca := testcert.NewCA()
	server := ca.ServerConfig()
	server.SetSessionTicketKeys([][32]byte{{1}})
	_, config := secure(t, ca, server, echo)
	connector := mustConnector(t, config)
	assert.False(t, resumes(t, connector))
	server.SetSessionTicketKeys([][32]byte{{2}})
	assert.False(t, resumes(t, connector))
	assert.True(t, resumes(t, connector))
}

// replace changes a file, and also its time, because a coarse clock may not have
// advanced.
func replace(t *testing.T, name string, content []byte) {
	t.Helper()
	before, err := os.Stat(name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, content, 0o600))
	later := before.ModTime().Add(time.Second)
	require.NoError(t, os.Chtimes(name, later, later))
}

// onFiles serves clients with a certificate of ca. It returns a Config with files
// and the lines that it logs.
func onFiles(t *testing.T, ca *testcert.CA) (server *stdtls.Config, config tls.Config, client func() string, logged *[]string) {
	server = mutual(ca.ServerConfig(), ca)
	clients := make(chan string, 1)
	_, config = secure(t, ca, server, func(c *stdtls.Conn) {
		clients <- c.ConnectionState().PeerCertificates[0].Subject.CommonName
		echo(c)
	})
	config.TLS.Base = nil
	config.TLS.CA = write(t, "ca.pem", ca.PEM())
	config.TLS.Cert, config.TLS.Key = writeClient(t, ca, "ada")
	logged = new([]string)
	config.TLS.Logger = logr.New(funcr.New(func(_, args string) { *logged = append(*logged, args) }, funcr.Options{}).GetSink())
	return server, config, func() string { return <-clients }, logged
}

func TestChangedFilesCountForTheNextConnect(t *testing.T) {
	ca := testcert.NewCA()
	server, config, client, logged := onFiles(t, ca)
	connector := mustConnector(t, config)
	assert.False(t, resumes(t, connector))
	assert.Equal(t, "ada", client())
	assert.True(t, resumes(t, connector))
	assert.Equal(t, "ada", client())

	cert, key := testcert.PEM(ca.Client("bob"))
	replace(t, config.TLS.Cert, cert)
	replace(t, config.TLS.Key, key)
	assert.False(t, resumes(t, connector), "sessions made with the old certificate are forgotten")
	assert.Equal(t, "bob", client())
	assert.True(t, resumes(t, connector))
	assert.Equal(t, "bob", client())

	next := testcert.NewCA()
	replace(t, config.TLS.CA, next.PEM())
	_, err := connectTo(t, connector)
	require.ErrorContains(t, err, "unknown authority", "an old session does not help")
	server.Certificates = next.ServerConfig().Certificates
	assert.False(t, resumes(t, connector))
	assert.Equal(t, "bob", client())
	assert.Empty(t, *logged)
}

// A file may be unpacked, or copied with its times, and then renamed.
func TestAFileThatReplacesOneOfTheSameSizeAndTimeIsNoticed(t *testing.T) {
	ca := testcert.NewCA()
	_, config, client, _ := onFiles(t, ca)
	old, next := append(ca.PEM(), "\n\n\n\n"...), testcert.NewCA().PEM()
	for len(next) < len(old) {
		next = append(next, '\n')
	}
	require.Len(t, next, len(old))
	require.NoError(t, os.WriteFile(config.TLS.CA, old, 0o600))
	connector := mustConnector(t, config)
	assert.False(t, resumes(t, connector))
	assert.Equal(t, "ada", client())

	before, err := os.Stat(config.TLS.CA)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(config.TLS.CA+".new", next, 0o600))
	require.NoError(t, os.Chtimes(config.TLS.CA+".new", before.ModTime(), before.ModTime()))
	require.NoError(t, os.Rename(config.TLS.CA+".new", config.TLS.CA))
	_, err = connectTo(t, connector)
	require.ErrorContains(t, err, "unknown authority")
}

func TestTheFilesCountMoreThanTheUsersTLS(t *testing.T) {
	ca := testcert.NewCA()
	_, config, client, _ := onFiles(t, ca)
	other := ca.Client("eve")
	config.TLS.Base = &stdtls.Config{
		RootCAs:              testcert.NewCA().Pool(),
		Certificates:         []stdtls.Certificate{other},
		GetClientCertificate: func(*stdtls.CertificateRequestInfo) (*stdtls.Certificate, error) { return &other, nil },
	}
	assert.False(t, resumes(t, mustConnector(t, config)))
	assert.Equal(t, "ada", client())
}

func TestChangedFilesThatCantBeUsedAreLoggedOnceAndTheOldStay(t *testing.T) {
	ca := testcert.NewCA()
	_, config, client, logged := onFiles(t, ca)
	connector := mustConnector(t, config)
	assert.False(t, resumes(t, connector))
	assert.Equal(t, "ada", client())

	cert, key := testcert.PEM(ca.Client("bob"))
	replace(t, config.TLS.Cert, cert)
	for range 2 {
		assert.True(t, resumes(t, connector), "the sessions stay too")
		assert.Equal(t, "ada", client())
	}
	require.Len(t, *logged, 1)
	assert.Contains(t, (*logged)[0], "changed files can't be used, so the old ones stay in force")
	assert.Contains(t, (*logged)[0], config.TLS.Cert)
	assert.Contains(t, (*logged)[0], "private key does not match public key")

	replace(t, config.TLS.Key, key) // the other half of the change
	assert.False(t, resumes(t, connector))
	assert.Equal(t, "bob", client())

	replace(t, config.TLS.CA, []byte("junk"))
	assert.True(t, resumes(t, connector))
	assert.Equal(t, "bob", client())
	require.NoError(t, os.Remove(config.TLS.CA))
	assert.True(t, resumes(t, connector))
	assert.Equal(t, "bob", client())
	require.Len(t, *logged, 3)
	assert.Contains(t, (*logged)[1], "want PEM certificates")
	assert.Contains(t, (*logged)[2], "tls: ca: ")
	for _, line := range *logged {
		assert.NotContains(t, line, "PRIVATE")
	}
}
