package tls_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/internal/testcert"
)

// openssl runs s_server, which sends each line back reversed, to one client at
// a time. After the line CLOSE it closes the connection.
func openssl(t *testing.T, ca *testcert.CA, args ...string) (*process, tls.Config) {
	t.Helper()
	path := find(t, "openssl")
	version, err := exec.Command(path, "version").Output()
	require.NoError(t, err)
	if !strings.HasPrefix(string(version), "OpenSSL 3.") {
		t.Skipf("want OpenSSL 3, have %s", version)
	}
	caFile, cert, key := serverFiles(t, ca)
	args = append([]string{"s_server", "-accept", "127.0.0.1:0", "-rev", "-cert", cert, "-key", key, "-CAfile", caFile}, args...)
	p, line, ok := start(t, "ACCEPT ", path, args...)
	require.True(t, ok, line)
	address := line[strings.Index(line, "ACCEPT ")+len("ACCEPT "):]
	return p, tls.Config{TCP: tcp.Config{Address: address}, TLS: tls.ClientConfig{CA: caFile}}
}

func TestOpenSSL(t *testing.T) {
	for _, tc := range []struct {
		name    string
		version string
		args    []string
		resumes bool
	}{
		{"TLS 1.2", "1.2", []string{"-tls1_2"}, true},
		{"TLS 1.2 without tickets", "1.2", []string{"-tls1_2", "-no_ticket"}, false},
		{"TLS 1.3", "1.3", []string{"-tls1_3"}, true},
		{"TLS 1.3 with tickets that the server keeps", "1.3", []string{"-tls1_3", "-no_ticket"}, true},
		{"TLS 1.3 without tickets", "1.3", []string{"-tls1_3", "-num_tickets", "0"}, false},
	} {
		for _, verify := range []bool{false, true} {
			name, args := tc.name, tc.args
			if verify {
				name += " and client certificates"
				args = append(args, "-Verify", "1", "-verify_return_error")
			}
			t.Run(name, func(t *testing.T) {
				ca := testcert.NewCA()
				_, config := openssl(t, ca, args...)
				config.TLS.Cert, config.TLS.Key = writeClient(t, ca, "ada")
				connector := mustConnector(t, config)
				for i := range 2 {
					c, err := connectTo(t, connector)
					require.NoError(t, err)
					assert.Equal(t, versions[tc.version], c.ConnectionState().Version)
					assert.Equal(t, tc.resumes && i > 0, c.ConnectionState().DidResume)
					for range 2 {
						require.NoError(t, c.ResetSession(t.Context()), "idle and alive")
						require.NoError(t, ask(c, "hello", "olleh"))
						assert.True(t, c.IsValid())
					}
					require.NoError(t, c.Close())
				}
			})
		}
	}
}

func TestOpenSSLRefusesAClientCertificate(t *testing.T) {
	ca := testcert.NewCA()
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		t.Run(version, func(t *testing.T) {
			_, config := openssl(t, ca, version, "-Verify", "1", "-verify_return_error")
			_, err := connect(t, config)
			require.ErrorContains(t, err, "tls: the server wants a client certificate, but none is set")
			wantDoubted(t, err)

			config.TLS.Cert, config.TLS.Key = writeClient(t, testcert.NewCA(), "eve")
			_, err = connect(t, config)
			require.ErrorContains(t, err, `tls: the server refused the client's certificate (subject "CN=eve"`)
			wantDoubted(t, err)
		})
	}
}

func TestOpenSSLClosesEarly(t *testing.T) {
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		t.Run(version, func(t *testing.T) {
			server, config := openssl(t, testcert.NewCA(), version)
			connector := mustConnector(t, config)
			c, err := connectTo(t, connector)
			require.NoError(t, err)
			_, err = c.Write([]byte("CLOSE\n"))
			require.NoError(t, err)
			dies(t, c)
			require.NoError(t, c.Close())

			c, err = connectTo(t, connector)
			require.NoError(t, err)
			require.NoError(t, ask(c, "hello", "olleh"))
			server.kill()
			dies(t, c)
			_, err = connectTo(t, connector)
			require.ErrorContains(t, err, "tcp: connect to ")
			assert.False(t, driver.IsPermanent(err), err)
		})
	}
}

func TestOpenSSLAndAWrongSetting(t *testing.T) {
	ca := testcert.NewCA()
	_, config := openssl(t, ca, "-tls1_2", "-alpn", "line")
	for want, change := range map[string]func(c *tls.Config){
		"from min_version to max_version: remote error: tls: protocol version not supported": func(c *tls.Config) { c.TLS.MinVersion = "1.3" },
		"tls: the server refused all protocols of alpn":                                      func(c *tls.Config) { c.TLS.ALPN = []string{"h2"} },
		"not other.test":    func(c *tls.Config) { c.TLS.ServerName = "other.test" },
		"have a pinned key": func(c *tls.Config) { c.TLS.Pins = []string{unescaped(pinOf(nil))} },
	} {
		t.Run(want, func(t *testing.T) {
			config := config
			change(&config)
			_, err := connect(t, config)
			require.ErrorContains(t, err, want)
			wantDoubted(t, err)
		})
	}
}
