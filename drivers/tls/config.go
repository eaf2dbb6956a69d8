package tls

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-logr/logr"

	"github.com/hotline-go/hotline/driver/dsn"
	"github.com/hotline-go/hotline/drivers/tcp"
)

// Config says where and how to connect.
type Config struct {
	// TCP configures the connection below TLS. Its Handshake and Ping run over
	// TLS. Its Network must be tcp or empty.
	TCP tcp.Config

	// TLS says how to secure the connection.
	TLS ClientConfig
}

// ClientConfig says how a client secures connections. Zero means the default. The
// tags are the names of the DSN parameters; a driver built on this one reads them
// with dsn.Params.Struct.
type ClientConfig struct {
	// Base, if not nil, is copied, and the fields below are applied to the copy.
	// Fields that are zero change nothing.
	Base *tls.Config

	// CA is a PEM file with the authorities to trust. Empty means the system's.
	// CASystem trusts the system's in addition to those in CA.
	CA       string `dsn:"ca"`
	CASystem bool   `dsn:"ca_system"`

	// Cert and Key are PEM files with the client's certificate, including its
	// chain, and the key. Set both or neither.
	Cert string `dsn:"cert"`
	Key  string `dsn:"key"`

	// ServerName is the name that the server's certificate must be for. Empty
	// means the host in the address.
	ServerName string `dsn:"server_name"`

	// MinVersion and MaxVersion are "1.0" to "1.3". Empty means 1.2 and 1.3.
	MinVersion string `dsn:"min_version"`
	MaxVersion string `dsn:"max_version"`

	// ALPN lists protocols in order of preference. The server must accept one of
	// them.
	ALPN []string `dsn:"alpn"`

	// Pins are base64 SHA-256 hashes of public keys; see the package
	// documentation.
	Pins []string `dsn:"pin"`

	// SessionCache is how many sessions to keep for resumption. Zero means 32.
	// Negative means none.
	SessionCache int `dsn:"session_cache"`

	// InsecureSkipVerify accepts any server certificate, for tests.
	InsecureSkipVerify bool `dsn:"insecure_skip_verify"`

	// Logger gets an error when a changed file can't be used.
	Logger logr.Logger
}

// defaultSessions is the default SessionCache. A connector needs one session,
// unless it uses several server names.
const defaultSessions = 32

// versions maps the names of versions in a DSN to their numbers.
var versions = map[string]uint16{
	"":    0,
	"1.0": tls.VersionTLS10,
	"1.1": tls.VersionTLS11,
	"1.2": tls.VersionTLS12,
	"1.3": tls.VersionTLS13,
}

// String returns the address. It shows no secret.
func (c Config) String() string { return "tls " + c.TCP.Address }

// Format prints String for every verb, because the Proxy may hold a password.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// String returns the ServerName. It shows no secret.
func (c ClientConfig) String() string { return "tls client for " + cmp.Or(c.ServerName, "any server") }

// Format prints String for every verb, because Base may hold a private key.
func (c ClientConfig) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// ParseDSN returns the Config for s, so that a program can add settings that don't
// fit in a string. It does not read the files. Its error reports all faults
// together and shows no secret.
func ParseDSN(s string) (Config, error) {
	u, err := dsn.Parse(s)
	if err != nil {
		return Config{}, err
	}
	var c Config
	errSet := c.set(u)
	_, errTCP := tcp.NewConnector(c.TCP)
	if err := errors.Join(errSet, c.checkNetwork(), c.TLS.check(), errTCP); err != nil {
		return Config{}, err
	}
	return c, nil
}

// set sets the fields that u has. It does not check them.
func (c *Config) set(u *dsn.URL) error {
	var p dsn.Params
	p.Struct(&c.TCP)
	p.Struct(&c.TLS)
	return errors.Join(c.setAddress(u), p.Apply(u.Params))
}

// setAddress sets Address.
func (c *Config) setAddress(u *dsn.URL) error {
	c.TCP.Address = u.Host
	if u.Port != 0 {
		c.TCP.Address = net.JoinHostPort(u.Host, strconv.Itoa(u.Port))
	}
	var f faults
	f.want(u.Scheme == "tls", fmt.Sprintf("scheme %q", u.Scheme), "tls")
	f.want(u.Path == "" || u.Path == "/", "path", "none")
	f.want(u.User == "" && u.Password == "", "user and password", "none; log in with Config.TCP.Handshake")
	return errors.Join(f...)
}

// faults collects the faults of a Config. It calls the fields by their names in
// a DSN.
type faults []error

// want adds a fault unless ok.
func (f *faults) want(ok bool, what, allowed string) {
	if !ok {
		*f = append(*f, fmt.Errorf("tls: %s: want %s", what, allowed))
	}
}

// checkNetwork rejects the Network that drivers/tcp supports and this driver does
// not.
func (c *Config) checkNetwork() error {
	if c.TCP.Network == "unix" {
		return errors.New("tls: network unix: want tcp")
	}
	return nil
}

// check returns all faults of c together. It does not check the files.
func (c *ClientConfig) check() error {
	var f faults
	c.checkVersions(&f)
	c.checkNames(&f)
	f.want((c.Cert == "") == (c.Key == ""), "cert, key", "both or neither")
	f.want(!c.CASystem || c.CA != "", "ca_system", "a ca too; without one the system's authorities are trusted anyway")
	unfit := func(protocol string) bool { return protocol == "" || len(protocol) > 255 }
	f.want(!slices.ContainsFunc(c.ALPN, unfit), fmt.Sprintf("alpn %q", c.ALPN), "names of 1 to 255 bytes")
	for _, p := range c.Pins {
		sum, err := base64.StdEncoding.DecodeString(p)
		f.want(err == nil && len(sum) == sha256.Size, fmt.Sprintf("pin %q", p), "a base64 SHA-256 hash: 44 characters, with + written as %2B in a DSN")
	}
	return errors.Join(f...)
}

func (c *ClientConfig) checkNames(f *faults) {
	names := []string{c.ServerName}
	if c.Base != nil {
		names = append(names, c.Base.ServerName)
	}
	for _, name := range names {
		odd := strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
		f.want(!odd, fmt.Sprintf("server_name %q", name), "a name or an IP address, without spaces and control characters")
	}
}

func (c *ClientConfig) checkVersions(f *faults) {
	lowest, okMin := versions[c.MinVersion]
	highest, okMax := versions[c.MaxVersion]
	f.want(okMin, fmt.Sprintf("min_version %q", c.MinVersion), "1.0, 1.1, 1.2 or 1.3")
	f.want(okMax, fmt.Sprintf("max_version %q", c.MaxVersion), "1.0, 1.1, 1.2 or 1.3")
	f.want(lowest == 0 || highest == 0 || lowest <= highest, "max_version "+c.MaxVersion, "at least min_version, which is "+c.MinVersion)
	f.want(lowest != 0 || highest == 0 || highest >= tls.VersionTLS12 || !okMin, "max_version "+c.MaxVersion, "1.2 or higher, or also a min_version that is not higher")
}
