package imap

import (
	stdtls "crypto/tls"

	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/drivers/tls"
)

// ConnectionState returns the result of the TLS handshake: the version, the cipher,
// whether a session was resumed, and the server's certificates. In plain text it is the
// zero value, whose HandshakeComplete is false.
func (c *Conn) ConnectionState() stdtls.ConnectionState {
	below := tls.Conn{Conn: &tcp.Conn{Conn: c.conn}} // unwraps connections on top of TLS
	return below.ConnectionState()
}
