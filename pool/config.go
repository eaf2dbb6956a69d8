package pool

import (
	"cmp"
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
// "Advice" below means the value that the connector advises for a field
// ([driver.Advice]), if it advises one.
type Config struct {
	// Name appears in logs, errors and metrics.
	// Empty means Advice, else the driver's name and the host, without secrets. If
	// the DSN is not a URL, a number replaces the host: echo #1.
	Name string

	// MaxOpen limits the connections of the pool as the server counts them:
	// open, connecting and closing together.
	// Zero means Advice, else 10. Negative is an error. For no limit, use math.MaxInt.
	MaxOpen int

	// MinIdle is how many spare connections the pool keeps ready, even without
	// traffic, in addition to those in use and up to MaxOpen. New starts connecting
	// them in the background. Zero means none. Negative is an error.
	MinIdle int

	// MaxIdle is how many idle connections the pool keeps. It closes connections that
	// are released beyond that. A low number makes a busy pool connect all the time
	// and makes Release slower, so it is better to let MaxIdleTime shrink the pool.
	// Zero means MaxOpen. Negative means none.
	MaxIdle int

	// MaxWaiters is how many callers may wait for a connection in use. Further
	// callers fail at once with ErrTooManyWaiters. Callers do not count if there is
	// room to connect for them, even if a full Gate holds that up, or if a connection
	// is being checked for them.
	// Zero means no limit. Negative means none: if all connections are in use and
	// there is no room for another, Acquire fails at once.
	MaxWaiters int

	// AcquireTimeout limits the wait in Acquire, in addition to its ctx. It does not
	// cover OnAcquire, or the ResetSession before that, which is limited by
	// PingTimeout.
	// Zero means 30 seconds. Negative means that only ctx limits the wait.
	AcquireTimeout time.Duration

	// ConnectTimeout limits each Connect, including OnConnect. The end of a
	// caller's ctx does not end a Connect. If a Connect hangs, the pool starts another
	// long before the timeout; see "When connecting fails" in the package doc.
	// Zero means Advice, else 10 seconds. Negative is an error.
	ConnectTimeout time.Duration

	// MaxConnecting limits the Connects in progress at once. Up to this many bad
	// logins may be sent before the first is rejected. If some of them hang, others
	// start in their place, at the pace of Backoff and never beyond MaxOpen.
	// Zero means Advice, else 8. Negative is an error.
	MaxConnecting int

	// KeepAlive is how often a connection is pinged, minus a random part of up to a
	// tenth, so that connections of the same age are not all pinged at once.
	// A connection in use when its Ping is due is pinged after its release, before its
	// next use. At most half of the connections are pinged at once. KeepAlive has no
	// effect on connections that are not a driver.Pinger.
	// Zero means Advice, else off. Negative means off.
	KeepAlive time.Duration

	// PingTimeout limits each Ping and each ResetSession.
	// Zero means Advice, else 1 second. Negative is an error.
	PingTimeout time.Duration

	// ValidateAfter is how long a connection may go without use and without a
	// Ping before Acquire has it pinged. The pool reads the clock a few times in that
	// span rather than in each Release, so a check can come up to a quarter of the
	// span early. If the process or the machine was paused, the pool notices within
	// milliseconds or a quarter of the span; until then, a caller can get an unchecked
	// connection. ValidateAfter has no effect on connections that are not
	// a driver.Pinger.
	// Zero means 1 second. Less than 10 ms means before every use. Negative
	// means never.
	ValidateAfter time.Duration

	// MaxIdleTime is how long a connection may be idle. The pool closes it by then,
	// unless that would leave fewer than MinIdle.
	// Zero means Advice, else 5 minutes. Negative means no limit.
	MaxIdleTime time.Duration

	// MaxLifetime is the age at which a connection is replaced. Each connection gets
	// a random extra time on top; see LifetimeJitter. If MaxOpen and the Gate allow,
	// the pool connects the replacement before it closes the old connection. Otherwise it
	// closes at most half of the connections at once for this. While connecting
	// fails, old connections stay open.
	// Zero means Advice, else 30 minutes. Negative means no limit.
	MaxLifetime time.Duration

	// LifetimeJitter is the largest random extra time, as a fraction of MaxLifetime,
	// up to 1. Zero means 0.1. Negative means none.
	LifetimeJitter float64

	// MaxUses is how many leases a connection serves before it is closed.
	// Zero means no limit. Negative is an error.
	MaxUses int

	// Backoff is the pace at which the whole pool connects while connecting fails.
	// Each of its fields has a default.
	Backoff Backoff

	// FailFast makes Acquire fail at once with the last connect error, instead of
	// waiting for the backoff, or for a release after a failed Connect. After
	// Resize(0), it makes Acquire fail at once with ErrSuspended.
	FailFast bool

	// Gate limits the connections of several pools together; see [NewGate]. The
	// pool enters it before each Connect. Only Acquire and Do wait there and make
	// other pools give up connections. TryAcquire, Warm, Ready and MinIdle connect
	// only if the gate has room. Nil means that MaxOpen is the only limit.
	Gate Gate

	// BadConn reports whether an error passed to Lease.End, or returned by the
	// function passed to Do, means that the connection is unusable and must be
	// discarded. After any other error the connection is released as usual. Nil means
	// that driver.IsBad, driver.IsGood and Advice.Answer decide, and that the pool
	// pings the connection before its next use if none of them knows the error; see
	// Lease.End.
	BadConn func(error) bool

	// The hooks get the driver's connection; driver.As converts it to a C. OnConnect
	// and OnClose must not call Close or Shutdown, which wait for them.
	//
	// OnConnect runs after each Connect, in a goroutine of the pool, with the ctx of
	// that Connect. If it returns an error, the pool closes the connection, and the
	// Connect counts as failed.
	OnConnect func(ctx context.Context, c driver.Conn) error

	// OnAcquire runs before Acquire returns, in the caller's goroutine. info is
	// the result of Lease.Info. If it returns an error, the pool discards the
	// connection. If the error is driver.IsBad and the connection is not new, Acquire
	// tries the next one. Otherwise Acquire returns the error.
	OnAcquire func(ctx context.Context, c driver.Conn, info Info) error

	// OnRelease runs in Release, in the holder's goroutine. If it returns an error,
	// the pool discards the connection and passes the error to OnClose as the reason.
	OnRelease func(c driver.Conn) error

	// OnClose runs before each Close, in a goroutine of the pool. reason is one of
	// the errors of this package, or the error that made the connection bad.
	OnClose func(c driver.Conn, reason error)

	// LeakAfter is how long a lease may last before it is reported as a suspected
	// leak; see "Observing a pool" in the package doc. Choose more than the longest
	// lease that is not a leak: a Watch for mail can last for hours.
	// Zero or negative means never.
	LeakAfter time.Duration

	// Trace has functions for tracing and metrics. Its zero value does nothing.
	Trace Trace

	// Logger gets connect failures and useless connections as errors. V(0) reports
	// that a server is full or has room again, that a lease may be leaked, and that
	// the pool was closed while connections were in use. V(1) reports connects and
	// closes, V(2) pings. The zero Logger discards everything.
	//
	// With logr.FromSlogHandler, V(0) is slog.LevelInfo, and V(1) and V(2) are the
	// levels -1 and -2, which slog prints as DEBUG+3 and DEBUG+2. A handler at
	// slog.LevelDebug shows them all, and one at slog.Level(-1) leaves out the pings.
	Logger logr.Logger
}

// everyUse is the shortest ValidateAfter that the keeper can measure. With a shorter
// one, connections are checked before every use.
const everyUse = 10 * time.Millisecond

// withDefaults returns c with its zero fields set to the advice in a or else to the
// defaults, and with durations limited to forever.
func (c Config) withDefaults(a driver.Advice) Config {
	c.Name = cmp.Or(c.Name, a.Name)
	c.MaxOpen = cmp.Or(c.MaxOpen, a.MaxOpen, 10)
	c.AcquireTimeout = cmp.Or(c.AcquireTimeout, 30*time.Second)
	c.MaxConnecting = cmp.Or(c.MaxConnecting, a.MaxConnecting, 8)
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, a.ConnectTimeout, 10*time.Second)
	c.KeepAlive = cmp.Or(c.KeepAlive, a.KeepAlive)
	c.PingTimeout = cmp.Or(c.PingTimeout, a.PingTimeout, time.Second)
	c.ValidateAfter = cmp.Or(c.ValidateAfter, time.Second)
	c.MaxIdleTime = cmp.Or(c.MaxIdleTime, a.MaxIdleTime, 5*time.Minute)
	c.MaxLifetime = cmp.Or(c.MaxLifetime, a.MaxLifetime, 30*time.Minute)
	c.LifetimeJitter = cmp.Or(c.LifetimeJitter, 0.1)
	c.Backoff.Initial = cmp.Or(c.Backoff.Initial, 100*time.Millisecond)
	c.Backoff.Factor = cmp.Or(c.Backoff.Factor, 1.6)
	c.Backoff.Jitter = cmp.Or(c.Backoff.Jitter, 0.2)
	c.Backoff.Max = cmp.Or(c.Backoff.Max, 5*time.Second)
	for _, d := range []*time.Duration{
		&c.AcquireTimeout, &c.ConnectTimeout, &c.KeepAlive, &c.PingTimeout, &c.ValidateAfter,
		&c.MaxIdleTime, &c.MaxLifetime, &c.LeakAfter, &c.Backoff.Initial, &c.Backoff.Max,
	} {
		*d = min(*d, forever)
	}
	return c
}

// forever is the longest duration that the pool uses. Longer settings are reduced to
// it, so that no sum overflows.
const forever = 50 * 365 * 24 * time.Hour

// check returns an error for each setting that is wrong, joined. c must have its
// defaults.
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
	want(c.maxIdle() < 0 || c.maxIdle() >= c.MinIdle, "MaxIdle", c.MaxIdle, fmt.Sprintf("at least MinIdle, which is %d (0 means MaxOpen, negative means none)", c.MinIdle))
	want(c.ConnectTimeout > 0, "ConnectTimeout", c.ConnectTimeout, "more than 0 (0 means 10s)")
	want(c.MaxConnecting >= 0, "MaxConnecting", c.MaxConnecting, "0 or more (0 means 8)")
	want(c.PingTimeout > 0, "PingTimeout", c.PingTimeout, "more than 0 (0 means 1s): a check must end")
	want(!math.IsNaN(c.LifetimeJitter) && c.LifetimeJitter <= 1, "LifetimeJitter", c.LifetimeJitter, "a fraction up to 1 (0 means 0.1, negative means none)")
	want(c.MaxUses >= 0, "MaxUses", c.MaxUses, "0 or more (0 means no limit)")
	want(c.Trace.UseEvery >= 0, "Trace.UseEvery", c.Trace.UseEvery, "0 or more (0 means every lease)")
	want(c.Backoff.Initial > 0, "Backoff.Initial", c.Backoff.Initial, "more than 0 (0 means 100ms)")
	want(c.Backoff.Factor >= 1 && !math.IsInf(c.Backoff.Factor, 0), "Backoff.Factor", c.Backoff.Factor, "1 or more (0 means 1.6)")
	want(!math.IsNaN(c.Backoff.Jitter) && c.Backoff.Jitter <= 1, "Backoff.Jitter", c.Backoff.Jitter, "a fraction up to 1 (0 means 0.2, negative means none)")
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

// keepAlive draws the pause before the next ping of one connection. It subtracts at
// least a hundredth, because the sweep may be up to every/16 late; see planLocked.
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

// sweepInterval is the time between sweeps while connections are in use: a fraction
// of the shortest time that the keeper has to measure.
func (c *Config) sweepInterval() time.Duration {
	spans := []time.Duration{parkedAfter / 3, c.KeepAlive / 8, c.MaxIdleTime / 16, c.MaxLifetime / 16, c.LeakAfter / 16}
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

// spareCheck is how often the keeper counts the spare connections, and how long the
// pool waits before it tries for a spare again when the gate had no room.
const spareCheck = 250 * time.Millisecond
