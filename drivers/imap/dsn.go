package imap

import (
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/go-logr/stdr"

	"github.com/hotline-go/hotline/driver/dsn"
)

// ParseDSN returns the Config for s, so that a program can add settings that don't
// fit in a string:
//
//	cfg, err := imap.ParseDSN("imaps://imap.example.org")
//	cfg.Credentials = tokens
//	connector, err := imap.NewConnector(cfg)
//
// Its error reports all faults together and shows no secret. It does not check for
// missing fields, such as the user; [NewConnector] does.
func ParseDSN(s string) (Config, error) {
	u, err := dsn.Parse(s)
	if err != nil {
		return Config{}, err
	}
	var c Config
	c.Encryption = Implicit
	if u.Scheme == "imap" {
		c.Encryption = StartTLS
	}
	var p dsn.Params
	c.addParams(&p)
	if err := errors.Join(p.Apply(u.Params), c.setAddress(u)); err != nil {
		return Config{}, err
	}
	return c, nil
}

// The ports of RFC 8314.
const (
	portTLS   = 993
	portPlain = 143
)

// setAddress sets the address, the user and the mailbox.
func (c *Config) setAddress(u *dsn.URL) error {
	if u.Scheme != "imap" && u.Scheme != "imaps" {
		return fmt.Errorf("imap: scheme %q: want imap or imaps", u.Scheme)
	}
	scheme := "imap"
	if c.Encryption == Implicit {
		scheme = "imaps"
	}
	if u.Scheme != scheme {
		return fmt.Errorf("imap: tls %q: want the scheme %s with it", c.Encryption, scheme)
	}
	if u.Host == "" {
		return errors.New("imap: host: want one, as in imaps://user:password@host")
	}
	port := u.Port
	switch {
	case port != 0:
	case c.Encryption == Implicit:
		port = portTLS
	default:
		port = portPlain
	}
	c.TCP.Address = net.JoinHostPort(u.Host, strconv.Itoa(port))
	c.User, c.Password = u.User, u.Password
	c.Mailbox = strings.TrimPrefix(u.Path, "/")
	return nil
}

// addParams adds the parameters of the package documentation to p, bound to
// the fields of c.
func (c *Config) addParams(p *dsn.Params) {
	p.Struct(&c.TCP, "ping", "pong", "connect_ping")
	p.Struct(&c.TLS)
	p.Enum("tls", &c.Encryption, Implicit, StartTLS, None)
	p.Enum("auth", &c.Auth, mechanismNames()...)
	p.String("authzid", &c.AuthzID)
	p.Bool("insecure_auth", &c.InsecureAuth)
	p.Bool("readonly", &c.ReadOnly)
	p.Enum("reset", &c.Reset, ResetUnselect, ResetKeep, ResetDiscard)
	p.Func("id", "a name", func(name string) error {
		c.ID = &imap.IDData{Name: name}
		return nil
	})
	p.Func("enable", "extensions separated by commas", func(list string) error {
		for name := range strings.SplitSeq(list, ",") {
			c.Enable = append(c.Enable, imap.Cap(name))
		}
		return nil
	})
	p.Bool("srv", &c.SRV)
	p.Func("trace", "true or false", func(value string) error {
		on, err := strconv.ParseBool(value)
		if err != nil {
			return dsn.ErrUnfit
		}
		if on {
			c.Trace = stdr.New(log.New(os.Stderr, "", log.LstdFlags|log.Lmicroseconds))
		}
		return nil
	})
}
