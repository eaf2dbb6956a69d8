package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"time"
)

// secured is a connection over TLS.
type secured interface {
	ConnectionState() tls.ConnectionState
	Expiry() time.Time
}

// describeTLS prints what was agreed on, and when the first of the server's
// certificates expires.
func describeTLS(w io.Writer, c secured) {
	state, expiry := c.ConnectionState(), c.Expiry()
	fmt.Fprintf(w, "%s with %s; the server's certificate expires on %s, in %s days\n",
		tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite),
		expiry.Format(time.DateOnly), grouped(int64(time.Until(expiry)/(24*time.Hour))))
}

// reconnect connects to t again and prints whether that was cheaper.
func (c *pingCommand) reconnect(ctx context.Context, con console, t *target) error {
	began := time.Now()
	conn, err := t.connect(ctx, c.Timeout)
	if err != nil {
		return fmt.Errorf("connecting again: %w", err)
	}
	defer conn.Close()
	how := "by a full handshake, the server resumes no session"
	if conn.(secured).ConnectionState().DidResume {
		how = "by resuming the session"
	}
	fmt.Fprintf(con.out, "connected again in %s, %s\n", short(time.Since(began)), how)
	return nil
}
