package tls_test

import (
	"context"
	stdtls "crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/internal/dsn"
	"github.com/hotline-go/hotline/internal/testcert"
)

func noDial(context.Context, string, string) (net.Conn, error) { panic("dialed") }
func lines(err error) []string                                 { return strings.Split(err.Error(), "\n") }
func with(change func(c *tls.Config)) tls.Config {
	c := tls.Config{Config: tcp.Config{Address: "h:1"}}
	change(&c)
	return c
}

func TestNewConnectorNamesTheFault(t *testing.T) {
	ca := testcert.NewCA()
	cert, key := writeClient(t, ca, "ada")
	_, otherKey := writeClient(t, ca, "eve")
	junk := write(t, "junk.pem", []byte("junk"))
	for _, tc := range []struct {
		name   string
		config tls.Config
		want   string
	}{
		{"nothing", tls.Config{}, `tcp: address "": want host:port with a port from 1 to 65535`},
		{"a unix socket", with(func(c *tls.Config) { c.Network, c.Address = "unix", "/s" }), `tls: network unix: want tcp`},
		{"an odd network", with(func(c *tls.Config) { c.Network = "udp" }), `tcp: network "udp": want tcp or unix`},
		{"an odd min_version", with(func(c *tls.Config) { c.MinVersion = "1" }), `tls: min_version "1": want 1.0, 1.1, 1.2 or 1.3`},
		{"an odd max_version", with(func(c *tls.Config) { c.MaxVersion = "TLS1.2" }), `tls: max_version "TLS1.2": want 1.0, 1.1, 1.2 or 1.3`},
		{"versions that cross", with(func(c *tls.Config) { c.MinVersion, c.MaxVersion = "1.3", "1.2" }),
			`tls: max_version 1.2: want min_version, which is 1.3, or higher`},
		{"an old max_version alone", with(func(c *tls.Config) { c.MaxVersion = "1.1" }),
			`tls: max_version 1.1: want 1.2 or higher, or a min_version as low`},
		{"a cert without a key", with(func(c *tls.Config) { c.Cert = cert }), `tls: cert, key: want both or none`},
		{"a key without a cert", with(func(c *tls.Config) { c.Key = key }), `tls: cert, key: want both or none`},
		{"ca_system alone", with(func(c *tls.Config) { c.CASystem = true }), `tls: ca_system: want a ca as well; alone the system's`},
		{"an empty protocol", with(func(c *tls.Config) { c.ALPN = []string{"a", ""} }), `tls: alpn ["a" ""]: want names of 1 to 255 bytes`},
		{"a long protocol", with(func(c *tls.Config) { c.ALPN = []string{strings.Repeat("a", 256)} }), `want names of 1 to 255 bytes`},
		{"a pin that is not base64", with(func(c *tls.Config) { c.Pins = []string{"?"} }),
			`tls: pin "?": want a SHA-256 in base64: 44 characters, of which a DSN writes + as %2B`},
		{"a short pin", with(func(c *tls.Config) { c.Pins = []string{"aaaa"} }), `tls: pin "aaaa": want a SHA-256 in base64`},
		{"a missing ca", with(func(c *tls.Config) { c.CA = "/no/such/file" }), `tls: ca: open /no/such/file: `},
		{"a ca without certificates", with(func(c *tls.Config) { c.CA = junk }), `tls: ca "` + junk + `": want PEM certificates`},
		{"a missing cert", with(func(c *tls.Config) { c.Cert, c.Key = "/no/such/file", key }),
			`tls: cert "/no/such/file", key "` + key + `": want a PEM certificate and its key: open /no/such/file: `},
		{"a key that is none", with(func(c *tls.Config) { c.Cert, c.Key = cert, junk }), `want a PEM certificate and its key: tls: failed to find`},
		{"the key of another cert", with(func(c *tls.Config) { c.Cert, c.Key = cert, otherKey }), `private key does not match public key`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			connector, err := tls.NewConnector(tc.config)
			require.ErrorContains(t, err, tc.want)
			assert.Len(t, lines(err), 1)
			assert.Nil(t, connector)
		})
	}
}

func TestOpenConnectorReportsAllFaultsTogether(t *testing.T) {
	const all = "tls://u:hunter2@h/x?pin=hunter3&nodelay=x&pnig=x&cert=c&min_version=9&keepalive_count=-1&session_cache=-2&ca_system=x"
	const parsed = `tls: path: want none
tls: user and password: want none; log in with Config.Handshake
dsn: parameter ca_system="x": want true or false
dsn: parameter nodelay="x": want true or false
dsn: unknown parameter pnig; the nearest known one is ping
dsn: parameter session_cache="-2": want a whole number from -1 to 1048576
tls: min_version "9": want 1.0, 1.1, 1.2 or 1.3
tls: cert, key: want both or none
tls: pin "hunter3": want a SHA-256 in base64: 44 characters, of which a DSN writes + as %2B
`
	const ofTCP = `tcp: address "h": want host:port with a port from 1 to 65535
tcp: keepalive_count -1: want 1 to 127, or 0 for 9`
	_, err := tls.ParseDSN(all)
	require.EqualError(t, err, parsed+ofTCP)
	connector, err := driver.OpenConnector("tls", all+"&ca=/no/such/file")
	require.ErrorContains(t, err, parsed+"tls: ca: open /no/such/file: ")
	require.ErrorContains(t, err, "\n"+ofTCP)
	assert.Nil(t, connector)
}

func TestADSNIsAURLOfTheScheme(t *testing.T) {
	for s, want := range map[string]string{
		"127.0.0.1:1":         "dsn: no scheme; want a URL such as tcp://host:port",
		"https://h:1":         `tls: scheme "https": want tls`,
		"tls://h":             `tcp: address "h": want host:port with a port from 1 to 65535`,
		"tls://h:1?severname": "dsn: unknown parameter severname; the nearest known one is server_name",
	} {
		_, err := tls.ParseDSN(s)
		require.EqualError(t, err, want)
		_, err = driver.OpenConnector("tls", s)
		require.EqualError(t, err, want)
	}
}

func TestAConnectorDoesNotDialUntilAskedAndTellsItsName(t *testing.T) {
	connector, err := tls.NewConnector(with(func(c *tls.Config) { c.Dial = noDial }))
	require.NoError(t, err)
	assert.Equal(t, driver.Advice{Name: "tls h:1", KeepAlive: 10 * time.Second}, connector.(driver.Advisor).Advice())

	again, err := connector.Driver().(driver.DriverContext).OpenConnector("tls://other:1?ping=a&pong=b")
	require.NoError(t, err)
	assert.Equal(t, driver.Advice{Name: "tls other:1", KeepAlive: 30 * time.Second}, again.(driver.Advisor).Advice())
}

func TestOpenConnectsWithoutAContext(t *testing.T) {
	ca := testcert.NewCA()
	l := listenTCP(t)
	serve(t, l, overTLS(ca.ServerConfig(), echo))
	connector, err := driver.OpenConnector("tls", "tls://h:1")
	require.NoError(t, err)
	c, err := connector.Driver().Open("tls://" + l.Addr().String() + "?ca=" + write(t, "ca.pem", ca.PEM()))
	require.NoError(t, err)
	wantEcho(t, c.(net.Conn))
	require.NoError(t, c.Close())

	c, err = connector.Driver().Open("tls://h")
	require.ErrorContains(t, err, `tcp: address "h"`)
	assert.Nil(t, c)
}

func TestNewConnectorCopiesItsConfig(t *testing.T) {
	ca := testcert.NewCA()
	server := ca.ServerConfig()
	server.NextProtos = []string{"line"}
	_, config := secure(t, ca, server, echo)
	config.ALPN = []string{"line"}
	config.Pins = []string{unescaped(pinOf(derOf(ca)))}
	connector, err := tls.NewConnector(config)
	require.NoError(t, err)
	config.ALPN[0], config.Pins[0], config.TLS.RootCAs = "h2", "", nil
	c, err := connectTo(t, connector)
	require.NoError(t, err)
	wantEcho(t, c)
}

func TestPrintingShowsNoSecret(t *testing.T) {
	config := with(func(c *tls.Config) {
		c.Proxy = "http://u:hunter2@p:1"
		c.TLS = &stdtls.Config{Certificates: []stdtls.Certificate{testcert.NewCA().Client("hunter2")}}
	})
	connector, err := tls.NewConnector(config)
	require.NoError(t, err)
	holder := struct{ c any }{connector}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
		assert.Equal(t, "tls h:1", fmt.Sprintf(verb, config), verb)
		assert.Equal(t, "tls h:1", fmt.Sprintf(verb, &config), verb)
		assert.NotContains(t, fmt.Sprintf(verb+verb, connector, holder), "hunter2", verb)
	}
}

func FuzzParseDSN(f *testing.F) {
	f.Add("tls://", "127.0.0.1:2485?ping=PING%0A&pong=PONG%0A", "")
	f.Add("tls://u:", "@h:1", "min_version=1.0&max_version=1.1&alpn=a,b")
	f.Add("tls://", "[::1]:1", "pin=47DEQpj8HBSa%2B/TImW%2B5JCeuQeRkm5NMpJWZG3hSuFU=&session_cache=-1")
	f.Add("tls://h:1?proxy=http://u:", "@p:1", "ca=/x&cert=%zz")
	f.Fuzz(func(t *testing.T, before, after, query string) {
		const secret = "hunter2"
		if strings.Contains(after+query, secret) {
			t.Skip("the secret's own text in the other parts")
		}
		text := "tls://h:1?proxy=http://u:" + secret + after + "&" + query
		if _, err := tls.ParseDSN(text); err != nil {
			require.NotContains(t, err.Error(), secret)
		}
		text = before + after + "?" + query
		config, err := tls.ParseDSN(text)
		if err != nil {
			return
		}
		u, err := dsn.Parse(text)
		require.NoError(t, err)
		again, err := tls.ParseDSN(u.Unredacted())
		require.NoError(t, err)
		require.Equal(t, config, again)
	})
}
