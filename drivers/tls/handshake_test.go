package tls_test

import (
	"context"
	stdtls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/internal/testcert"
)

// silent reads and never answers.
func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// saying answers the first bytes with s, and then closes if closes is set.
func saying(s string, closes bool) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, s)
		if !closes {
			silent(c)
		}
	}
}

func TestAHandshakeThatNeverEndsEndsWithItsContext(t *testing.T) {
	ca := testcert.NewCA()
	// In TLS 1.2 the server has the last word.
	stopped := func(nw **memnet.Network) func(net.Conn) {
		server := ca.ServerConfig()
		server.MaxVersion = stdtls.VersionTLS12
		server.VerifyConnection = func(stdtls.ConnectionState) error { (*nw).Silence(true); return nil }
		return overTLS(server, echo)
	}
	var nw *memnet.Network
	for _, tc := range []struct {
		name   string
		server func(net.Conn)
	}{
		{"a silent server", silent},
		{"a record that begins", saying("\x16\x03\x03\x00\x7a\x02\x00", false)},
		{"plain text too short for a record", saying("+OK", false)},
		{"a server that stops halfway", stopped(&nw)},
	} {
		for _, cancels := range []bool{false, true} {
			t.Run(tc.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var config tls.Config
					nw, config = raw(t, tc.server)
					config.TLS.Base = &stdtls.Config{RootCAs: ca.Pool()}
					connector, err := tls.NewConnector(config)
					require.NoError(t, err)
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					want := context.DeadlineExceeded
					if cancels {
						ctx, cancel = context.WithCancel(t.Context())
						time.AfterFunc(time.Second, cancel)
						want = context.Canceled
					}
					defer cancel()
					start := time.Now()
					c, err := connector.Connect(ctx)
					assert.Nil(t, c)
					assert.ErrorIs(t, err, want)
					assert.ErrorContains(t, err, "tcp: handshake with localhost:1: ")
					assert.ErrorContains(t, err, "tls: the server did not finish the handshake: ")
					assert.False(t, driver.IsPermanent(err))
					assert.Equal(t, time.Second, time.Since(start))
					assert.Zero(t, nw.Stats().Open)
					nw.Silence(false)
				})
			})
		}
	}
}

func TestAccidentsInTheHandshakeAreNotPermanent(t *testing.T) {
	reset := func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		c.(*memnet.Conn).Cut()
	}
	for _, tc := range []struct {
		name   string
		server func(net.Conn)
		is     error
		want   string
	}{
		{"a close", saying("", true), io.EOF, "tls: the server closed the connection during the handshake: EOF"},
		{"a close within a record", saying("\x16\x03\x03\x00\x7a\x02\x00", true), io.ErrUnexpectedEOF, "tls: the server closed the connection during the handshake: "},
		{"a reset", reset, syscall.ECONNRESET, "tls: handshake: read "},
		{"internal_error", saying("\x15\x03\x03\x00\x02\x02\x50", false), nil, "tls: handshake: remote error: tls: internal error"},
		{"a garbled record", saying("\x16\x03\x03\x00\x04\x63\x00\x00\x00", false), nil, "tls: handshake: local error: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			nw, config := raw(t, tc.server)
			_, err := connect(t, config)
			require.ErrorContains(t, err, "tcp: handshake with localhost:1: "+tc.want)
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
			}
			assert.False(t, driver.IsPermanent(err), err)
			assert.Zero(t, nw.Stats().Open)
		})
	}
	t.Run("refused", func(t *testing.T) {
		nw, config := raw(t, silent)
		nw.Refuse(true)
		_, err := connect(t, config)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		assert.False(t, driver.IsPermanent(err))
	})
	t.Run("a hang", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			nw, config := raw(t, silent)
			nw.Hang(true)
			connector, err := tls.NewConnector(config)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err = connector.Connect(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.False(t, driver.IsPermanent(err))
		})
	})
}

func TestAServerThatDoesNotSpeakTLSIsAPermanentErrorIfItLasts(t *testing.T) {
	for name, tc := range map[string]struct{ says, want string }{
		"a mail server":      {"220 mail.test ESMTP\r\n", `tls: the server does not speak TLS on this port; its first bytes are "220 m": tls: first record does not look like a TLS handshake`},
		"an HTTP server":     {"HTTP/1.1 400 Bad Request\r\n\r\n", `its first bytes are "HTTP/"`},
		"an odd version":     {"\x16\x03\x03\x00\x2a\x02\x00\x00\x26\x03\x09" + string(make([]byte, 36)), "tls: handshake: tls: server selected unsupported protocol version 309"},
		"SSL 2":              {"\x80\x03\x04\x00\x01", "tls: handshake: tls: unsupported SSLv2 handshake received"},
		"handshake_failure":  {"\x15\x03\x03\x00\x02\x02\x28", "tls: the server refused the handshake: remote error: tls: handshake failure"},
		"unrecognized_name":  {"\x15\x03\x03\x00\x02\x02\x70", "tls: the server does not know this server_name: remote error: tls: unrecognized name"},
		"protocol_version":   {"\x15\x03\x03\x00\x02\x02\x46", "tls: the server refused the TLS versions from min_version to max_version: remote error: "},
		"no protocol (alpn)": {"\x15\x03\x03\x00\x02\x02\x78", "tls: the server refused all protocols of alpn: remote error: tls: no application protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			_, config := raw(t, saying(tc.says, false))
			_, err := connect(t, config)
			require.ErrorContains(t, err, tc.want)
			wantDoubted(t, err)
			var plain stdtls.RecordHeaderError
			if errors.As(err, &plain) {
				assert.Nil(t, plain.Conn, "the error gives no access to the socket")
			}
		})
	}
}

func TestAServerThatCantBeTrustedIsAPermanentErrorIfItLasts(t *testing.T) {
	ca, stranger := testcert.NewCA(), testcert.NewCA()
	const certificate = `tls: the server's certificate (subject "CN=localhost", for "localhost 127.0.0.1 ::1", by "CN=hotline test CA", valid from 1999-01-01 to `
	lineOnly := ca.ServerConfig()
	lineOnly.NextProtos = []string{"line"}
	expired := ca.ServerConfig()
	expired.Certificates = []stdtls.Certificate{ca.Expired()}
	old, recent := ca.ServerConfig(), ca.ServerConfig()
	old.MaxVersion, recent.MinVersion = stdtls.VersionTLS12, stdtls.VersionTLS13
	errOwn := errors.New("revoked")
	for _, tc := range []struct {
		name   string
		server *stdtls.Config
		change func(c *tls.Config)
		want   []string
	}{
		{"an unknown authority", stranger.ServerConfig(), nil, []string{certificate + "2099-01-01)", "unknown authority", "trust its authority with ca=FILE"}},
		{"a wrong name", ca.ServerConfig("other.test"), nil, []string{`subject "CN=other.test", for "other.test", by`, "x509: certificate is valid for other names, not localhost"}},
		{"an expired certificate", expired, nil, []string{certificate + "1999-02-01)", "expired"}},
		{"a pin", ca.ServerConfig(), func(c *tls.Config) { c.TLS.Pins = []string{unescaped(pinOf(nil))} },
			[]string{`tls: pin: neither the server's certificate (subject "CN=localhost"`, "have a pinned key"}},
		{"alpn", lineOnly, func(c *tls.Config) { c.TLS.ALPN = []string{"h2", "x"} }, []string{"tls: the server refused all protocols of alpn"}},
		{"no alpn", ca.ServerConfig(), func(c *tls.Config) { c.TLS.ALPN = []string{"h2", "x"} }, []string{"tls: alpn: the server accepts none of h2, x"}},
		{"an old server", old, func(c *tls.Config) { c.TLS.MinVersion = "1.3" }, []string{"from min_version to max_version: remote error: tls: protocol version not supported"}},
		{"a new server", recent, func(c *tls.Config) { c.TLS.MaxVersion = "1.2" }, []string{"from min_version to max_version: remote error: tls: protocol version not supported"}},
		{"the user's own check", ca.ServerConfig(), func(c *tls.Config) {
			c.TLS.Base.VerifyConnection = func(stdtls.ConnectionState) error { return errOwn }
		}, []string{"tls: handshake: revoked"}},
		{"the user's own check, without a certificate", ca.ServerConfig(), func(c *tls.Config) {
			c.TLS.Base.VerifyConnection = func(stdtls.ConnectionState) error {
				return &stdtls.CertificateVerificationError{Err: errOwn}
			}
		}, []string{"tls: handshake: tls: failed to verify certificate: revoked"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			nw, config := secure(t, ca, tc.server, echo)
			if tc.change != nil {
				tc.change(&config)
			}
			_, err := connect(t, config)
			require.Error(t, err)
			for _, want := range append(tc.want, "tcp: handshake with localhost:1: ") {
				assert.ErrorContains(t, err, want)
			}
			wantDoubted(t, err)
			assert.Zero(t, nw.Stats().Open)
		})
	}
}

// A load balancer sends an error page while its backends restart.
func TestAnErrorOfTheHandshakeIsPermanentOnlyIfItLasts(t *testing.T) {
	ca := testcert.NewCA()
	for name, handshake := range map[string]func(*tls.Client, context.Context, net.Conn) (net.Conn, error){
		"handshake": (*tls.Client).Handshake, "upgrade": (*tls.Client).Upgrade,
	} {
		synctest.Test(t, func(t *testing.T) {
			var broken atomic.Bool
			good := overTLS(ca.ServerConfig(), echo)
			nw, config := raw(t, func(c net.Conn) {
				if broken.Load() {
					saying("HTTP/1.1 503 Service Unavailable\r\n\r\n", true)(c)
					return
				}
				good(c)
			})
			config.TLS.Base = &stdtls.Config{RootCAs: ca.Pool()}
			client, err := tls.NewClient(config.TLS, "localhost")
			require.NoError(t, err)
			connect := func() error {
				nc, err := nw.DialContext(t.Context(), "tcp", config.TCP.Address)
				require.NoError(t, err)
				defer nc.Close()
				_, err = handshake(client, t.Context(), nc)
				return err
			}
			for _, wait := range []time.Duration{5 * time.Second, 10 * time.Second} {
				broken.Store(true)
				assert.ErrorContains(t, connect(), "does not speak TLS")
				<-time.After(wait)
				assert.Equal(t, wait >= 10*time.Second, driver.IsPermanent(connect()), name)
				broken.Store(false)
				assert.NoError(t, connect(), name)
			}
		})
	}
}

// Text in a certificate comes from the peer, whether it is trusted or not.
func TestTextOfACertificateIsQuotedAndBounded(t *testing.T) {
	ca := testcert.NewCA()
	for _, tc := range []struct {
		name, want string
		issue      func(*x509.Certificate)
		change     func(*tls.Config)
	}{
		{"of a wrong name", "not localhost", func(*x509.Certificate) {}, func(*tls.Config) {}},
		{"of an expired one", "expired", func(c *x509.Certificate) {
			c.DNSNames = append(c.DNSNames, "localhost")
			c.NotAfter = time.Date(1999, 2, 1, 0, 0, 0, 0, time.UTC)
		}, func(*tls.Config) {}},
		{"of strangers", "; trust its authority with ca=FILE", func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "localhost") },
			func(c *tls.Config) { c.TLS.Base.RootCAs = testcert.NewCA().Pool() }},
		{"of one without the pin", "have a pinned key", func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "localhost") },
			func(c *tls.Config) { c.TLS.Pins = []string{unescaped(pinOf(nil))} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			template := &x509.Certificate{Subject: pkix.Name{CommonName: "\x1b[31mred\nline" + strings.Repeat("x", 1000)}}
			for i := range 3000 {
				template.DNSNames = append(template.DNSNames, fmt.Sprintf("\x1b[31m\n%d.a-name-that-is-rather-long.example.org", i))
			}
			tc.issue(template)
			_, config := secure(t, ca, &stdtls.Config{Certificates: []stdtls.Certificate{ca.Issue(template)}}, echo)
			tc.change(&config)
			_, err := connect(t, config)
			require.ErrorContains(t, err, `certificate (subject "CN=\x1b[31mred\nlinexxx`)
			assert.ErrorContains(t, err, tc.want)
			assert.Less(t, len(err.Error()), 2000)
			assert.False(t, strings.ContainsFunc(err.Error(), unicode.IsControl), err.Error())
		})
	}
}

func TestALoginRunsOverTLSAndItsFailureClosesTheSocket(t *testing.T) {
	ca := testcert.NewCA()
	nw, config := secure(t, ca, ca.ServerConfig(), echo)
	errLogin := errors.New("535 no such user")
	config.TCP.Handshake = func(_ context.Context, c net.Conn) (net.Conn, error) {
		wantEcho(t, c)
		return nil, driver.Permanent(errLogin)
	}
	_, err := connect(t, config)
	require.ErrorIs(t, err, errLogin)
	assert.True(t, driver.IsPermanent(err))
	assert.Zero(t, nw.Stats().Open)
}

// framed is a connection that a Handshake may put on top of TLS.
type framed struct{ net.Conn }

func (f framed) NetConn() net.Conn { return f.Conn }

func TestTheStateOfTLSIsFoundUnderTheConnectionOfALogin(t *testing.T) {
	ca := testcert.NewCA()
	_, config := secure(t, ca, ca.ServerConfig(), echo)
	config.TCP.Handshake = func(_ context.Context, c net.Conn) (net.Conn, error) { return framed{c}, nil }
	c, err := connect(t, config)
	require.NoError(t, err)
	state := c.ConnectionState()
	assert.True(t, state.HandshakeComplete)
	assert.Equal(t, "localhost", state.ServerName)
	assert.Equal(t, time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), c.Expiry())

	config.TCP.Handshake = func(_ context.Context, c net.Conn) (net.Conn, error) { return struct{ net.Conn }{c}, nil }
	c, err = connect(t, config)
	require.NoError(t, err)
	assert.Zero(t, c.ConnectionState(), "if the login hides the connection below")
	assert.Zero(t, c.Expiry())
}

func TestExpiryIsWhenTheFirstCertificateExpires(t *testing.T) {
	ca := testcert.NewCA()
	server := ca.ServerConfig()
	server.Certificates[0].Certificate = append(server.Certificates[0].Certificate, ca.Expired().Certificate[0])
	_, config := secure(t, ca, server, echo)
	c, err := connect(t, config)
	require.NoError(t, err)
	assert.Equal(t, time.Date(1999, 2, 1, 0, 0, 0, 0, time.UTC), c.Expiry())
}
