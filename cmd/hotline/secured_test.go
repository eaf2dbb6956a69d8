package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/internal/testserver"
)

// serveTLS starts a PING server and returns a DSN for it.
func serveTLS(t *testing.T, change func(*tls.Config)) (*testserver.Server, string) {
	t.Helper()
	ca := testcert.NewCA()
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, ca.PEM(), 0o600))
	config := ca.ServerConfig()
	change(config)
	server, _ := serve(t, func(ln net.Listener) { new(testserver.Ping).Serve(tls.NewListener(ln, config)) })
	return server, "tls://" + server.Addr() + pinging + "&ca=" + url.QueryEscape(file)
}

func TestPingOverTLSDescribesTheConnection(t *testing.T) {
	const d = `\d+(\.\d+)?(ns|µs|ms|s)`
	for name, tc := range map[string]struct {
		change func(*tls.Config)
		agreed string
		again  string
	}{
		"TLS 1.3": {func(*tls.Config) {}, "TLS 1.3 with TLS_", "by resuming the session"},
		"TLS 1.2": {func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, "TLS 1.2 with TLS_ECDHE_ECDSA_", "by resuming the session"},
		"no tickets": {func(c *tls.Config) { c.SessionTicketsDisabled = true }, "TLS 1.3 with TLS_",
			"with a full handshake; the server does not resume sessions"},
	} {
		t.Run(name, func(t *testing.T) {
			server, dsn := serveTLS(t, tc.change)
			r := hotline(t.Context(), "ping", dsn)
			r.wantSuccess(t)
			assert.Regexp(t, `^tls `+server.Addr()+`: connected in `+d+`
`+tc.agreed+`\w+; the server's certificate expires on 2099-01-01, in [\d,]+ days
5 round trips: min `+d+`, avg `+d+`, max `+d+`
connected again in `+d+`, `+tc.again+`
$`, r.out)
			assert.Equal(t, 2, server.Stats().Accepted)
		})
	}
}

func TestPingReportsThatItCantConnectAgain(t *testing.T) {
	accepted := 0
	server, dsn := serveTLS(t, func(c *tls.Config) {
		c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			if accepted++; accepted > 1 {
				return nil, net.ErrClosed
			}
			return nil, nil
		}
	})
	hotline(t.Context(), "ping", dsn).wantFailure(t, exitFailed, "connecting again: tcp: handshake with "+server.Addr()+": ")
}

func TestTheCertificateThatExpiresFirstCounts(t *testing.T) {
	var out bytes.Buffer
	now := time.Now()
	describeTLS(&out, tls.ConnectionState{Version: tls.VersionTLS12, PeerCertificates: []*x509.Certificate{
		{NotAfter: now.Add(1000 * 24 * time.Hour)}, {NotAfter: now.Add(36 * time.Hour)}, {NotAfter: now.Add(100 * 24 * time.Hour)},
	}})
	assert.Contains(t, out.String(), "the server's certificate expires on "+now.Add(36*time.Hour).Format(time.DateOnly)+", in 1 day\n")
}
