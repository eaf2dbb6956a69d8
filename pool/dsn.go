package pool

import (
	"fmt"
	"math"
	"net"
	"strconv"
	"time"

	"github.com/hotline-go/hotline/internal/dsn"
)

// prefix is the beginning of the DSN parameters for the pool.
const prefix = "pool_"

// params binds the DSN parameters of the pool to the fields of c, each under
// the name of its field. It checks only the form of the values; Config.check
// finds those that are out of range.
func (c *Config) params() *dsn.Params {
	var p dsn.Params
	count := func(name string, v *int) { p.Int(prefix+name, v, 0, math.MaxInt) }
	orNone := func(name string, v *int) { p.Int(prefix+name, v, -1, math.MaxInt) } // -1 = none
	duration := func(name string, v *time.Duration) { p.Duration(prefix+name, v, math.MinInt64) }
	p.String(prefix+"name", &c.Name)
	count("max_open", &c.MaxOpen)
	count("min_idle", &c.MinIdle)
	orNone("max_idle", &c.MaxIdle)
	orNone("max_waiters", &c.MaxWaiters)
	duration("acquire_timeout", &c.AcquireTimeout)
	duration("connect_timeout", &c.ConnectTimeout)
	count("max_connecting", &c.MaxConnecting)
	duration("keepalive", &c.KeepAlive)
	duration("ping_timeout", &c.PingTimeout)
	duration("validate_after", &c.ValidateAfter)
	duration("max_idle_time", &c.MaxIdleTime)
	duration("max_lifetime", &c.MaxLifetime)
	p.Float(prefix+"lifetime_jitter", &c.LifetimeJitter, math.Inf(-1), 1)
	count("max_uses", &c.MaxUses)
	duration("backoff_initial", &c.Backoff.Initial)
	p.Float(prefix+"backoff_factor", &c.Backoff.Factor, 0, math.Inf(1))
	p.Float(prefix+"backoff_jitter", &c.Backoff.Jitter, math.Inf(-1), 1)
	duration("backoff_max", &c.Backoff.Max)
	p.Bool(prefix+"fail_fast", &c.FailFast)
	return &p
}

// CutDSN sets the fields of c for which text has parameters (pool_max_open=20),
// as [Open] does, and returns text without those parameters. It is for programs
// that make the connector themselves, because it needs more than a DSN can carry:
//
//	rest, err := cfg.CutDSN(dsn)
//	...
//	mail, err := imap.ParseDSN(rest)
//	...
//	mail.Credentials = tokens
//	connector, err := imap.NewConnector(mail)
//	...
//	p, err := pool.New[*imap.Conn](connector, cfg)
//
// Its errors are about unknown pool_ parameters and about values of the wrong
// form; rest is good even then. [New] finds values that are out of range.
func (c *Config) CutDSN(text string) (rest string, err error) {
	rest, values, err := dsn.Cut(text, prefix)
	if err == nil {
		err = c.params().Apply(values)
	}
	if err != nil {
		err = fmt.Errorf("pool: %w", err)
	}
	return rest, err
}

// nameOf returns the default name of a pool: the driver and, if known, the host.
func nameOf(driver, text string) string {
	u, err := dsn.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return driver
	case u.Port != 0:
		return driver + " " + net.JoinHostPort(u.Host, strconv.Itoa(u.Port))
	}
	return driver + " " + u.Host
}
