package tls

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"slices"
)

// Client makes connections secure, as a [Config] wants it. Any number of
// goroutines may use it at a time.
type Client struct {
	base  *tls.Config // all but what the files hold
	files *files
}

// NewClient returns the Client for c, which it copies. Of the part below TLS
// only the host in Address counts, for the name of the server. It reads the
// files. All faults are reported together.
func NewClient(c Config) (*Client, error) {
	base := c.base()
	f, err := openFiles(&c, newSessions(base.ClientSessionCache, c.SessionCache))
	if err := errors.Join(c.check(), err); err != nil {
		return nil, err
	}
	return &Client{base, f}, nil
}

// base returns what c says besides the files.
func (c *Config) base() *tls.Config {
	base := &tls.Config{}
	if c.TLS != nil {
		base = c.TLS.Clone()
	}
	if c.ServerName != "" {
		base.ServerName = c.ServerName
	}
	if base.ServerName == "" {
		base.ServerName, _, _ = net.SplitHostPort(c.Address) // a fault is for drivers/tcp to report
	}
	if v := versions[c.MinVersion]; v != 0 {
		base.MinVersion = v
	}
	if v := versions[c.MaxVersion]; v != 0 {
		base.MaxVersion = v
	}
	if len(c.ALPN) > 0 {
		base.NextProtos = slices.Clone(c.ALPN)
	}
	base.InsecureSkipVerify = base.InsecureSkipVerify || c.InsecureSkipVerify
	if len(c.Pins) > 0 {
		base.VerifyConnection = pinned(slices.Clone(c.Pins), base.VerifyConnection)
	}
	return base
}

// newSessions returns what makes the cache that Handshakes share: always the
// user's own, if there is one, or a new one of n sessions.
func newSessions(own tls.ClientSessionCache, n int) func() tls.ClientSessionCache {
	return func() tls.ClientSessionCache {
		switch {
		case own != nil:
			return own
		case n < 0:
			return forgetful{}
		case n == 0:
			n = defaultSessions
		}
		return tls.NewLRUClientSessionCache(n)
	}
}

// forgetful is a cache that keeps nothing.
type forgetful struct{}

func (forgetful) Get(string) (*tls.ClientSessionState, bool) { return nil, false }
func (forgetful) Put(string, *tls.ClientSessionState)        {}

// pinned returns a tls.Config's VerifyConnection, which crypto/tls calls for
// resumed sessions too. next may be nil.
func pinned(pins []string, next func(tls.ConnectionState) error) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		chains := slices.Concat(s.VerifiedChains...)
		for _, cert := range append(chains, s.PeerCertificates[0]) {
			sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
			if slices.Contains(pins, base64.StdEncoding.EncodeToString(sum[:])) {
				if next == nil {
					return nil
				}
				return next(s)
			}
		}
		return &pinError{describe(s.PeerCertificates[0])}
	}
}

// Handshake makes nc secure and returns the connection over it, whose Close
// closes nc too. It blocks until the server is known to have accepted the
// client, or until ctx ends. When it fails, nc is of no more use, and still for
// the caller to close. [NewConnector] has it called; it is there for drivers
// that begin TLS themselves.
func (c *Client) Handshake(ctx context.Context, nc net.Conn) (net.Conn, error) {
	return handshake(ctx, nc, c.config())
}

// Upgrade is [Client.Handshake] on a connection that was plain until now; see
// the function [Upgrade].
func (c *Client) Upgrade(ctx context.Context, nc net.Conn) (net.Conn, error) {
	return Upgrade(ctx, nc, c.config())
}

// config returns a configuration for one connection.
func (c *Client) config() *tls.Config {
	config, now := c.base.Clone(), c.files.get()
	if now.roots != nil {
		config.RootCAs = now.roots
	}
	if now.certificate != nil {
		config.Certificates = []tls.Certificate{*now.certificate}
		config.GetClientCertificate = nil
	}
	config.ClientSessionCache = now.sessions
	return config
}
