package tcp

import (
	"errors"
	"net"
	"strconv"
	"strings"

	"github.com/hotline-go/hotline/driver/dsn"
)

// ParseDSN returns the Config for s, so that a program can add settings that don't
// fit in a string:
//
//	cfg, err := tcp.ParseDSN(os.Getenv("SERVER"))
//	cfg.Handshake = login
//	connector, err := tcp.NewConnector(cfg)
//
// Its error reports all faults together and shows no secret.
func ParseDSN(s string) (Config, error) {
	u, err := dsn.Parse(s)
	if err != nil {
		return Config{}, err
	}
	var c Config
	var p dsn.Params
	p.Struct(&c)
	if err := errors.Join(c.setAddress(u), p.Apply(u.Params), c.check()); err != nil {
		return Config{}, err
	}
	return c, nil
}

// setAddress sets Network and Address.
func (c *Config) setAddress(u *dsn.URL) error {
	var f faults
	c.Network = u.Scheme
	if u.Scheme == "unix" {
		c.Address = u.Path
		if strings.HasPrefix(u.Path, "/@") {
			c.Address = u.Path[1:]
		}
		f.want(u.Host == "" && u.Port == 0, "address", "three slashes, as in unix:///run/server.sock")
	} else {
		c.Address = u.Host
		if u.Port != 0 {
			c.Address = net.JoinHostPort(u.Host, strconv.Itoa(u.Port))
		}
		f.want(u.Path == "" || u.Path == "/", "path", "none")
	}
	f.want(u.User == "" && u.Password == "", "user and password", "none; log in with Config.Handshake")
	return errors.Join(f...)
}
