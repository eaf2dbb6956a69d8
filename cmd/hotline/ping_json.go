package main

import (
	"crypto/tls"
	"maps"
	"slices"
	"time"

	goimap "github.com/emersion/go-imap/v2"

	"github.com/hotline-go/hotline/drivers/imap"
)

// jsonPing is the output of ping --json. Names and meanings of fields must not change.
type jsonPing struct {
	Target     string          `json:"target"`
	Connect    time.Duration   `json:"connect_ns,omitempty"` // absent if it failed
	TLS        *jsonTLS        `json:"tls,omitempty"`
	IMAP       *jsonIMAP       `json:"imap,omitempty"`
	RoundTrips []time.Duration `json:"round_trips_ns,omitempty"` // of the pings that succeeded, in order
	Again      *jsonAgain      `json:"connect_again,omitempty"`  // with TLS only
}

// jsonTLS is what the TLS handshake agreed on.
type jsonTLS struct {
	Version string    `json:"version"`
	Cipher  string    `json:"cipher"`
	Expires time.Time `json:"certificate_expires"` // when the first of the server's certificates expires
}

// jsonIMAP describes a mail server.
type jsonIMAP struct {
	Mechanism    string       `json:"mechanism"`
	Capabilities []goimap.Cap `json:"capabilities"` // sorted
}

// jsonAgain is the second connect.
type jsonAgain struct {
	Connect time.Duration `json:"connect_ns"`
	Resumed bool          `json:"session_resumed"`
}

// add adds what is known about conn. took is how long its connect took.
func (p *jsonPing) add(conn pinger, took time.Duration) {
	p.Connect = took
	if state, ok := stateOf(conn); ok {
		p.TLS = &jsonTLS{tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite), expiry(state)}
	}
	if mail, ok := conn.(*imap.Conn); ok {
		p.IMAP = &jsonIMAP{mail.Mechanism(), slices.Sorted(maps.Keys(mail.Caps()))}
	}
}
