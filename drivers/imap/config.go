package imap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/go-logr/logr"

	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/drivers/tls"
)

// Config says where and how to connect, and as which user. Fields that are also DSN
// parameters have the same names, except Encryption, which is tls in a DSN. Zero means
// the default.
type Config struct {
	// TCP configures the connection below TLS, including the Address. Its
	// Handshake, Ping and PingBytes must not be set.
	TCP tcp.Config

	// TLS configures the encryption, unless Encryption is None.
	TLS tls.ClientConfig

	// Encryption says how the connection uses TLS: [Implicit], [StartTLS] or
	// [None]. Empty means Implicit.
	Encryption string

	// User and Password are the login for all mechanisms except EXTERNAL. For
	// OAUTHBEARER and XOAUTH2, Password is the token. Leave both empty if
	// Credentials is set.
	User, Password string

	// Credentials, if not nil, is called before each connect, with the context of
	// Connect. refused is nil at first. If the server refuses the returned
	// credentials, Connect may call Credentials once more, with the server's error.
	// Then return a fresh token; returning the same one ends the attempt. Several
	// goroutines may call it at once.
	Credentials func(ctx context.Context, refused error) (Credentials, error)

	// Auth is the mechanism to log in with: SCRAM-SHA-256, PLAIN, LOGIN,
	// OAUTHBEARER, XOAUTH2 or EXTERNAL. Empty means the best one that the server
	// offers; see the package documentation.
	Auth string

	// AuthzID is the user to act as, if different from the user who logs in. Only
	// PLAIN, SCRAM-SHA-256 and EXTERNAL support it.
	AuthzID string

	// InsecureAuth allows sending a password or a token in plain text to another
	// host.
	InsecureAuth bool

	// Mailbox, if not empty, is selected on each connection before it is lent.
	// ReadOnly selects it with EXAMINE.
	Mailbox  string
	ReadOnly bool

	// Reset says what to do with a connection on which a mailbox other than Mailbox
	// was selected: [ResetUnselect], [ResetKeep] or [ResetDiscard]. Empty means
	// ResetUnselect.
	Reset string

	// ID is sent to servers that support the ID command, and must be printable
	// ASCII. Nil means the name hotline. If it is empty, nothing is sent.
	ID *imap.IDData

	// Enable lists the extensions to ENABLE on each connection if the server
	// supports them: UTF8=ACCEPT, IMAP4rev2, METADATA or METADATA-SERVER.
	Enable []imap.Cap

	// SRV means that the host in TCP.Address is a domain, whose servers are looked up
	// in the DNS (RFC 6186) at each connect. The port is ignored. The certificate
	// must be for the domain, unless TLS.ServerName is set.
	SRV bool

	// Trace logs every line sent and received, after STARTTLS if that is used. It
	// omits literals, which carry mail, and everything in a login except commands,
	// statuses and capabilities. It does include subjects and addresses. A zero
	// Trace, or one that is not enabled at connect, logs nothing. The DSN
	// parameter trace prints to standard error.
	Trace logr.Logger

	// LookupSRV looks up the servers. Nil means the method of net.DefaultResolver.
	LookupSRV func(ctx context.Context, service, proto, name string) (cname string, addrs []*net.SRV, err error)
}

// Credentials are what a connection logs in with.
type Credentials struct {
	// User and Password are as in Config. Token is an OAuth access token; if it is
	// set, Password is ignored.
	User, Password, Token string

	// Expiry is when the token expires. A connection leaves the pool a minute
	// before that, or, if less than two minutes were left at connect, after half of
	// the time left. Zero means unknown.
	Expiry time.Time
}

// The values of Config.Encryption.
const (
	Implicit = "implicit" // TLS from the first byte
	StartTLS = "starttls" // TLS before the login; Connect fails without it
	None     = "none"     // plain text
)

// The values of Config.Reset.
const (
	ResetUnselect = "unselect" // go back to the state in which Connect left it
	ResetKeep     = "keep"     // leave it selected; the next user must check
	ResetDiscard  = "discard"  // close the connection
)

// String returns the protocol, the user and the address. It shows no secret.
func (c Config) String() string {
	name := "imaps "
	if c.Encryption == StartTLS || c.Encryption == None {
		name = "imap "
	}
	if c.User != "" {
		name += c.User + "@"
	}
	return name + c.TCP.Address
}

// Format prints String for every verb, to hide the secrets.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// String returns only the user.
func (c Credentials) String() string { return "credentials of " + c.User }

// Format prints String for every verb.
func (c Credentials) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// canEnable lists the extensions that go-imap supports.
var canEnable = []imap.Cap{imap.CapIMAP4rev2, imap.CapUTF8Accept, imap.CapMetadata, imap.CapMetadataServer}

// check returns all faults of the IMAP fields of c together.
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
	want(c.TCP.Handshake == nil && c.TCP.Ping == nil && c.TCP.PingBytes == "", "handshake, ping", "neither; the driver has its own")
	want(c.TCP.Network != "unix", "network unix", "tcp")
	external := c.Auth == "EXTERNAL" || c.Auth == "" && c.TLS.Cert != ""
	want(c.User != "" || c.Credentials != nil || external, "user", "one, as in imaps://user:password@host, or a client certificate")
	want(c.Credentials == nil || c.User == "" && c.Password == "", "user and password", "none with a Credentials function")
	want(!strings.Contains(strings.ToUpper(c.User), ";AUTH="), "user", "no ;AUTH= in it; write auth=")
	want(!c.ReadOnly || c.Mailbox != "", "readonly", "a mailbox too, as in imaps://user:password@host/INBOX")
	for _, field := range unprintable(c.ID) {
		want(false, "id "+field, "printable ASCII")
	}
	for _, extension := range c.Enable {
		want(slices.Contains(canEnable, extension), fmt.Sprintf("enable %q", extension), fmt.Sprint("some of ", canEnable))
	}
	return errors.Join(faults...)
}

// notPrintable reports whether r is not printable ASCII. A quoted string (RFC 3501,
// section 9) can't contain some of those characters.
func notPrintable(r rune) bool { return r < ' ' || r > '~' }
