package tls_test

import (
	"context"
	stdtls "crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/internal/testcert"
)

// In TLS 1.3 the handshake is over for the client before the server has seen
// the certificate.
func TestARefusedClientCertificateIsFoundAtConnect(t *testing.T) {
	ca, stranger := testcert.NewCA(), testcert.NewCA()
	bad := stranger.Client("eve")
	for version, number := range versions {
		for _, tc := range []struct {
			name   string
			change func(server *stdtls.Config, c *tls.Config)
			want   string
		}{
			{"none", func(*stdtls.Config, *tls.Config) {}, "tls: the server wants a client certificate, but none is set, or none that it accepts (cert and key): remote error: tls: "},
			{"of an unknown authority", func(_ *stdtls.Config, c *tls.Config) {
				c.TLS.Base.GetClientCertificate = func(*stdtls.CertificateRequestInfo) (*stdtls.Certificate, error) { return &bad, nil }
			}, `tls: the server refused the client's certificate (subject "CN=eve", by "CN=hotline test CA", valid from 1999-01-01 to 2099-01-01): remote error: tls: `},
			{"that the server's own check refuses", func(server *stdtls.Config, c *tls.Config) {
				server.VerifyConnection = func(stdtls.ConnectionState) error { return errors.New("not today") }
				c.TLS.Base.Certificates = []stdtls.Certificate{ca.Client("ada")}
			}, `tls: the server refused the client's certificate (subject "CN=ada", by "CN=hotline test CA", valid from 1999-01-01 to 2099-01-01): remote error: tls: bad certificate`},
		} {
			t.Run("TLS "+version+"/"+tc.name, func(t *testing.T) {
				server := mutual(ca.ServerConfig(), ca)
				server.MaxVersion = number
				nw, config := secure(t, ca, server, echo)
				tc.change(server, &config)
				_, err := connect(t, config)
				require.ErrorContains(t, err, tc.want)
				wantDoubted(t, err)
				assert.Zero(t, nw.Stats().Open)
			})
		}
	}
}

func TestAnAcceptedClientCertificateCostsAnotherRoundTrip(t *testing.T) {
	for _, tickets := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			ca := testcert.NewCA()
			server := mutual(ca.ServerConfig(), ca)
			server.SessionTicketsDisabled = !tickets
			nw, config := secure(t, ca, server, echo)
			config.TLS.Base.Certificates = []stdtls.Certificate{ca.Client("ada")}
			nw.SetLatency(5*time.Millisecond, 5*time.Millisecond)
			var judged time.Time
			config.TCP.Handshake = func(_ context.Context, c net.Conn) (net.Conn, error) {
				judged = time.Now()
				wantEcho(t, c) // the login has no deadline left over from the wait
				return c, nil
			}
			start := time.Now()
			c, err := connect(t, config)
			require.NoError(t, err)
			want := 30 * time.Millisecond // dial, handshake, verification
			if !tickets {
				want = 20*time.Millisecond + 2*10*time.Millisecond + 50*time.Millisecond
			}
			assert.Equal(t, want, judged.Sub(start))
			<-time.After(time.Hour)
			wantEcho(t, c)
			require.NoError(t, c.Ping(t.Context()))
		})
	}
}

// A distant server that sends no tickets may need all of ConnectTimeout.
func TestWaitingForAcceptanceTakesAQuarterOfTheTimeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := testcert.NewCA()
		server := mutual(ca.ServerConfig(), ca)
		server.SessionTicketsDisabled = true
		nw, config := secure(t, ca, server, echo)
		config.TLS.Base.Certificates = []stdtls.Certificate{ca.Client("ada")}
		nw.SetLatency(2*time.Second, 2*time.Second)
		start := time.Now()
		c, err := connect(t, config) // within 10 s
		require.NoError(t, err)
		assert.Equal(t, 8*time.Second+500*time.Millisecond, time.Since(start), "dial, handshake, a quarter of the rest")
		wantEcho(t, c)
	})
}

// The first byte from the server means acceptance, and still belongs to the protocol.
func TestAServerThatSpeaksFirstAcceptsTheClient(t *testing.T) {
	ca := testcert.NewCA()
	server := mutual(ca.ServerConfig(), ca)
	server.SessionTicketsDisabled = true
	_, config := secure(t, ca, server, func(c *stdtls.Conn) {
		_, _ = io.WriteString(c, "* OK ready")
		echo(c)
	})
	config.TLS.Base.Certificates = []stdtls.Certificate{ca.Client("ada")}
	c, err := connect(t, config)
	require.NoError(t, err)
	assert.True(t, c.ConnectionState().HandshakeComplete)
	n, err := c.Read(nil)
	require.NoError(t, err)
	require.Zero(t, n)
	wantRead(t, c, "* OK ready")
	wantEcho(t, c)
}

func TestWaitingForAcceptanceEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := testcert.NewCA()
		server := mutual(ca.ServerConfig(), ca)
		judging := make(chan struct{})
		ends := make(chan struct{})
		server.VerifyConnection = func(stdtls.ConnectionState) error { close(judging); <-ends; return nil }
		nw, config := secure(t, ca, server, echo)
		config.TLS.Base.Certificates = []stdtls.Certificate{ca.Client("ada")}
		client, err := tls.NewClient(config.TLS, "localhost")
		require.NoError(t, err)
		nc, err := nw.DialContext(t.Context(), "tcp", config.TCP.Address)
		require.NoError(t, err)
		defer nc.Close()
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-judging; cancel() }()
		c, err := client.Handshake(ctx, nc)
		assert.Nil(t, c)
		require.EqualError(t, err, "tls: the server did not finish the handshake: context canceled")
		assert.False(t, driver.IsPermanent(err))
		close(ends)
	})
}

func TestAServerThatDiesDuringVerificationIsNotAPermanentError(t *testing.T) {
	ca := testcert.NewCA()
	server := mutual(ca.ServerConfig(), ca)
	nw, config := secure(t, ca, server, echo)
	server.VerifyConnection = func(stdtls.ConnectionState) error { nw.Cut(); return nil }
	config.TLS.Base.Certificates = []stdtls.Certificate{ca.Client("ada")}
	_, err := connect(t, config)
	require.ErrorContains(t, err, "tls: ")
	assert.False(t, driver.IsPermanent(err), err)
}
