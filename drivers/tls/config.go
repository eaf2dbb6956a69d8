package tls

import (
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

// String names the address, and nothing secret.
func (c Config) String() string { return "tls " + c.Address }

// Format prints String for every verb, because Proxy may hold a password.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// ParseDSN returns the Config that s stands for, so that a program can add to
// it what a string can't carry. It does not read the files. All faults are
// reported together, and none of the messages shows a secret.
func ParseDSN(s string) (Config, error) {
	u, err := dsn.Parse(s)
	if err != nil {
		return Config{}, err
	}
	var c Config
	errSet := c.set(u)
	_, errTCP := tcp.NewConnector(c.Config)
	if err := errors.Join(errSet, c.check(), errTCP); err != nil {
		return Config{}, err
	}
	return c, nil
}

// set sets the fields that u names. They are yet to be checked.
func (c *Config) set(u *dsn.URL) error {
	var p dsn.Params
	c.Config.AddParams(&p)
	c.Config.AddPingParams(&p)
	c.AddParams(&p)
	return errors.Join(c.setPlace(u), p.Apply(u.Params))
}

// setPlace sets the address.
func (c *Config) setPlace(u *dsn.URL) error {
	c.Address = u.Host
	if u.Port != 0 {
		c.Address = net.JoinHostPort(u.Host, strconv.Itoa(u.Port))
	}
	var f faults
	f.want(u.Scheme == "tls", fmt.Sprintf("scheme %q", u.Scheme), "tls")
	f.want(u.Path == "" || u.Path == "/", "path", "none")
	f.want(u.User == "" && u.Password == "", "user and password", "none; log in with Config.Handshake")
	return errors.Join(f...)
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

// faults collects what is wrong with a Config. Fields go by the names that
// they have in a DSN.
type faults []error

// want adds a fault unless ok.
func (f *faults) want(ok bool, what, allowed string) {
	if !ok {
		*f = append(*f, fmt.Errorf("tls: %s: want %s", what, allowed))
	}
}

// check returns all faults of the part of c that is TLS, together. The files
// are looked at later.
func (c *Config) check() error {
	var f faults
	f.want(c.Network != "unix", "network unix", "tcp")
	c.checkVersions(&f)
	f.want((c.Cert == "") == (c.Key == ""), "cert, key", "both or none")
	f.want(!c.CASystem || c.CA != "", "ca_system", "a ca as well; alone the system's authorities are trusted anyway")
	unfit := func(protocol string) bool { return protocol == "" || len(protocol) > 255 }
	f.want(!slices.ContainsFunc(c.ALPN, unfit), fmt.Sprintf("alpn %q", c.ALPN), "names of 1 to 255 bytes")
	for _, p := range c.Pins {
		sum, err := base64.StdEncoding.DecodeString(p)
		f.want(err == nil && len(sum) == sha256.Size, fmt.Sprintf("pin %q", p), "a SHA-256 in base64: 44 characters, of which a DSN writes + as %2B")
	}
	return errors.Join(f...)
}

func (c *Config) checkVersions(f *faults) {
	lowest, okMin := versions[c.MinVersion]
	highest, okMax := versions[c.MaxVersion]
	f.want(okMin, fmt.Sprintf("min_version %q", c.MinVersion), "1.0, 1.1, 1.2 or 1.3")
	f.want(okMax, fmt.Sprintf("max_version %q", c.MaxVersion), "1.0, 1.1, 1.2 or 1.3")
	f.want(lowest == 0 || highest == 0 || lowest <= highest, "max_version "+c.MaxVersion, "min_version, which is "+c.MinVersion+", or higher")
	f.want(lowest != 0 || highest == 0 || highest >= tls.VersionTLS12 || !okMin, "max_version "+c.MaxVersion, "1.2 or higher, or a min_version as low")
}
