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

// stateOf returns the TLS state of conn, if it uses TLS.
func stateOf(conn pinger) (state tls.ConnectionState, ok bool) {
	c, ok := conn.(interface{ ConnectionState() tls.ConnectionState })
	if ok {
		state = c.ConnectionState()
	}
	return state, state.HandshakeComplete
}

// describeTLS prints the version and cipher, and when the first of the server's
// certificates expires.
func describeTLS(w io.Writer, state tls.ConnectionState) {
	expires := expiry(state)
	fmt.Fprintf(w, "%s with %s; the server's certificate expires on %s, in %s\n",
		tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite),
		expires.Format(time.DateOnly), count(int64(time.Until(expires)/(24*time.Hour)), "day"))
}

// expiry returns when the first of the server's certificates expires.
func expiry(state tls.ConnectionState) time.Time {
	return slices.MinFunc(state.PeerCertificates, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }).NotAfter
}

// reconnect connects to t again and prints whether that resumed the TLS session.
func (c *pingCommand) reconnect(ctx context.Context, con console, t *target, found *jsonPing) error {
	conn, took, err := c.connect(ctx, con, t)
	if err != nil {
		return fmt.Errorf("connecting again: %w", err)
	}
	defer conn.Close()
	how := "with a full handshake; the server does not resume sessions"
	state, _ := stateOf(conn)
	if state.DidResume {
		how = "by resuming the session"
	}
	found.Again = &jsonAgain{took, state.DidResume}
	fmt.Fprintf(con.out, "connected again in %s, %s\n", short(took), how)
	return nil
}
