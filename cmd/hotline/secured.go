package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"slices"
	"time"
)

// stateOf returns what conn has agreed on with the server, if it is over TLS.
func stateOf(conn pinger) (state tls.ConnectionState, ok bool) {
	c, ok := conn.(interface{ ConnectionState() tls.ConnectionState })
	if ok {
		state = c.ConnectionState()
	}
	return state, state.HandshakeComplete
}

// describeTLS prints what was agreed on, and when the first of the server's
// certificates expires.
func describeTLS(w io.Writer, state tls.ConnectionState) {
	first := slices.MinFunc(state.PeerCertificates, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	fmt.Fprintf(w, "%s with %s; the server's certificate expires on %s, in %s days\n",
		tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite),
		first.NotAfter.Format(time.DateOnly), grouped(int64(time.Until(first.NotAfter)/(24*time.Hour))))
}

// reconnect connects to t again and prints whether that was cheaper.
func (c *pingCommand) reconnect(ctx context.Context, con console, t *target) error {
	conn, took, err := c.connect(ctx, con, t)
	if err != nil {
		return fmt.Errorf("connecting again: %w", err)
	}
	defer conn.Close()
	how := "by a full handshake, the server resumes no session"
	if state, _ := stateOf(conn); state.DidResume {
		how = "by resuming the session"
	}
	fmt.Fprintf(con.out, "connected again in %s, %s\n", short(took), how)
	return nil
}
