package pool

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/go-logr/logr"

	"github.com/hotline-go/hotline/driver"
)

// Config is what a pool may do. The zero value works. [New] copies it, checks
// it once and reports all faults together.
//
// Where it says Advice, a field left at zero takes what the connector advises
// ([driver.Advice]) before it takes its default.
type Config struct {
	// Name stands in logs, errors and metrics.
	// Empty means Advice, else the driver's name and the host, without secrets.
	Name string

	// MaxOpen bounds the connections of the pool as the server counts them:
	// open, connecting and closing together.
	// Zero means Advice, else 10.
	MaxOpen int

	// MinIdle is how many spare connections are kept ready, on top of those in
	// use and up to MaxOpen, also without traffic. They are connected in the
	// background from the start. Zero means none. Negative is an error.
	MinIdle int

	// MaxIdle is how many idle connections are kept; one more is closed when it
	// is released. Zero means MaxOpen: let MaxIdleTime shrink the pool, because
	// closing by number makes busy pools dial all the time. A lower number
	// costs Release a count of the idle ones. Negative is an error.
	MaxIdle int

	// MaxWaiters is how many callers may wait for others to release. One more
	// fails at once with ErrTooManyWaiters. A caller for whom a connection is
	// being made does not count. Zero means no limit. Negative is an error.
	MaxWaiters int

	// AcquireTimeout bounds the wait in Acquire, besides its ctx. One
	// ResetSession, of at most PingTimeout, and OnAcquire may follow.
	// Zero means 30 seconds. Negative means ctx alone.
	AcquireTimeout time.Duration

	// ConnectTimeout bounds each Connect, OnConnect included, on a clock of its
	// own: the end of a caller's ctx does not end a Connect.
	// Zero means Advice, else 10 seconds. Negative is an error.
	ConnectTimeout time.Duration

	// MaxConnecting bounds the Connects under way at once, but for those that
	// have outlived their ConnectTimeout. As many wrong passwords may be tried
	// before the first answer is there.
	// Zero means Advice, else 8. Negative is an error.
	MaxConnecting int

	// KeepAlive is how often an idle connection is pinged, less up to a tenth
	// at random, so that connections of one age do not ping at one time. It
	// wants a driver.Pinger.
	// Zero means Advice, else off. Negative means off.
	KeepAlive time.Duration

	// PingTimeout bounds each Ping and each ResetSession.
	// Zero means Advice, else 1 second. Negative is an error.
	PingTimeout time.Duration

	// ValidateAfter is how long a connection may go without use and without
	// Ping before Acquire pings it. The pool looks at the clock a few times in
	// that span rather than in each Release, so a check may come up to a
	// quarter early. It wants a driver.Pinger.
	// Zero means 1 second. Less than 10 ms means before every use. Negative
	// means never.
	ValidateAfter time.Duration

	// MaxIdleTime is how long a connection may sit unused before it is closed,
	// as long as MinIdle are left.
	// Zero means Advice, else 5 minutes. Negative means for ever.
	MaxIdleTime time.Duration

	// MaxLifetime is how old a connection gets, plus a share of LifetimeJitter
	// drawn once per connection. A replacement is connected before the old one
	// goes, where MaxOpen allows; while that fails, the old one stays.
	// Zero means Advice, else 30 minutes. Negative means no limit.
	MaxLifetime time.Duration

	// LifetimeJitter is the most that is added to MaxLifetime, as a fraction of
	// it. Zero means 0.1. Negative means none.
	LifetimeJitter float64

	// MaxUses is how many leases a connection serves before it is closed.
	// Zero means no limit. Negative is an error.
	MaxUses int

	// Backoff is the pace of Connects while they fail, for the pool as a whole.
	Backoff Backoff

	// FailFast makes Acquire fail at once, with the last connect error, where
	// it would have to wait for the backoff. It also makes Acquire fail at once
	// with ErrSuspended after Resize(0).
	FailFast bool

	// BadConn reports whether an error returned to Do means that the connection
	// must be discarded. Nil means driver.IsBad.
	BadConn func(error) bool

	// The hooks get the driver's connection, which is always a C of the pool.
	// OnConnect and OnClose must not call Close or Shutdown, which wait for them.
	//
	// OnConnect runs after each Connect, in a goroutine of the pool. An error
	// counts as one of Connect, and closes the connection.
	OnConnect func(ctx context.Context, c driver.Conn) error

	// OnAcquire runs before Acquire returns, in the caller's goroutine. An
	// error discards the connection; if it is driver.IsBad, the next connection
	// is tried, else Acquire returns it.
	OnAcquire func(ctx context.Context, c driver.Conn) error

	// OnRelease runs in Release, in the holder's goroutine. An error discards
	// the connection, with the error as the reason.
	OnRelease func(c driver.Conn) error

	// OnClose runs before each Close, in a goroutine of the pool. reason says
	// why: one of the Err values of this package or the error that made the
	// connection bad.
	OnClose func(c driver.Conn, reason error)

	// Logger gets connect failures as errors, a Close while connections are in
	// use at V(0), connects and closes at V(1), pings at V(2). The zero Logger
	// discards.
	Logger logr.Logger
}

// everyUse is the ValidateAfter below which the pool checks before every use
// instead of watching the clock.
const everyUse = 10 * time.Millisecond

// withDefaults returns c with its zero fields filled in, from a and then from
// the defaults, and no duration longer than forever.
func (c Config) withDefaults(a driver.Advice) Config {
	or(&c.Name, a.Name)
	or(&c.MaxOpen, a.MaxOpen, 10)
	or(&c.AcquireTimeout, 30*time.Second)
	or(&c.MaxConnecting, a.MaxConnecting, 8)
	or(&c.ConnectTimeout, a.ConnectTimeout, 10*time.Second)
	or(&c.KeepAlive, a.KeepAlive)
	or(&c.PingTimeout, a.PingTimeout, time.Second)
	or(&c.ValidateAfter, time.Second)
	or(&c.MaxIdleTime, a.MaxIdleTime, 5*time.Minute)
	or(&c.MaxLifetime, a.MaxLifetime, 30*time.Minute)
	or(&c.LifetimeJitter, 0.1)
	or(&c.Backoff.Initial, 100*time.Millisecond)
	or(&c.Backoff.Factor, 1.6)
	or(&c.Backoff.Jitter, 0.2)
	or(&c.Backoff.Max, 5*time.Second)
	if c.BadConn == nil {
		c.BadConn = driver.IsBad
	}
	for _, d := range []*time.Duration{
		&c.AcquireTimeout, &c.ConnectTimeout, &c.KeepAlive, &c.PingTimeout, &c.ValidateAfter,
		&c.MaxIdleTime, &c.MaxLifetime, &c.Backoff.Initial, &c.Backoff.Max,
	} {
		*d = min(*d, forever)
	}
	return c
}

// forever is what longer durations are cut to, so that no sum of them overflows.
const forever = 50 * 365 * 24 * time.Hour

// or sets *v, if it is zero, to the first of others that is not.
func or[T comparable](v *T, others ...T) {
	var zero T
	for _, o := range others {
		if *v == zero {
			*v = o
		}
	}
}

// check reports all that is wrong with c, a Config with its defaults, at once.
func (c Config) check() error {
	var faults []error
	want := func(ok bool, field string, value any, allowed string) {
		if !ok {
			faults = append(faults, fmt.Errorf("pool: %s is %v; want %s", field, value, allowed))
		}
	}
	want(c.MaxOpen > 0, "MaxOpen", c.MaxOpen, "1 or more (0 means 10)")
	want(c.MinIdle >= 0, "MinIdle", c.MinIdle, "0 or more")
	want(c.MinIdle <= c.MaxOpen || c.MaxOpen < 1, "MinIdle", c.MinIdle, fmt.Sprintf("at most MaxOpen, which is %d", c.MaxOpen))
	want(c.MaxIdle >= 0, "MaxIdle", c.MaxIdle, "0 or more (0 means MaxOpen)")
	want(c.MaxIdle <= 0 || c.MaxIdle >= c.MinIdle, "MaxIdle", c.MaxIdle, fmt.Sprintf("at least MinIdle, which is %d", c.MinIdle))
	want(c.MaxWaiters >= 0, "MaxWaiters", c.MaxWaiters, "0 or more (0 means no limit)")
	want(c.ConnectTimeout > 0, "ConnectTimeout", c.ConnectTimeout, "more than 0 (0 means 10s)")
	want(c.MaxConnecting >= 0, "MaxConnecting", c.MaxConnecting, "0 or more (0 means 8)")
	want(c.PingTimeout > 0, "PingTimeout", c.PingTimeout, "more than 0 (0 means 1s): a check must end")
	want(!math.IsNaN(c.LifetimeJitter) && c.LifetimeJitter <= 1, "LifetimeJitter", c.LifetimeJitter, "a fraction up to 1 (0 means 0.1, negative none)")
	want(c.MaxUses >= 0, "MaxUses", c.MaxUses, "0 or more (0 means no limit)")
	want(c.Backoff.Initial > 0, "Backoff.Initial", c.Backoff.Initial, "more than 0 (0 means 100ms)")
	want(c.Backoff.Factor >= 1 && !math.IsInf(c.Backoff.Factor, 0), "Backoff.Factor", c.Backoff.Factor, "1 or more (0 means 1.6)")
	want(!math.IsNaN(c.Backoff.Jitter) && c.Backoff.Jitter <= 1, "Backoff.Jitter", c.Backoff.Jitter, "a fraction up to 1 (0 means 0.2, negative none)")
	want(c.Backoff.Max >= c.Backoff.Initial, "Backoff.Max", c.Backoff.Max, fmt.Sprintf("at least Backoff.Initial, which is %v", c.Backoff.Initial))
	return errors.Join(faults...)
}

// lifetime draws the lifetime of one connection; zero means no limit.
func (c Config) lifetime() time.Duration {
	if c.MaxLifetime < 0 {
		return 0
	}
	if c.LifetimeJitter < 0 {
		return c.MaxLifetime
	}
	return c.MaxLifetime + time.Duration(rand.Float64()*c.LifetimeJitter*float64(c.MaxLifetime))
}

// keepAlive draws the pause before the next ping of one connection. A hundredth
// is left for the sweep, which may come late by every/16; see planLocked.
func (c Config) keepAlive() time.Duration {
	return c.KeepAlive - time.Duration((0.01+0.09*rand.Float64())*float64(c.KeepAlive))
}

// checksEveryUse reports whether ValidateAfter is too short for the clock of
// the keeper.
func (c *Config) checksEveryUse() bool {
	return c.ValidateAfter >= 0 && c.ValidateAfter < everyUse
}

// sweepIntervals is how often the keeper looks, a fraction of the shortest time
// that it has to tell: every while connections are in use, calm while they are
// idle and not marked as stale. Zero means that there is nothing to tell.
func (c *Config) sweepIntervals() (every, calm time.Duration) {
	shortest := func(spans ...time.Duration) time.Duration {
		d := time.Duration(0)
		for _, span := range spans {
			if span > 0 && (d == 0 || span < d) {
				d = span
			}
		}
		return d
	}
	calm = shortest(c.KeepAlive/8, c.MaxIdleTime/16, c.MaxLifetime/16)
	every = calm
	if !c.checksEveryUse() {
		every = shortest(calm, c.ValidateAfter/4)
	}
	if c.MinIdle > 0 {
		calm = shortest(calm, spareCheck)
		every = shortest(every, spareCheck)
	}
	return floor(every), floor(calm)
}

// spareCheck is how often the keeper counts the spare connections.
const spareCheck = 250 * time.Millisecond

// floor keeps the keeper from looking more than once in a millisecond.
func floor(d time.Duration) time.Duration {
	if d == 0 {
		return 0
	}
	return max(d, time.Millisecond)
}
