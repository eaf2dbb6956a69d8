package tcp

import (
	"errors"
	"math"
	"net"
	"strconv"

	"github.com/hotline-go/hotline/internal/dsn"
)

// ParseDSN returns the Config that s stands for, so that a program can add to
// it what a string can't carry:
//
//	cfg, err := tcp.ParseDSN(os.Getenv("SERVER"))
//	cfg.Handshake = login
//	connector, err := tcp.NewConnector(cfg)
//
// All faults are reported together, and none of the messages shows a secret.
func ParseDSN(s string) (Config, error) {
	u, err := dsn.Parse(s)
	if err != nil {
		return Config{}, err
	}
	var c Config
	var p dsn.Params
	c.AddParams(&p)
	c.AddPingParams(&p)
	if err := errors.Join(c.setPlace(u), p.Apply(u.Params), c.check()); err != nil {
		return Config{}, err
	}
	return c, nil
}

// setPlace sets network and address.
func (c *Config) setPlace(u *dsn.URL) error {
	var f faults
	c.Network = u.Scheme
	if u.Scheme == "unix" {
		c.Address = u.Path
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

// AddParams adds the parameters of the package documentation, save ping and
// pong, to p, bound to the fields of c. It is there for the drivers of this
// module that stand on this one.
func (c *Config) AddParams(p *dsn.Params) {
	p.String("proxy", &c.Proxy) // no error shows it, see checkAddress
	p.String("local_addr", &c.LocalAddr)
	p.Duration("fallback_delay", &c.FallbackDelay, math.MinInt64)
	p.Func("nodelay", "true or false", func(value string) error {
		on, err := strconv.ParseBool(value)
		if err != nil {
			return dsn.ErrUnfit
		}
		c.Delay = !on
		return nil
	})
	p.Duration("keepalive_idle", &c.KeepAliveIdle, math.MinInt64)
	p.Duration("keepalive_interval", &c.KeepAliveInterval, math.MinInt64)
	p.Int("keepalive_count", &c.KeepAliveCount, math.MinInt, math.MaxInt)
	p.Duration("user_timeout", &c.UserTimeout, math.MinInt64)
}

// AddPingParams adds ping and pong.
func (c *Config) AddPingParams(p *dsn.Params) {
	p.String("ping", &c.PingBytes)
	p.String("pong", &c.PongBytes)
}
