// Package tls is the driver for TLS over TCP, on crypto/tls and on drivers/tcp.
// Importing it registers "tls".
//
//	import (
//		"github.com/hotline-go/hotline/pool"
//		_ "github.com/hotline-go/hotline/drivers/tls"
//	)
//
//	p, err := pool.Open[net.Conn]("tls", "tls://example.org:2486?ca=/etc/ssl/ours.pem", pool.Config{})
//
// The connections are of type [*Conn]: each is a net.Conn.
//
// # DSN
//
//	tls://host:port?name=value&name=value
//
// The parameters are those of drivers/tcp, and:
//
//	name                  type     default  meaning
//	ca                    file     system   PEM bundle of the authorities to trust
//	ca_system             bool     false    with ca: trust the system's authorities too
//	cert                  file     none     PEM certificate of the client, with its chain
//	key                   file     none     PEM key of cert
//	server_name           name     host     name that the server's certificate must be for
//	min_version           version  1.2      lowest version of TLS, from 1.0 to 1.3
//	max_version           version  1.3      highest version of TLS, from 1.0 to 1.3
//	alpn                  list     none     protocols, the best first, with commas; the server must take one
//	pin                   list     none     SHA-256 of public keys in base64, with commas; + is written %2B
//	session_cache         int      32       sessions kept for resumption; -1: none
//	insecure_skip_verify  bool     false    take any certificate; for tests
//
// The whole certificate is checked unless insecure_skip_verify says otherwise:
// the chain to a trusted authority, the dates, the name.
//
// What a string can't carry is a field of [Config]; [ParseDSN] makes one of a
// DSN and [NewConnector] a connector of that.
//
// # Files
//
// ca, cert and key are read when the connector is made, and again before
// a connect when one of them has changed. What can't be used is logged, and the
// old stays in force. So certificates can be renewed under a running pool; its
// Reset makes the old connections go.
//
// # Pins
//
// A pin is the SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 7469,
// section 2.4), as this prints it:
//
//	openssl x509 -in cert.pem -noout -pubkey | openssl pkey -pubin -outform der |
//		openssl dgst -sha256 -binary | base64
//
// One certificate of the verified chain must have one of the pins. With
// insecure_skip_verify it must be that of the server itself.
//
// # Errors
//
// What another attempt can't change is marked by driver.Permanent and says
// which certificate is concerned: an unknown authority, a wrong name, an
// expired certificate, a pin that does not fit, a client certificate that the
// server refuses, no common version or protocol, a peer that does not speak
// TLS. Refused connections, resets and timeouts are not. The error of
// a Handshake of your own keeps its class, such as driver.Full.
//
// A TLS 1.3 server judges the client's certificate after the handshake is over
// for the client. Where it asks for one, Connect therefore waits for the first
// sign from the server: a session ticket, data or an alert. That takes a round
// trip; of a server that sends nothing, 50 ms and two handshakes' time. There
// are servers that close the connection without an alert, after a ticket, as the
// stream module of nginx does. That is not permanent, since nobody says why, and
// may show in the first use only.
//
// # Resumption
//
// A connector keeps the sessions of its server, so that connects after the
// first are cheaper. They are forgotten when one of the files changes, unless
// they are kept in a ClientSessionCache of the user's own.
//
// A session of TLS 1.3 comes after the handshake, and so with the first Read, or
// the first look at the connection that a pool takes.
package tls
