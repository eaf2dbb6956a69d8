package tls_test

import (
	"context"
	"crypto/sha256"
	stdtls "crypto/tls"
	"encoding/base64"
	"go/parser"
	"go/token"
	"net"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/dsn"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/internal/testcert"
)

// seen is what the server sees of a client.
type seen struct {
	name     string // server name that the client sent
	client   string // common name of the client's certificate
	version  uint16
	protocol string
}

// Each parameter changes what goes over the wire, on a real socket.
func TestEachParameterHasAnEffect(t *testing.T) {
	ca := testcert.NewCA()
	server := ca.ServerConfig("localhost", "other.test", "127.0.0.1")
	server.MinVersion = stdtls.VersionTLS10
	server.NextProtos = []string{"line", "frame"}
	server.ClientAuth = stdtls.RequestClientCert
	got := make(chan seen, 1)
	l := listenTCP(t)
	serve(t, l, overTLS(server, func(c *stdtls.Conn) {
		s := c.ConnectionState()
		client := ""
		if len(s.PeerCertificates) > 0 {
			client = s.PeerCertificates[0].Subject.CommonName
		}
		got <- seen{s.ServerName, client, s.Version, s.NegotiatedProtocol}
		echo(c)
	}))
	caFile := write(t, "ca.pem", ca.PEM())
	strangers := write(t, "strangers.pem", testcert.NewCA().PEM())
	cert, key := writeClient(t, ca, "ada")
	leaf, authority := pinOf(server.Certificates[0].Certificate[0]), pinOf(derOf(ca))
	for _, tc := range []struct {
		name, query string
		want        seen
		fault       string
	}{
		{"nothing", "", seen{}, "; trust its authority with ca=FILE"},
		{"ca", "ca=" + caFile, seen{name: "localhost", version: stdtls.VersionTLS13}, ""},
		{"a ca of strangers", "ca=" + strangers, seen{}, "unknown authority"},
		{"server_name", "ca=" + caFile + "&server_name=other.test", seen{name: "other.test", version: stdtls.VersionTLS13}, ""},
		{"a wrong server_name", "ca=" + caFile + "&server_name=wrong.test", seen{}, "not wrong.test"},
		{"cert and key", "ca=" + caFile + "&cert=" + cert + "&key=" + key, seen{"localhost", "ada", stdtls.VersionTLS13, ""}, ""},
		{"max_version", "ca=" + caFile + "&max_version=1.2", seen{name: "localhost", version: stdtls.VersionTLS12}, ""},
		{"min_version", "ca=" + caFile + "&min_version=1.0&max_version=1.1", seen{name: "localhost", version: stdtls.VersionTLS11}, ""},
		{"alpn", "ca=" + caFile + "&alpn=frame,line", seen{"localhost", "", stdtls.VersionTLS13, "line"}, ""},
		{"alpn of strangers", "ca=" + caFile + "&alpn=h2", seen{}, "alpn"},
		{"pin of the server", "ca=" + caFile + "&pin=" + leaf, seen{name: "localhost", version: stdtls.VersionTLS13}, ""},
		{"pin of the authority", "ca=" + caFile + "&pin=" + pinOf(nil) + "," + authority, seen{name: "localhost", version: stdtls.VersionTLS13}, ""},
		{"a pin that does not fit", "ca=" + caFile + "&pin=" + pinOf(nil), seen{}, "have a pinned key"},
		{"insecure_skip_verify", "insecure_skip_verify=true", seen{name: "localhost", version: stdtls.VersionTLS13}, ""},
		{"insecure_skip_verify with a pin", "insecure_skip_verify=true&pin=" + leaf, seen{name: "localhost", version: stdtls.VersionTLS13}, ""},
		{"insecure_skip_verify with a pin of the authority", "insecure_skip_verify=true&pin=" + authority, seen{}, "have a pinned key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, port, err := net.SplitHostPort(l.Addr().String())
			require.NoError(t, err)
			connector, err := driver.OpenConnector("tls", "tls://localhost:"+port+"?local_addr=127.0.0.1&ping=PING&pong=PING&"+tc.query)
			require.NoError(t, err)
			c, err := connectTo(t, connector)
			if tc.fault != "" {
				require.ErrorContains(t, err, tc.fault)
				wantDoubted(t, err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tc.want, <-got)
			require.NoError(t, c.Ping(t.Context()), "over TLS")
		})
	}
}

// A zone is local to this machine, so no certificate contains it.
func TestTheZoneOfAnAddressIsNotPartOfTheServerName(t *testing.T) {
	ca := testcert.NewCA()
	_, config := secure(t, ca, ca.ServerConfig("::1"), echo)
	dial := config.TCP.Dial
	config.TCP.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		assert.Equal(t, "[::1%lo]:1", address)
		return dial(ctx, network, "localhost:1")
	}
	for _, name := range []string{"", "::1%lo"} {
		parsed, err := tls.ParseDSN("tls://[::1%25lo]:1")
		require.NoError(t, err)
		config.TCP.Address, config.TLS.ServerName = parsed.TCP.Address, name
		_, err = connect(t, config)
		require.NoError(t, err, "the certificate is for ::1")
	}
}

func TestTheSystemsAuthoritiesAreTrustedUnlessThereIsACA(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("crypto/x509 does not read SSL_CERT_FILE on this system")
	}
	_, config := secure(t, testcert.NewCA(), systemCA.ServerConfig(), echo)
	config.TLS.Base = nil
	c, err := connect(t, config)
	require.NoError(t, err)
	wantEcho(t, c)

	config.TLS.CA = write(t, "ca.pem", testcert.NewCA().PEM())
	_, err = connect(t, config)
	require.ErrorContains(t, err, "unknown authority")

	config.TLS.CASystem = true
	c, err = connect(t, config)
	require.NoError(t, err)
	wantEcho(t, c)

	other := testcert.NewCA()
	_, config = secure(t, other, other.ServerConfig(), echo)
	config.TLS.Base, config.TLS.CASystem = nil, true
	config.TLS.CA = write(t, "ca.pem", other.PEM())
	c, err = connect(t, config)
	require.NoError(t, err, "the file counts in addition to the system's")
	wantEcho(t, c)
}

func TestAConfigIsAppliedToItsTLS(t *testing.T) {
	ca := testcert.NewCA()
	var states []stdtls.ConnectionState
	_, config := secure(t, ca, ca.ServerConfig("other.test"), echo)
	config.TLS.Base = &stdtls.Config{
		RootCAs: ca.Pool(), ServerName: "other.test", MaxVersion: stdtls.VersionTLS12,
		VerifyConnection: func(s stdtls.ConnectionState) error { states = append(states, s); return nil },
	}
	before := config.TLS.Base.Clone()
	c, err := connect(t, config)
	require.NoError(t, err)
	assert.EqualValues(t, stdtls.VersionTLS12, c.ConnectionState().Version)
	assert.Len(t, states, 1)
	assert.Equal(t, before.ServerName, config.TLS.Base.ServerName)
	assert.Nil(t, config.TLS.Base.ClientSessionCache, "the user's is copied")

	config.TLS.Pins = []string{unescaped(pinOf(states[0].PeerCertificates[0].Raw))}
	_, err = connect(t, config)
	require.NoError(t, err)
	assert.Len(t, states, 2, "a pin is checked in addition to the user's own check")

	config.TLS.ServerName = "wrong.test"
	_, err = connect(t, config)
	require.ErrorContains(t, err, "not wrong.test")
}

// crypto/tls passes its own slices, which must not change.
func TestPinsLeaveTheChainAlone(t *testing.T) {
	ca := testcert.NewCA()
	server := ca.ServerConfig()
	server.Certificates[0].Certificate = append(server.Certificates[0].Certificate, derOf(testcert.NewCA()), derOf(ca))
	_, config := secure(t, ca, server, echo)
	config.TLS.Pins = []string{unescaped(pinOf(derOf(ca)))}
	c, err := connect(t, config)
	require.NoError(t, err)
	for i, der := range server.Certificates[0].Certificate {
		assert.Equal(t, der, c.ConnectionState().PeerCertificates[i].Raw, i)
	}
}

// derOf returns the certificate of ca itself.
func derOf(ca *testcert.CA) []byte { return derOfPEM(ca.PEM()) }

// pinOf returns the pin of a certificate, escaped for a DSN. For nil it returns
// a pin that matches nothing.
func pinOf(der []byte) string {
	sum := sha256.Sum256(nil)
	if der != nil {
		sum = sha256.Sum256(parse(der).RawSubjectPublicKeyInfo)
	}
	return url.QueryEscape(base64.StdEncoding.EncodeToString(sum[:]))
}

func unescaped(pin string) string {
	s, err := url.QueryUnescape(pin)
	if err != nil {
		panic(err)
	}
	return s
}

// The parameters of drivers/tcp have the same meaning here.
func TestParametersOfTCPReachItsConfig(t *testing.T) {
	const query = "?proxy=socks5://u:p%2540@p:1080&local_addr=127.0.0.1&fallback_delay=-1s&nodelay=false&keepalive_idle=20s" +
		"&keepalive_interval=5s&keepalive_count=3&ping=PING%0A%00&pong=PONG%ff&connect_ping=false"
	want, err := tcp.ParseDSN("tcp://[::1]:80" + query)
	require.NoError(t, err)
	want.Network = ""
	got, err := tls.ParseDSN("tls://[::1]:80" + query)
	require.NoError(t, err)
	assert.Equal(t, want, got.TCP)
}

func TestParseDSN(t *testing.T) {
	pins := []string{unescaped(pinOf(nil)), unescaped(pinOf(derOf(systemCA)))}
	got, err := tls.ParseDSN("tls://h:1/?ca=/a%20b&ca_system=true&cert=c&key=k&server_name=n&min_version=1.1&max_version=1.2" +
		"&alpn=a,b&pin=" + pinOf(nil) + "," + pinOf(derOf(systemCA)) + "&session_cache=7&insecure_skip_verify=true")
	require.NoError(t, err)
	assert.Equal(t, tls.Config{TCP: tcp.Config{Address: "h:1"}, TLS: tls.ClientConfig{
		CA: "/a b", CASystem: true, Cert: "c", Key: "k", ServerName: "n", MinVersion: "1.1", MaxVersion: "1.2",
		ALPN: []string{"a", "b"}, Pins: pins, SessionCache: 7, InsecureSkipVerify: true,
	}}, got)
}

// Users rely on the table in the package documentation.
func TestThePackageDocumentsEachParameter(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	require.NoError(t, err)
	_, table, ok := strings.Cut(file.Doc.Text(), "\tname                  type     default  meaning\n")
	require.True(t, ok, "the table's head")
	table, _, _ = strings.Cut(table, "\n\n")
	var documented []string
	for line := range strings.Lines(table) {
		columns := strings.Fields(line)
		require.Greater(t, len(columns), 3, line)
		documented = append(documented, columns[0])
	}
	var params dsn.Params
	params.Struct(new(tls.ClientConfig))
	assert.Equal(t, params.Names(), documented)
}
