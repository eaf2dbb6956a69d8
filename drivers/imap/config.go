package imap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/go-logr/logr"

	"github.com/hotline-go/hotline/drivers/tls"
)

// Config says where to connect, as whom, and how. The fields that a DSN has as
// well are named after its parameters, save for Encryption, which is tls; zero
// stands for the default.
type Config struct {
	// Config is the part below IMAP. Its Handshake and Ping must not be set.
	tls.Config

	// Encryption is how TLS comes to the connection: [Implicit], [StartTLS] or
	// [None]. Empty means Implicit.
	Encryption string

	// User and Password are for all mechanisms but EXTERNAL. For OAUTHBEARER
	// and XOAUTH2 the password is the token. They must not be set where
	// Credentials is.
	User, Password string

	// Credentials, if not nil, is asked before each connect, with the context
	// of Connect. refused is nil, or why the server did not take what
	// Credentials has returned just before; then a fresh token is wanted, and
	// the same again ends the attempt. Many goroutines may call it at a time.
	Credentials func(ctx context.Context, refused error) (Credentials, error)

	// Auth is the mechanism to log in with: SCRAM-SHA-256, PLAIN, LOGIN,
	// OAUTHBEARER, XOAUTH2 or EXTERNAL. Empty means the best that the server
	// has; see the package documentation.
	Auth string

	// AuthzID is the user to act as, where that is not the one who logs in.
	// PLAIN, SCRAM-SHA-256 and EXTERNAL have a place for it.
	AuthzID string

	// InsecureAuth lets a password or a token go over plain text to another
	// host.
	InsecureAuth bool

	// Mailbox, if not empty, is selected in each connection that is handed
	// out. ReadOnly selects it by EXAMINE.
	Mailbox  string
	ReadOnly bool

	// Reset is what becomes of a connection in which a mailbox other than
	// Mailbox was selected: [ResetUnselect], [ResetKeep] or [ResetDiscard].
	// Empty means ResetUnselect.
	Reset string

	// ID is what the server is told about the program, if it wants to know, in
	// printable ASCII. Nil means the name hotline. An empty one means nothing.
	ID *imap.IDData

	// Enable lists what to ENABLE in each connection, where the server has it:
	// UTF8=ACCEPT, IMAP4rev2, METADATA or METADATA-SERVER.
	Enable []imap.Cap

	// SRV makes the host of Address a domain, whose servers are looked up in
	// the DNS (RFC 6186) at each connect. The certificate must be for the
	// domain, unless ServerName says otherwise. Its port counts for nothing.
	SRV bool

	// Trace, unless it is zero or not enabled at connect, is told every line
	// that is sent and received, after STARTTLS where there is one. What goes
	// as a literal is left out, as mail is, and all but commands, status and
	// capabilities of a login. Subjects and addresses are in it. The parameter
	// of that name makes it print to standard error.
	Trace logr.Logger

	// LookupSRV looks up the servers. Nil means that of net.DefaultResolver.
	LookupSRV func(ctx context.Context, service, proto, name string) (cname string, addrs []*net.SRV, err error)
}

// Credentials are what a connection logs in with.
type Credentials struct {
	// User and Password are those of Config. Token is an OAuth access token;
	// where it is set, Password counts for nothing.
	User, Password, Token string

	// Expiry is when the token ends. A connection is not pooled after it, or
	// in the last minute before; if less than two minutes are left at connect,
	// in the second half of them. Zero means that nobody knows.
	Expiry time.Time
}

// The values of Config.Encryption.
const (
	Implicit = "implicit" // TLS from the first byte
	StartTLS = "starttls" // TLS before the login; without it there is none
	None     = "none"     // plain text
)

// The values of Config.Reset.
const (
	ResetUnselect = "unselect" // go back to what Connect returned
	ResetKeep     = "keep"     // leave it selected, for a next holder who looks
	ResetDiscard  = "discard"  // close the connection
)

// String names the protocol, user and address, and nothing secret.
func (c Config) String() string {
	name := "imaps "
	if c.Encryption == StartTLS || c.Encryption == None {
		name = "imap "
	}
	if c.User != "" {
		name += c.User + "@"
	}
	return name + c.Address
}

// Format prints String for every verb, because of the secrets.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// String names the user.
func (c Credentials) String() string { return "credentials of " + c.User }

// Format prints String for every verb.
func (c Credentials) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// canEnable are the extensions that go-imap knows how to speak.
var canEnable = []imap.Cap{imap.CapIMAP4rev2, imap.CapUTF8Accept, imap.CapMetadata, imap.CapMetadataServer}

// check returns all faults of the part of c that is IMAP, together.
func (c *Config) check() error {
	var faults []error
	want := func(ok bool, what, allowed string) {
		if !ok {
			faults = append(faults, fmt.Errorf("imap: %s: want %s", what, allowed))
		}
	}
	oneOf := func(name, value string, allowed ...string) {
		want(value == "" || slices.Contains(allowed, value), fmt.Sprintf("%s %q", name, value), strings.Join(allowed, " or "))
	}
	oneOf("tls", c.Encryption, Implicit, StartTLS, None)
	oneOf("auth", c.Auth, mechanismNames()...)
	oneOf("reset", c.Reset, ResetUnselect, ResetKeep, ResetDiscard)
	want(c.Handshake == nil && c.Config.Ping == nil && c.PingBytes == "", "handshake, ping", "none; the driver has its own")
	external := c.Auth == "EXTERNAL" || c.Auth == "" && c.Cert != ""
	want(c.User != "" || c.Credentials != nil || external, "user", "one, as in imaps://user:password@host, or a client certificate")
	want(c.Credentials == nil || c.User == "" && c.Password == "", "user and password", "none beside a Credentials function")
	want(!strings.Contains(strings.ToUpper(c.User), ";AUTH="), "user", "no ;AUTH= in it; write auth=")
	want(!c.ReadOnly || c.Mailbox != "", "readonly", "a mailbox as well, as in imaps://user:password@host/INBOX")
	if c.ID != nil {
		for id, i := reflect.ValueOf(*c.ID), 0; i < id.NumField(); i++ {
			want(!strings.ContainsFunc(id.Field(i).String(), notPrintable), "id "+id.Type().Field(i).Name, "printable ASCII")
		}
	}
	for _, extension := range c.Enable {
		want(slices.Contains(canEnable, extension), fmt.Sprintf("enable %q", extension), fmt.Sprint("some of ", canEnable))
	}
	return errors.Join(faults...)
}

// notPrintable reports whether r can't be in a quoted string (RFC 3501 section
// 9), or would be a surprise there.
func notPrintable(r rune) bool { return r < ' ' || r > '~' }
