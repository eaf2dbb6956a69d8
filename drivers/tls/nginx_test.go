package tls_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/internal/testserver"
)

// nginx terminates TLS in front of a PING server.
func nginx(t *testing.T, ca *testcert.CA, settings string) (*process, tls.Config) {
	t.Helper()
	path := find(t, "nginx")
	build, err := exec.Command(path, "-V").CombinedOutput()
	require.NoError(t, err)
	module := ""
	if dir := regexp.MustCompile(`--modules-path=(\S+)`).FindSubmatch(build); dir != nil {
		module = filepath.Join(string(dir[1]), "ngx_stream_module.so")
	}
	if _, err := os.Stat(module); err != nil {
		t.Skip("this nginx has no stream module that can be loaded")
	}
	ping, err := testserver.Start(testserver.TCP, "127.0.0.1:0", (&testserver.Ping{}).Serve)
	require.NoError(t, err)
	t.Cleanup(ping.Close)
	caFile, cert, key := serverFiles(t, ca)
	for range 5 { // because another process may take the port first
		address := freeAddress(t)
		config := write(t, "nginx.conf", fmt.Appendf(nil, `
load_module %s;
daemon off;
master_process off;
pid nginx.pid;
error_log stderr notice;
events {}
stream {
	server {
		listen %s ssl;
		proxy_pass %s;
		ssl_certificate %s;
		ssl_certificate_key %s;
		ssl_client_certificate %s;
		%s
	}
}`, module, address, ping.Addr(), cert, key, caFile, settings))
		p, line, ok := start(t, "event method", path, "-p", filepath.Dir(config), "-c", config)
		if ok {
			return p, tls.Config{TCP: tcp.Config{Address: address}, TLS: tls.ClientConfig{CA: caFile}}
		}
		require.Contains(t, line, "bind()", "the only fault expected")
	}
	require.Fail(t, "no free port")
	return nil, tls.Config{}
}

// freeAddress returns an address that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func TestNginx(t *testing.T) {
	for version, number := range versions {
		for _, verify := range []string{"off", "on"} {
			t.Run("TLS "+version+" with ssl_verify_client "+verify, func(t *testing.T) {
				ca := testcert.NewCA()
				server, config := nginx(t, ca, "ssl_protocols TLSv"+version+"; ssl_verify_client "+verify+";")
				config.TLS.Cert, config.TLS.Key = writeClient(t, ca, "ada")
				config.TCP.PingBytes, config.TCP.PongBytes = "PING\n", "PONG\n"
				connector := mustConnector(t, config)
				var open []*tls.Conn
				for i := range 3 {
					c, err := connectTo(t, connector)
					require.NoError(t, err)
					assert.Equal(t, number, c.ConnectionState().Version)
					assert.Equal(t, i > 0, c.ConnectionState().DidResume)
					require.NoError(t, c.ResetSession(t.Context()), "idle and alive")
					require.NoError(t, c.Ping(t.Context()))
					open = append(open, c)
				}
				server.kill()
				for _, c := range open {
					dies(t, c)
				}
				_, err := connectTo(t, connector)
				require.Error(t, err)
				assert.False(t, driver.IsPermanent(err), err)
			})
		}
	}
}

// The stream module of nginx accepts any certificate in the handshake. If it rejects
// the certificate, it closes the connection later without a reason.
func TestNginxDropsAClientWithAWrongCertificate(t *testing.T) {
	for version := range versions {
		t.Run("TLS "+version, func(t *testing.T) {
			_, config := nginx(t, testcert.NewCA(), "ssl_protocols TLSv"+version+"; ssl_verify_client on;")
			config.TLS.Cert, config.TLS.Key = writeClient(t, testcert.NewCA(), "eve")
			c, err := connect(t, config)
			if err != nil {
				assert.False(t, driver.IsPermanent(err), "the reason is unknown")
				return
			}
			dies(t, c)
		})
	}
}
