package tls

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/driver"
)

// Upgrade makes nc secure, in the Handshake of drivers/tcp, once the server has
// agreed to begin TLS (STARTTLS). config must name the server; sessions are
// resumed if it has a ClientSessionCache. See [Client.Handshake] for the rest.
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

// handshake is Client.Handshake with a config of its own.
func handshake(ctx context.Context, nc net.Conn, config *tls.Config) (net.Conn, error) {
	w := watch(config)
	w.conn = tls.Client(nc, config)
	began := time.Now()
	if err := w.conn.HandshakeContext(ctx); err != nil {
		return nil, w.explain(ctx, err)
	}
	state := w.conn.ConnectionState()
	if len(config.NextProtos) > 0 && state.NegotiatedProtocol == "" {
		return nil, driver.Permanent(fmt.Errorf("tls: alpn: the server takes none of %s", strings.Join(config.NextProtos, ", ")))
	}
	if w.asked && state.Version >= tls.VersionTLS13 {
		return w.accepted(ctx, time.Since(began))
	}
	return w.conn, nil
}

// watcher learns from the calls of crypto/tls whether the server has asked for
// a certificate, and when it has accepted it. All calls come from the
// goroutine that does the handshake or reads.
type watcher struct {
	sessions tls.ClientSessionCache
	conn     *tls.Conn
	asked    bool             // for a certificate
	shown    *tls.Certificate // one without content if there was none to show
	waiting  bool             // in accepted
}

// watch makes config report to the watcher that it returns.
func watch(config *tls.Config) *watcher {
	w := &watcher{sessions: config.ClientSessionCache}
	if w.sessions == nil {
		w.sessions = forgetful{}
	}
	config.ClientSessionCache = w
	choose := config.GetClientCertificate
	if choose == nil {
		choose = chooseFrom(config.Certificates)
	}
	config.GetClientCertificate = func(r *tls.CertificateRequestInfo) (_ *tls.Certificate, err error) {
		w.asked = true
		w.shown, err = choose(r)
		return w.shown, err
	}
	return w
}

// chooseFrom is what crypto/tls does without a GetClientCertificate.
func chooseFrom(certificates []tls.Certificate) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		for i := range certificates {
			if r.SupportsCertificate(&certificates[i]) == nil {
				return &certificates[i], nil
			}
		}
		return new(tls.Certificate), nil
	}
}

// Get implements tls.ClientSessionCache.
func (w *watcher) Get(key string) (*tls.ClientSessionState, bool) { return w.sessions.Get(key) }

// Put implements tls.ClientSessionCache. A session is what a server gives to
// a client that it has accepted.
func (w *watcher) Put(key string, s *tls.ClientSessionState) {
	w.sessions.Put(key, s)
	if w.waiting {
		_ = w.conn.SetReadDeadline(aLongTimeAgo) // ends the Read in accepted
	}
}

// aLongTimeAgo is a deadline that has passed.
var aLongTimeAgo = time.Unix(1, 0)

// accepted waits for the server's judgement of the client's certificate: an
// alert, or else a session or data. A server that sends none of them has been
// silent for longer than the whole handshake took, and is content.
func (w *watcher) accepted(ctx context.Context, took time.Duration) (net.Conn, error) {
	w.waiting = true
	_ = w.conn.SetReadDeadline(time.Now().Add(2*took + 50*time.Millisecond))
	stop := context.AfterFunc(ctx, func() { _ = w.conn.SetReadDeadline(aLongTimeAgo) })
	first := make([]byte, 1)
	n, err := w.conn.Read(first)
	w.waiting = false
	switch {
	case !stop():
		return nil, w.explain(ctx, ctx.Err())
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		return nil, w.explain(ctx, err)
	}
	if err := w.conn.SetReadDeadline(time.Time{}); err != nil {
		return nil, w.explain(ctx, err)
	}
	if n > 0 {
		return &primed{w.conn, first}, nil
	}
	return w.conn, nil
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
