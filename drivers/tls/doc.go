// Package tls is the driver for TLS over TCP, built on crypto/tls and drivers/tcp.
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
// The parameters are those of drivers/tcp and:
//
//	name                  type     default  meaning
//	ca                    file     system   PEM file with the authorities to trust
//	ca_system             bool     false    trust the system's authorities in addition to ca
//	cert                  file     none     PEM certificate of the client, with its chain
//	key                   file     none     PEM key of cert
//	server_name           name     host     name that the server's certificate must be for
//	min_version           version  1.2      lowest TLS version, from 1.0 to 1.3
//	max_version           version  1.3      highest TLS version, from 1.0 to 1.3
//	alpn                  list     none     comma-separated protocols, best first; the server must accept one
//	pin                   list     none     comma-separated base64 SHA-256 hashes of public keys; write + as %2B
//	session_cache         int      32       number of sessions kept for resumption; -1 keeps none
//	insecure_skip_verify  bool     false    accept any certificate; only for tests
//
// Unless insecure_skip_verify is set, the server's certificate is verified in full:
// its chain to a trusted authority, its dates and its name.
//
// Settings that don't fit in a string are fields of [Config]. [ParseDSN] turns
// a DSN into a Config, and [NewConnector] turns that into a connector.
//
// # Files
//
// ca, cert and key are read when the connector is made, and again before a connect if
// one of them has changed. So you can renew certificates while a pool is running; its
// Reset replaces the old connections.
//
// A change is a different size, a different modification time, or another file with
// the same name. The files must be regular files. If they can't be used, or can't be
// read within a second, an error is logged and the old contents stay in force. A file
// that can't be opened is tried again at the next connect.
//
// # Pins
//
// A pin is the SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 7469, section
// 2.4). This command prints it:
//
//	openssl x509 -in cert.pem -noout -pubkey | openssl pkey -pubin -outform der |
//		openssl dgst -sha256 -binary | base64
//
// At least one certificate in the verified chain must match one of the pins. With
// insecure_skip_verify, the server's own certificate must match.
//
// # Errors
//
// An error says which certificate is wrong, and why. Text from the peer, such as the
// names in its certificate, is quoted and cut off; see driver.Quote.
//
// An error that looks like a wrong setting may also have a temporary cause. So it is
// permanent (driver.Permanent) only if every handshake of the connector or [Client]
// has failed with such an error for 10 seconds. A pool stops connecting for a minute
// after a permanent error. These are the errors, each with a possible temporary
// cause:
//
//	the peer does not speak TLS        A load balancer sends an error page.
//	the certificate has expired, or    A clock is not set yet, or the server has
//	is not valid yet                   not loaded its new certificate.
//	the authority is unknown, or       The new certificate arrived before the new ca,
//	no pin matches                     or on only some of the servers.
//	a wrong name, no common version,   A load balancer does not know this server
//	cipher or protocol (alpn)          yet, and answers for a different one.
//	the client's certificate is        The server has not loaded its new list of
//	refused                            authorities, or its clock is wrong.
//	bytes before TLS (Upgrade)         An attacker interfered for a while.
//	your own check fails               Only the check knows.
//	any other error of crypto/tls      The server was being replaced.
//	about the server's messages
//
// Refused connections, resets, timeouts and the other alerts are never permanent.
// The error of your own Handshake keeps its class, such as driver.Full.
//
// In TLS 1.3, the handshake is over for the client before the server has verified the
// client's certificate. So if the server asked for one, Connect waits for the first
// sign from the server: a session ticket, data or an alert. That takes a round trip. If
// the server sends nothing, Connect waits for twice the time that the handshake took
// plus 50 ms, but at most for a quarter of the time left until the context ends.
//
// Some servers, such as the stream module of nginx, send a ticket and then close the
// connection without an alert. That error is not permanent, because the reason is
// unknown. With ping and pong, Connect notices; otherwise it may take the first use
// to notice.
//
// # Resumption
//
// A connector keeps the sessions of its server, so that connects after the first
// are cheaper. It forgets them when one of the files changes, unless they are in
// your own ClientSessionCache.
//
// When a session is resumed, crypto/tls does not call VerifyPeerCertificate. So all
// connectors that share your own ClientSessionCache skip that check, even if it has
// changed since. VerifyConnection is called every time, and the pins are checked
// every time.
//
// A TLS 1.3 session arrives after the handshake, with the first Read or the first
// check of the connection by a pool.
package tls
