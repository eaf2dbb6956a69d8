package imap_test

import (
	"crypto/tls"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/internal/testserver"
)

func TestConnectionStateOfEachEncryption(t *testing.T) {
	ca := testcert.NewCA()
	over := ca.ServerConfig()
	asking := ca.ServerConfig() // asks for a client certificate, so that another layer is on top of TLS
	asking.ClientAuth, asking.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()
	for _, tc := range []struct {
		name, encryption string
		server           *tls.Config
	}{
		{"implicit", imap.Implicit, over},
		{"STARTTLS", imap.StartTLS, over},
		{"with a client certificate", imap.Implicit, asking},
	} {
		t.Run(tc.name, func(t *testing.T) {
			mail := testserver.NewIMAP(account, password)
			serveMail := mail.Serve
			if tc.encryption == imap.StartTLS {
				mail.TLS = tc.server
			} else {
				serveMail = func(l net.Listener) { mail.Serve(tls.NewListener(l, tc.server)) }
			}
			server, err := testserver.Start(testserver.TCP, "127.0.0.1:0", serveMail)
			require.NoError(t, err)
			defer server.Close()
			config := imap.Config{Encryption: tc.encryption, User: account, Password: password}
			config.TCP.Address = server.Addr()
			config.TLS.Base = ca.ClientConfig()
			config.TLS.Base.Certificates = []tls.Certificate{ca.Client("ada")}
			connector, err := imap.NewConnector(config)
			require.NoError(t, err)
			for _, resumed := range []bool{false, true} {
				c, err := connectTo(t, connector)
				require.NoError(t, err)
				state := c.ConnectionState()
				assert.True(t, state.HandshakeComplete)
				assert.EqualValues(t, tls.VersionTLS13, state.Version)
				assert.Equal(t, tc.server.Certificates[0].Certificate[0], state.PeerCertificates[0].Raw)
				assert.Equal(t, resumed, state.DidResume)
				require.NoError(t, c.Close())
			}
		})
	}
}

func TestConnectionStateIsEmptyInPlainText(t *testing.T) {
	_, server := mailbox(t)
	assert.Zero(t, dial(t, plainDSN(server.Addr(), "?tls=none")).ConnectionState())
}
