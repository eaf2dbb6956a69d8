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
	"github.com/hotline-go/hotline/driver/dsn"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/internal/testcert"
)

func noDial(context.Context, string, string) (net.Conn, error) { panic("dialed") }
func lines(err error) []string                                 { return strings.Split(err.Error(), "\n") }
func with(change func(c *tls.Config)) tls.Config {
	c := tls.Config{TCP: tcp.Config{Address: "h:1"}}
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
		{"a unix socket", with(func(c *tls.Config) { c.TCP.Network, c.TCP.Address = "unix", "/s" }), `tls: network unix: want tcp`},
		{"an odd network", with(func(c *tls.Config) { c.TCP.Network = "udp" }), `tcp: network "udp": want tcp or unix`},
		{"an odd min_version", with(func(c *tls.Config) { c.TLS.MinVersion = "1" }), `tls: min_version "1": want 1.0, 1.1, 1.2 or 1.3`},
		{"an odd max_version", with(func(c *tls.Config) { c.TLS.MaxVersion = "TLS1.2" }), `tls: max_version "TLS1.2": want 1.0, 1.1, 1.2 or 1.3`},
		{"versions that cross", with(func(c *tls.Config) { c.TLS.MinVersion, c.TLS.MaxVersion = "1.3", "1.2" }),
			`tls: max_version 1.2: want at least min_version, which is 1.3`},
		{"an old max_version alone", with(func(c *tls.Config) { c.TLS.MaxVersion = "1.1" }),
			`tls: max_version 1.1: want 1.2 or higher, or also a min_version that is not higher`},
		{"a NUL in the name", with(func(c *tls.Config) { c.TLS.ServerName = "a\x00b" }), `tls: server_name "a\x00b": want a name or an IP address, without`},
		{"a line break in the name", with(func(c *tls.Config) { c.TLS.ServerName = "a\r\nb" }), `tls: server_name "a\r\nb": want a name`},
		{"a line break in the user's own name", with(func(c *tls.Config) { c.TLS.Base = &stdtls.Config{ServerName: "a\n"} }), `tls: server_name "a\n": want a name`},
		{"a cert without a key", with(func(c *tls.Config) { c.TLS.Cert = cert }), `tls: cert, key: want both or neither`},
		{"a key without a cert", with(func(c *tls.Config) { c.TLS.Key = key }), `tls: cert, key: want both or neither`},
		{"ca_system alone", with(func(c *tls.Config) { c.TLS.CASystem = true }), `tls: ca_system: want a ca too; without one the system's`},
		{"an empty protocol", with(func(c *tls.Config) { c.TLS.ALPN = []string{"a", ""} }), `tls: alpn ["a" ""]: want names of 1 to 255 bytes`},
		{"a long protocol", with(func(c *tls.Config) { c.TLS.ALPN = []string{strings.Repeat("a", 256)} }), `want names of 1 to 255 bytes`},
		{"a pin that is not base64", with(func(c *tls.Config) { c.TLS.Pins = []string{"?"} }),
			`tls: pin "?": want a base64 SHA-256 hash: 44 characters, with + written as %2B in a DSN`},
		{"a short pin", with(func(c *tls.Config) { c.TLS.Pins = []string{"aaaa"} }), `tls: pin "aaaa": want a base64 SHA-256 hash`},
		{"a missing ca", with(func(c *tls.Config) { c.TLS.CA = "/no/such/file" }), `tls: ca: open /no/such/file: `},
		{"a ca without certificates", with(func(c *tls.Config) { c.TLS.CA = junk }), `tls: ca "` + junk + `": want PEM certificates`},
		{"a missing cert", with(func(c *tls.Config) { c.TLS.Cert, c.TLS.Key = "/no/such/file", key }),
			`tls: cert "/no/such/file", key "` + key + `": want a PEM certificate and its key: open /no/such/file: `},
		{"a file that is not a key", with(func(c *tls.Config) { c.TLS.Cert, c.TLS.Key = cert, junk }), `want a PEM certificate and its key: tls: failed to find`},
		{"the key of another cert", with(func(c *tls.Config) { c.TLS.Cert, c.TLS.Key = cert, otherKey }), `private key does not match public key`},
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
	const all = "tls://u:hunter2@h/x?pin=hunter3&nodelay=x&pnig=x&cert=c&min_version=9&keepalive_count=-1&session_cache=x&ca_system=x"
	const parsed = `tls: path: want none
tls: user and password: want none; log in with Config.TCP.Handshake
dsn: parameter ca_system="x": want true or false
dsn: parameter nodelay="x": want true or false
dsn: unknown parameter pnig; the nearest known one is ping
dsn: parameter session_cache="x": want a whole number
tls: min_version "9": want 1.0, 1.1, 1.2 or 1.3
tls: cert, key: want both or neither
tls: pin "hunter3": want a base64 SHA-256 hash: 44 characters, with + written as %2B in a DSN
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

func TestNewConnectorDoesNotDialAndAdvisesAName(t *testing.T) {
	connector, err := tls.NewConnector(with(func(c *tls.Config) { c.TCP.Dial = noDial }))
	require.NoError(t, err)
	assert.Equal(t, driver.Advice{Name: "tls h:1", KeepAlive: 10 * time.Second, Conn: (*tls.Conn)(nil)}, connector.(driver.Advisor).Advice())

	again, err := driver.OpenConnector("tls", "tls://other:1?ping=a&pong=b")
	require.NoError(t, err)
	assert.Equal(t, driver.Advice{Name: "tls other:1", KeepAlive: 30 * time.Second, Conn: (*tls.Conn)(nil)}, again.(driver.Advisor).Advice())
}

func TestNewConnectorCopiesItsConfig(t *testing.T) {
	ca := testcert.NewCA()
	server := ca.ServerConfig()
	server.NextProtos = []string{"line"}
	_, config := secure(t, ca, server, echo)
	config.TLS.ALPN = []string{"line"}
	config.TLS.Pins = []string{unescaped(pinOf(derOf(ca)))}
	connector, err := tls.NewConnector(config)
	require.NoError(t, err)
	config.TLS.ALPN[0], config.TLS.Pins[0], config.TLS.Base.RootCAs = "h2", "", nil
	c, err := connectTo(t, connector)
	require.NoError(t, err)
	wantEcho(t, c)
}

func TestPrintingShowsNoSecret(t *testing.T) {
	config := with(func(c *tls.Config) {
		c.TCP.Proxy = "http://u:hunter2@p:1"
		c.TLS.Base = &stdtls.Config{Certificates: []stdtls.Certificate{testcert.NewCA().Client("hunter2")}}
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
			t.Skip("other parts of the DSN contain the secret's text")
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
