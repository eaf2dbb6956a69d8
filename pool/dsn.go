package pool

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/dsn"
)

// prefix begins the name of every DSN parameter for the pool.
const prefix = "pool_"

// params binds the DSN parameters of the pool to the fields of c that they are named
// for. It checks only the form of the values; Config.check finds values that are out
// of range.
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
	duration("leak_after", &c.LeakAfter)
	duration("backoff_initial", &c.Backoff.Initial)
	p.Float(prefix+"backoff_factor", &c.Backoff.Factor, 0, math.Inf(1))
	p.Float(prefix+"backoff_jitter", &c.Backoff.Jitter, math.Inf(-1), 1)
	duration("backoff_max", &c.Backoff.Max)
	p.Bool(prefix+"fail_fast", &c.FailFast)
	return &p
}

// CutDSN sets the fields of c that have a parameter in the DSN text (pool_max_open=20),
// as [Open] does. It returns text without those parameters. It is for programs that
// make the connector themselves, because the connector needs more than a DSN can carry:
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
// CutDSN returns an error for unknown pool_ parameters, for values of the wrong form,
// and for a pool_budget that can't be opened; rest is valid even then. [New] finds
// values that are out of range.
func (c *Config) CutDSN(text string) (rest string, err error) {
	rest, values, err := dsn.Cut(text, prefix)
	if err == nil {
		err = errors.Join(c.setBudget(values), c.params().Apply(values))
	}
	if err != nil {
		c.dropBudget()
		err = fmt.Errorf("pool: %w", err)
	}
	return rest, err
}

// setBudget sets Gate if values has a pool_budget, which it removes from values. Its
// errors say what is wrong without showing the value.
func (c *Config) setBudget(values map[string]string) error {
	const name = prefix + "budget"
	text, ok := values[name]
	if !ok {
		return nil
	}
	delete(values, name)
	gate, err := openBudget(text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, driver.Redact(name, text, err))
	}
	c.Gate = gate
	return nil
}

// nameOf returns the default name of a pool: the driver and the host or, without
// a host, the driver and a number that distinguishes the pools of the process.
func nameOf(driver, text string) string {
	if host := hostOf(text); host != "" {
		return driver + " " + host
	}
	return fmt.Sprintf("%s #%d", driver, unnamed.Add(1))
}

// unnamed counts the pools with a number in their name.
var unnamed atomic.Uint64

// hostOf returns the host of a DSN, with the port if it has one. It returns nothing if
// the DSN is not a URL, or if there is an @ behind the host: the apparent host may then
// be the user, and the apparent port the beginning of a password with an unescaped
// slash.
func hostOf(text string) string {
	u, err := dsn.Parse(text)
	_, rest, _ := strings.Cut(text, "://")
	if end := strings.IndexAny(rest, "/?"); err != nil || end >= 0 && strings.Contains(rest[end:], "@") {
		return ""
	}
	return u.Address(0)
}
