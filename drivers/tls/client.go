package tls

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/driver"
)

// Client makes connections secure, as a [Config] wants it. Any number of
// goroutines may use it at a time.
type Client struct {
	base     *tls.Config
	files    *files
	sessions int
	pins     []string
}

// NewClient returns the Client for c, of which the part below TLS counts only
// for the name of the server. It reads the files. All faults are reported
// together.
func NewClient(c Config) (*Client, error) {
	f, err := openFiles(&c)
	if err := errors.Join(c.check(), err); err != nil {
		return nil, err
	}
	base := &tls.Config{}
	if c.TLS != nil {
		base = c.TLS.Clone()
	}
	if c.ServerName != "" {
		base.ServerName = c.ServerName
	}
	if base.ServerName == "" {
		base.ServerName, _, _ = net.SplitHostPort(c.Address) // checked by drivers/tcp
	}
	if v := versions[c.MinVersion]; v != 0 {
		base.MinVersion = v
	}
	if v := versions[c.MaxVersion]; v != 0 {
		base.MaxVersion = v
	}
	if len(c.ALPN) > 0 {
		base.NextProtos = c.ALPN
	}
	base.InsecureSkipVerify = base.InsecureSkipVerify || c.InsecureSkipVerify
	if c.SessionCache == 0 {
		c.SessionCache = defaultSessions
	}
	return &Client{base, f, c.SessionCache, c.Pins}, nil
}

// Handshake makes nc secure and returns the connection over it, which is for
// the caller to close. It blocks until the server is known to have accepted
// the client, or until ctx ends. When it fails, nc is of no more use, and the
// caller closes it.
func (c *Client) Handshake(ctx context.Context, nc net.Conn) (net.Conn, error) {
	config := c.base.Clone()
	l := c.files.get(c.newSessions)
	if l.roots != nil {
		config.RootCAs = l.roots
	}
	if l.certificate != nil {
		config.Certificates = []tls.Certificate{*l.certificate}
	}
	config.ClientSessionCache = l.sessions
	config.VerifyConnection = c.verify
	return handshake(ctx, nc, config)
}

// newSessions makes the cache that Handshakes share.
func (c *Client) newSessions() tls.ClientSessionCache {
	switch {
	case c.base.ClientSessionCache != nil:
		return c.base.ClientSessionCache
	case c.sessions < 0:
		return forgetful{}
	}
	return tls.NewLRUClientSessionCache(c.sessions)
}

// verify is what crypto/tls asks besides the chain, for resumed sessions too.
func (c *Client) verify(s tls.ConnectionState) error {
	if c.base.VerifyConnection != nil {
		if err := c.base.VerifyConnection(s); err != nil {
			return err
		}
	}
	if len(c.pins) == 0 {
		return nil
	}
	trusted := s.PeerCertificates[:1]
	for _, chain := range s.VerifiedChains {
		trusted = append(trusted, chain...)
	}
	for _, cert := range trusted {
		sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
		if slices.Contains(c.pins, base64.StdEncoding.EncodeToString(sum[:])) {
			return nil
		}
	}
	return &pinError{describe(s.PeerCertificates[0])}
}

// Upgrade makes nc secure, in the Handshake of drivers/tcp, once the server has
// agreed to begin TLS (STARTTLS). config must name the server; see
// [Client.Handshake] for the rest.
//
// It refuses a connection on which the server has sent more than its
// agreement: those bytes came before TLS and so may be from anybody, who wants
// them taken for an answer that came later (CVE-2011-0411). Whoever reads the
// agreement through a buffer must see that nothing is left in there.
func Upgrade(ctx context.Context, nc net.Conn, config *tls.Config) (net.Conn, error) {
	if err := conn.New(nc).Check(); err != nil {
		if errors.Is(err, conn.ErrUnread) {
			return nil, driver.Permanent(errors.New("tls: the server sent more than its agreement before TLS began: somebody may be in between"))
		}
		return nil, fmt.Errorf("tls: before the handshake: %w", err)
	}
	return handshake(ctx, nc, config.Clone())
}

// handshake is Handshake with a config of its own.
func handshake(ctx context.Context, nc net.Conn, config *tls.Config) (net.Conn, error) {
	watch := &watcher{sessions: config.ClientSessionCache}
	if watch.sessions == nil {
		watch.sessions = forgetful{}
	}
	config.ClientSessionCache = watch
	watch.asked(config)
	secure := tls.Client(nc, config)
	watch.conn = secure
	began := time.Now()
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, explain(err)
	}
	state := secure.ConnectionState()
	if len(config.NextProtos) > 0 && state.NegotiatedProtocol == "" {
		return nil, driver.Permanent(fmt.Errorf("tls: alpn: the server takes none of %s", strings.Join(config.NextProtos, ", ")))
	}
	if watch.wasAsked && state.Version >= tls.VersionTLS13 {
		return watch.accepted(ctx, time.Since(began))
	}
	return secure, nil
}

// watcher learns from the calls of crypto/tls whether the server has asked for
// a certificate, and when it has accepted it. All calls come from the
// goroutine that does the handshake or reads.
type watcher struct {
	sessions tls.ClientSessionCache
	conn     *tls.Conn
	wasAsked bool
	waiting  bool
}

// Get implements tls.ClientSessionCache.
func (w *watcher) Get(key string) (*tls.ClientSessionState, bool) { return w.sessions.Get(key) }

// Put implements tls.ClientSessionCache. A session is what a server gives to
// a client that it has accepted.
func (w *watcher) Put(key string, s *tls.ClientSessionState) {
	w.sessions.Put(key, s)
	if w.waiting {
		_ = w.conn.SetReadDeadline(time.Unix(1, 0)) // ends the Read in accepted
	}
}

// asked makes config note that the server asks for a certificate.
func (w *watcher) asked(config *tls.Config) {
	certificates, choose := config.Certificates, config.GetClientCertificate
	config.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		w.wasAsked = true
		if choose != nil {
			return choose(r)
		}
		for i := range certificates {
			if r.SupportsCertificate(&certificates[i]) == nil {
				return &certificates[i], nil
			}
		}
		return new(tls.Certificate), nil // none
	}
}

// accepted waits for the server's judgement of the client's certificate: an
// alert, or else a session or data. A server that sends none of them has been
// silent for longer than the whole handshake took, and is content.
func (w *watcher) accepted(ctx context.Context, took time.Duration) (net.Conn, error) {
	w.waiting = true
	_ = w.conn.SetReadDeadline(time.Now().Add(2*took + 50*time.Millisecond))
	first := make([]byte, 1)
	n, err := w.conn.Read(first)
	w.waiting = false
	if deadline := w.conn.SetReadDeadline(time.Time{}); deadline != nil {
		return nil, fmt.Errorf("tls: after the handshake: %w", deadline)
	}
	var timeout net.Error
	switch {
	case n > 0:
		return &primed{w.conn, first}, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &timeout) && timeout.Timeout():
		return w.conn, nil
	}
	return nil, explain(err)
}

// primed is a connection of which the first byte has been read.
type primed struct {
	*tls.Conn
	first []byte
}

// Read returns the first byte before all others.
func (p *primed) Read(b []byte) (int, error) {
	if len(p.first) == 0 || len(b) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.first)
	p.first = p.first[n:]
	return n, nil
}

// forgetful is a cache that keeps nothing.
type forgetful struct{}

func (forgetful) Get(string) (*tls.ClientSessionState, bool) { return nil, false }
func (forgetful) Put(string, *tls.ClientSessionState)        {}

var _ io.Reader = (*primed)(nil)
