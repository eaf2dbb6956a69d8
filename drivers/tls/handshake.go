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
	"github.com/hotline-go/hotline/drivers/internal/doubt"
)

// Upgrade secures nc, in the Handshake of drivers/tcp, after the server has agreed to
// begin TLS (STARTTLS). config must name the server; sessions are resumed if it has
// a ClientSessionCache. See [Client.Handshake] for the rest.
//
// It fails if the server has sent anything after its agreement. Those bytes came
// before TLS, so they may be from an attacker who wants them to be taken for a later
// answer (CVE-2011-0411). If you read the agreement through a buffer, check that the
// buffer is empty.
//
// Its own errors are never permanent: only a [Client], which remembers earlier
// errors, can tell whether an error lasts.
func Upgrade(ctx context.Context, nc net.Conn, config *tls.Config) (net.Conn, error) {
	if err := conn.New(nc).Check(); err != nil {
		if errors.Is(err, conn.ErrUnread) {
			return nil, doubt.Mark(errors.New("tls: the server sent extra plain text before TLS began; it may come from an attacker"))
		}
		return nil, fmt.Errorf("tls: before the handshake: %w", err)
	}
	return handshake(ctx, nc, config.Clone())
}

// handshake is Client.Handshake with config, which it changes.
func handshake(ctx context.Context, nc net.Conn, config *tls.Config) (net.Conn, error) {
	w := watch(config)
	w.conn = tls.Client(nc, config)
	began := time.Now()
	if err := w.conn.HandshakeContext(ctx); err != nil {
		return nil, w.explain(ctx, err)
	}
	state := w.conn.ConnectionState()
	if len(config.NextProtos) > 0 && state.NegotiatedProtocol == "" {
		return nil, doubt.Mark(fmt.Errorf("tls: alpn: the server accepts none of %s", strings.Join(config.NextProtos, ", ")))
	}
	if w.asked && state.Version >= tls.VersionTLS13 {
		return w.accepted(ctx, time.Since(began))
	}
	return w.conn, nil
}

// watcher learns from calls by crypto/tls whether the server has asked for
// a certificate, and when it has accepted it. All calls come from the goroutine that
// does the handshake or reads.
type watcher struct {
	sessions tls.ClientSessionCache
	conn     *tls.Conn
	asked    bool             // the server asked for a certificate
	shown    *tls.Certificate // the one sent; empty if there was none to send
	waiting  bool             // accepted is waiting
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

// chooseFrom returns a GetClientCertificate that does what crypto/tls does without
// one.
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

// Put implements tls.ClientSessionCache. A server gives a session only to a client
// that it has accepted.
func (w *watcher) Put(key string, s *tls.ClientSessionState) {
	w.sessions.Put(key, s)
	if w.waiting {
		_ = w.conn.SetReadDeadline(aLongTimeAgo) // ends the Read in accepted
	}
}

// acceptedShare limits the wait in accepted: it takes at most 1/acceptedShare of the
// time left, because a login may follow.
const acceptedShare = 4

// aLongTimeAgo is a deadline that has passed.
var aLongTimeAgo = time.Unix(1, 0)

// accepted waits until the server has accepted or refused the client's certificate:
// it sends a session or data, or else an alert. If the server stays silent for longer
// than the whole handshake took, it has presumably accepted. With a distant server
// that wait may be long, so it is limited to a fraction of the time left.
func (w *watcher) accepted(ctx context.Context, took time.Duration) (net.Conn, error) {
	w.waiting = true
	wait := 2*took + 50*time.Millisecond
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(end)/acceptedShare)
	}
	_ = w.conn.SetReadDeadline(time.Now().Add(wait))
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

// primed is a connection whose first byte has already been read.
type primed struct {
	*tls.Conn
	first []byte
}

// Read returns first before other bytes.
func (p *primed) Read(b []byte) (int, error) {
	if len(p.first) == 0 || len(b) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.first)
	p.first = p.first[n:]
	return n, nil
}
