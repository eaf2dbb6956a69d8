package tls

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-logr/logr"

	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/internal/dsn"
)

// Config says where to connect and how. The fields that a DSN has as well are
// named after its parameters; zero stands for the default.
type Config struct {
	// Config is the part below TLS. Its Handshake and Ping run over TLS. Its
	// Network must be tcp or empty.
	tcp.Config

	// TLS, if not nil, is what the fields below are applied to. It is copied.
	// What they leave at zero it keeps.
	TLS *tls.Config

	// CA is a file of PEM certificates, the authorities to trust. Empty means
	// the system's. CASystem adds the system's to those of CA.
	CA       string
	CASystem bool

	// Cert and Key are PEM files, the client's certificate with its chain and
	// the key. Both or none are set.
	Cert, Key string

	// ServerName is whom the server's certificate must be for. Empty means the
	// host of Address.
	ServerName string

	// MinVersion and MaxVersion are "1.0" to "1.3". Empty means 1.2 and 1.3.
	MinVersion, MaxVersion string

	// ALPN lists protocols, the best first. The server must take one of them.
	ALPN []string

	// Pins are base64 SHA-256 of public keys; see the package documentation.
	Pins []string

	// SessionCache is how many sessions are kept for resumption. Zero means
	// 32. Negative means none.
	SessionCache int

	// InsecureSkipVerify takes any certificate of the server, for tests.
	InsecureSkipVerify bool

	// Logger is told, as an error, when a changed file can't be used.
	Logger logr.Logger
}

// defaultSessions is the default SessionCache. A connector has one server, and
// so one session, unless it goes by several names.
const defaultSessions = 32

// versions by their names in a DSN.
var versions = map[string]uint16{
	"":    0,
	"1.0": tls.VersionTLS10,
	"1.1": tls.VersionTLS11,
	"1.2": tls.VersionTLS12,
	"1.3": tls.VersionTLS13,
}

// ParseDSN returns the Config that s stands for, so that a program can add to
// it what a string can't carry. All faults are reported together, and none of
// the messages shows a secret.
func ParseDSN(s string) (Config, error) {
	u, err := dsn.Parse(s)
	if err != nil {
		return Config{}, err
	}
	var c Config
	var p dsn.Params
	c.Config.AddParams(&p)
	c.Config.AddPingParams(&p)
	c.AddParams(&p)
	if err := errors.Join(c.setPlace(u), p.Apply(u.Params)); err != nil {
		return Config{}, err
	}
	return c, nil
}

// setPlace sets the address.
func (c *Config) setPlace(u *dsn.URL) error {
	if u.Scheme != "tls" {
		return fmt.Errorf("tls: scheme %q: want tls", u.Scheme)
	}
	tcpURL := *u
	tcpURL.Scheme, tcpURL.Params = "tcp", nil
	place, err := tcp.ParseDSN(tcpURL.Unredacted())
	c.Network, c.Address = place.Network, place.Address
	return err
}

// AddParams adds the parameters of TLS to p, bound to the fields of c. It is
// there for the drivers of this module that stand on this one.
func (c *Config) AddParams(p *dsn.Params) {
	list := func(v *[]string) func(string) error {
		return func(value string) error {
			*v = strings.Split(value, ",")
			return nil
		}
	}
	p.String("ca", &c.CA)
	p.Bool("ca_system", &c.CASystem)
	p.String("cert", &c.Cert)
	p.String("key", &c.Key)
	p.String("server_name", &c.ServerName)
	p.String("min_version", &c.MinVersion)
	p.String("max_version", &c.MaxVersion)
	p.Func("alpn", "protocols with commas between them", list(&c.ALPN))
	p.Func("pin", "SHA-256 of public keys in base64, with commas between them", list(&c.Pins))
	p.Int("session_cache", &c.SessionCache, -1, 1<<20)
	p.Bool("insecure_skip_verify", &c.InsecureSkipVerify)
}

// check returns all faults of the part of c that is TLS, together. The files
// are looked at later.
func (c *Config) check() error {
	var faults []error
	want := func(ok bool, what, allowed string) {
		if !ok {
			faults = append(faults, fmt.Errorf("tls: %s: want %s", what, allowed))
		}
	}
	want(c.Network == "" || c.Network == "tcp", fmt.Sprintf("network %q", c.Network), "tcp")
	lowest, ok := versions[c.MinVersion]
	want(ok, fmt.Sprintf("min_version %q", c.MinVersion), "1.0, 1.1, 1.2 or 1.3")
	highest, okMax := versions[c.MaxVersion]
	want(okMax, fmt.Sprintf("max_version %q", c.MaxVersion), "1.0, 1.1, 1.2 or 1.3")
	want(lowest == 0 || highest == 0 || lowest <= highest, "max_version "+c.MaxVersion, "min_version, which is "+c.MinVersion+", or higher")
	want(lowest != 0 || highest == 0 || highest >= tls.VersionTLS12, "max_version "+c.MaxVersion, "1.2 or higher, or a min_version as low")
	want((c.Cert == "") == (c.Key == ""), "cert, key", "both or none")
	want(!c.CASystem || c.CA != "", "ca_system", "a ca as well; alone the system's authorities are trusted anyway")
	want(!slices.ContainsFunc(c.ALPN, func(p string) bool { return p == "" || len(p) > 255 }), fmt.Sprintf("alpn %q", c.ALPN), "names of 1 to 255 bytes")
	for _, p := range c.Pins {
		sum, err := base64.StdEncoding.DecodeString(p)
		want(err == nil && len(sum) == sha256.Size, fmt.Sprintf("pin %q", p), "a SHA-256 in base64: 44 characters")
	}
	return errors.Join(faults...)
}
