package tls_test

import (
	"context"
	stdtls "crypto/tls"
	"io"
	"net"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/internal/testcert"
)

// starttls answers the first line with says, and then begins TLS.
func starttls(ca *testcert.CA, says string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Read(make([]byte, 64))
		_, _ = io.WriteString(c, says)
		overTLS(ca.ServerConfig(), echo)(c)
	}
}

// upgrade asks for TLS, reads three bytes, and begins TLS.
func upgrade(begin func(context.Context, net.Conn) (net.Conn, error)) func(context.Context, net.Conn) (net.Conn, error) {
	return func(ctx context.Context, c net.Conn) (net.Conn, error) {
		if _, err := io.WriteString(c, "STARTTLS\n"); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(c, make([]byte, 3)); err != nil {
			return nil, err
		}
		return begin(ctx, c)
	}
}

func TestUpgradeBeginsTLSOnAPlainConnection(t *testing.T) {
	ca := testcert.NewCA()
	config := &stdtls.Config{RootCAs: ca.Pool(), ServerName: "localhost", ClientSessionCache: stdtls.NewLRUClientSessionCache(1)}
	client, err := tls.NewClient(tls.ClientConfig{CA: write(t, "ca.pem", ca.PEM()), Pins: []string{unescaped(pinOf(derOf(ca)))}}, "localhost")
	require.NoError(t, err)
	for name, begin := range map[string]func(context.Context, net.Conn) (net.Conn, error){
		"the function": func(ctx context.Context, c net.Conn) (net.Conn, error) { return tls.Upgrade(ctx, c, config) },
		"no sessions":  func(ctx context.Context, c net.Conn) (net.Conn, error) { return tls.Upgrade(ctx, c, ca.ClientConfig()) },
		"a Client":     client.Upgrade,
	} {
		t.Run(name, func(t *testing.T) {
			l := listenTCP(t)
			serve(t, l, starttls(ca, "OK\n"))
			connector, err := tcp.NewConnector(tcp.Config{Address: l.Addr().String(), Handshake: upgrade(begin)})
			require.NoError(t, err)
			for range 2 {
				c, err := connector.Connect(t.Context())
				require.NoError(t, err)
				defer c.Close()
				wantEcho(t, c.(*tcp.Conn))
			}
		})
	}
	assert.Nil(t, config.VerifyConnection)
	assert.Nil(t, config.GetClientCertificate, "the user's config is copied")
}

func TestUpgradeRefusesBytesFromBeforeTLS(t *testing.T) {
	ca := testcert.NewCA()
	for network, listen := range listeners {
		t.Run(network, func(t *testing.T) {
			l, config := listen(t)
			serve(t, l, starttls(ca, "OK\nOK you are somebody else\n"))
			config.TCP.Handshake = upgrade(func(ctx context.Context, c net.Conn) (net.Conn, error) {
				return tls.Upgrade(ctx, c, ca.ClientConfig())
			})
			connector, err := tcp.NewConnector(config.TCP)
			require.NoError(t, err)
			c, err := connector.Connect(t.Context())
			require.ErrorContains(t, err, "tls: the server sent extra plain text before TLS began; it may come from an attacker")
			wantDoubted(t, err)
			assert.Nil(t, c)
		})
	}
}

func TestUpgradeOfADeadConnectionSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan struct{})
		nw, config := raw(t, func(c net.Conn) {
			c.Close()
			close(gone)
		})
		nc, err := nw.DialContext(t.Context(), "tcp", config.TCP.Address)
		require.NoError(t, err)
		defer nc.Close()
		<-gone
		c, err := tls.Upgrade(t.Context(), nc, &stdtls.Config{ServerName: "localhost"})
		require.ErrorContains(t, err, "tls: before the handshake: ")
		require.ErrorIs(t, err, io.EOF)
		assert.False(t, driver.IsPermanent(err), err)
		assert.Nil(t, c)
	})
}
