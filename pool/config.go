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

// Config has the settings of a pool. The zero value works. [New] copies it,
// checks it once and reports all faults together.
//
// "Advice" means that a zero field takes the value that the connector advises
// ([driver.Advice]), if any, else its default.
type Config struct {
	// Name appears in logs, errors and metrics.
	// Empty means Advice, else the driver's name and the host, without secrets.
	Name string

	// MaxOpen limits the connections of the pool as the server counts them:
	// open, connecting and closing together.
	// Zero means Advice, else 10. For no limit, use math.MaxInt.
	MaxOpen int

	// MinIdle is how many spare connections the pool keeps ready, on top of those
	// in use and up to MaxOpen, even without traffic. It connects them in the
	// background, beginning at once. Zero means none. Negative is an error.
	MinIdle int

	// MaxIdle is how many idle connections the pool keeps; one more is closed when
	// it is released. Zero means MaxOpen: it is better to let MaxIdleTime shrink
	// the pool, because a low number makes a busy pool connect all the time, and
	// makes Release count the idle connections. Negative means none.
	MaxIdle int

	// MaxWaiters is how many callers may wait for others to release. One more
	// fails at once with ErrTooManyWaiters. Callers that have room to
	// connect, or a connection that is being checked, do not count.
	// Zero means no limit. Negative means none: if all connections are in use and
	// there is no room for one more, Acquire fails at once.
	MaxWaiters int

	// AcquireTimeout limits the wait in Acquire, in addition to its ctx. One
	// ResetSession, of at most PingTimeout, and OnAcquire may follow.
	// Zero means 30 seconds. Negative means that only ctx limits the wait.
	AcquireTimeout time.Duration

	// ConnectTimeout limits each Connect, including OnConnect. The end of a
	// caller's ctx does not end a Connect. If one hangs, another is started long
	// before that; see "When connecting fails" in the package doc.
	// Zero means Advice, else 10 seconds. Negative is an error.
	ConnectTimeout time.Duration

	// MaxConnecting limits the Connects in progress at once. Up to this many bad
	// logins may be sent before the first is rejected. If some of them hang, others
	// start in their place, at the pace of Backoff and never beyond MaxOpen.
	// Zero means Advice, else 8. Negative is an error.
	MaxConnecting int

	// KeepAlive is how often an idle connection is pinged, less up to a tenth at
	// random, so that connections of the same age are not pinged all at once. It
	// needs a driver.Pinger.
	// Zero means Advice, else off. Negative means off.
	KeepAlive time.Duration

	// PingTimeout limits each Ping and each ResetSession.
	// Zero means Advice, else 1 second. Negative is an error.
	PingTimeout time.Duration

	// ValidateAfter is how long a connection may go without use and without a
	// Ping before Acquire pings it. The pool reads the clock a few times in that
	// span rather than in each Release, so a check may come up to a quarter of it
	// early. After a pause of the process or the machine, the first of these looks
	// comes within milliseconds or a quarter of the span; a caller who is faster
	// gets an unchecked connection. It needs a driver.Pinger.
	// Zero means 1 second. Less than 10 ms means before every use. Negative
	// means never.
	ValidateAfter time.Duration

	// MaxIdleTime is how long a connection may be idle. The pool closes it before
	// it has been idle for longer, unless that would leave fewer than MinIdle.
	// Zero means Advice, else 5 minutes. Negative means no limit.
	MaxIdleTime time.Duration

	// MaxLifetime is the age at which a connection is replaced, plus a random part
	// of LifetimeJitter, drawn once per connection. The replacement is connected
	// before the old one is closed, where MaxOpen allows. A full pool closes no
	// more than half of its connections at once for this. While connecting fails,
	// old connections stay.
	// Zero means Advice, else 30 minutes. Negative means no limit.
	MaxLifetime time.Duration

	// LifetimeJitter is the most that is added to MaxLifetime, as a fraction of
	// it. Zero means 0.1. Negative means none.
	LifetimeJitter float64

	// MaxUses is how many leases a connection serves before it is closed.
	// Zero means no limit. Negative is an error.
	MaxUses int

	// Backoff is the pace of Connects while they fail, for the whole pool.
	Backoff Backoff

	// FailFast makes Acquire fail at once with the last connect error, instead of
	// waiting for the backoff, or for a release after a failed Connect. It also
	// makes Acquire fail at once with ErrSuspended after Resize(0).
	FailFast bool

	// BadConn reports whether an error returned to Do means that the connection
	// is unusable, and so must be discarded. Nil means driver.IsBad.
	BadConn func(error) bool

	// The hooks get the driver's connection, which is always a C of the pool.
	// OnConnect and OnClose must not call Close or Shutdown, which wait for them.
	//
	// OnConnect runs after each Connect, in a goroutine of the pool. Its ctx is
	// that of Connect. An error counts as an error of Connect, and closes the
	// connection.
	OnConnect func(ctx context.Context, c driver.Conn) error

	// OnAcquire runs before Acquire returns, in the caller's goroutine. info is
	// that of Lease.Info. An error discards the connection. If it is driver.IsBad
	// and the connection is not new, Acquire tries the next one; any other error
	// it returns.
	OnAcquire func(ctx context.Context, c driver.Conn, info Info) error

	// OnRelease runs in Release, in the holder's goroutine. An error discards the
	// connection, and is the reason that OnClose gets.
	OnRelease func(c driver.Conn) error

	// OnClose runs before each Close, in a goroutine of the pool. reason is one of
	// the Err values of this package or the error that made the connection bad.
	OnClose func(c driver.Conn, reason error)

	// Logger gets connect failures and useless connections as errors. V(0) is for
	// a server that becomes full or has room again, and a Close of the pool while
	// connections are in use, V(1) for connects and closes, V(2) for pings. The
	// zero Logger discards everything.
	Logger logr.Logger
}

// everyUse is the shortest ValidateAfter for which the pool watches the clock.
// Below it, the pool checks connections before every use.
const everyUse = 10 * time.Millisecond

// withDefaults returns c with its zero fields filled in from a, or else from the
// defaults, and with no duration longer than forever.
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

// forever is the longest duration; longer ones are cut to it, so that no sum
// overflows.
const forever = 50 * 365 * 24 * time.Hour

// or sets *v, if it is zero, to the first of others that is not zero.
func or[T comparable](v *T, others ...T) {
	var zero T
	for _, o := range others {
		if *v == zero {
			*v = o
		}
	}
}

// check reports everything that is wrong with c, whose defaults are filled in.
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
	want(c.maxIdle() < 0 || c.maxIdle() >= c.MinIdle, "MaxIdle", c.MaxIdle, fmt.Sprintf("at least MinIdle, which is %d (0 means MaxOpen, negative none)", c.MinIdle))
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

// keepAlive draws the pause before the next ping of one connection. It leaves a
// hundredth for the sweep, which may be up to every/16 late; see planLocked.
func (c Config) keepAlive() time.Duration {
	return c.KeepAlive - time.Duration((0.01+0.09*rand.Float64())*float64(c.KeepAlive))
}

// maxIdle is how many idle connections are kept. Negative means no limit.
func (c *Config) maxIdle() int {
	switch {
	case c.MaxIdle == 0:
		return -1
	case c.MaxIdle < 0:
		return 0
	}
	return c.MaxIdle
}

// checksEveryUse reports whether ValidateAfter is too short for the keeper to
// measure, so that connections are checked before every use.
func (c *Config) checksEveryUse() bool {
	return c.ValidateAfter >= 0 && c.ValidateAfter < everyUse
}

// sweepInterval is how often the keeper sweeps while connections are in use: a
// fraction of the shortest time that it has to measure.
func (c *Config) sweepInterval() time.Duration {
	spans := []time.Duration{parkedAfter / 3, c.KeepAlive / 8, c.MaxIdleTime / 16, c.MaxLifetime / 16}
	if !c.checksEveryUse() {
		spans = append(spans, c.ValidateAfter/4)
	}
	if c.MinIdle > 0 {
		spans = append(spans, spareCheck)
	}
	every := spans[0]
	for _, span := range spans {
		if span > 0 {
			every = min(every, span)
		}
	}
	return max(every, time.Millisecond)
}

// spareCheck is how often the keeper counts the spare connections.
const spareCheck = 250 * time.Millisecond
