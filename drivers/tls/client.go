package tls

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/hotline-go/hotline/drivers/internal/doubt"
)

// Client secures connections according to a [ClientConfig]. It is safe for concurrent
// use.
type Client struct {
	base  *tls.Config // everything except the contents of the files
	files *files
	doubt doubt.Doubt
}

// NewClient returns a Client for c, which it copies. host is the server's name unless
// c or its Base has a ServerName. NewClient reads the files. Its error reports all
// faults together.
func NewClient(c ClientConfig, host string) (*Client, error) {
	base := c.base(host)
	f, err := openFiles(&c, newSessions(base.ClientSessionCache, c.SessionCache))
	if err := errors.Join(c.check(), err); err != nil {
		return nil, err
	}
	return &Client{base: base, files: f}, nil
}

// base returns the configuration for c without the contents of the files.
func (c *ClientConfig) base(host string) *tls.Config {
	base := &tls.Config{}
	if c.Base != nil {
		base = c.Base.Clone()
	}
	base.ServerName, _, _ = strings.Cut(cmp.Or(c.ServerName, base.ServerName, host), "%") // a zone is not part of the name
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

// newSessions returns a function that returns a session cache: own, unless it is nil,
// or else a new cache for n sessions.
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

// pinned returns a function that checks the pins and then calls next, which may be
// nil. It is a VerifyConnection for tls.Config, because crypto/tls calls that for
// resumed sessions too.
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

// Handshake secures nc and returns the TLS connection over it, whose Close also
// closes nc. It blocks until the server is known to have accepted the client, or
// until ctx ends. If it fails, nc is unusable, and the caller must still close it.
// The connectors of [NewConnector] call it; it is exported for drivers that begin
// TLS themselves.
func (c *Client) Handshake(ctx context.Context, nc net.Conn) (net.Conn, error) {
	secure, err := handshake(ctx, nc, c.config(ctx))
	return secure, c.doubt.Classify(err)
}

// Upgrade is [Client.Handshake] for a connection that has been in plain text so far;
// see the function [Upgrade].
func (c *Client) Upgrade(ctx context.Context, nc net.Conn) (net.Conn, error) {
	secure, err := Upgrade(ctx, nc, c.config(ctx))
	return secure, c.doubt.Classify(err)
}

// config returns the configuration for one connection.
func (c *Client) config(ctx context.Context) *tls.Config {
	config, now := c.base.Clone(), c.files.get(ctx)
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
