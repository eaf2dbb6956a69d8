package pool

import (
	"math"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/hotline-go/hotline/driver"
)

const (
	// permanentPause is how long after a permanent connect error callers get
	// that error without a new attempt. A few wrong passwords a minute can lock an
	// account; one does not.
	permanentPause = time.Minute

	// maxThrottle is the longest pause that the pool grants a server that asks for
	// one.
	maxThrottle = 5 * time.Minute
)

// Backoff is an exponential backoff. The first delay is Initial, and each later one is
// Factor times the one before, up to Max. Jitter then changes each delay at random.
// After a success, it starts again with Initial.
type Backoff struct {
	// Initial is the first delay. Zero means 100 ms. Negative is an error.
	Initial time.Duration

	// Factor is the ratio of each delay to the one before, at least 1.
	// Zero means 1.6. Negative is an error.
	Factor float64

	// Jitter is the largest random change of a delay, up or down, as a fraction of the
	// delay, at most 1. Zero means 0.2. Negative means none.
	Jitter float64

	// Max is the longest delay, before Jitter. It must be at least Initial.
	// Zero means 5 seconds. Negative is an error.
	Max time.Duration
}

// delay returns the pause before attempt n. The first attempt after a failure is
// attempt 0.
func (b Backoff) delay(n int) time.Duration {
	d := float64(b.Initial) * math.Pow(b.Factor, float64(n))
	d = min(d, float64(b.Max)) // even if Pow overflowed to infinity
	if b.Jitter > 0 {
		d *= 1 + b.Jitter*(2*rand.Float64()-1)
	}
	return time.Duration(d)
}

// pace spaces events by a Backoff. The zero pace allows the first event at once.
type pace struct {
	steps int           // delays so far
	until time.Duration // when the next event may happen, on the pool's clock
}

// step allows the next event one delay after now.
func (p *pace) step(now time.Duration, b Backoff) {
	p.until = now + b.delay(p.steps)
	p.steps++
}

// outage tracks whether connecting works. It uses neither the pool nor the clock.
// Guarded by Pool.mu.
//
// Until something fails, attempts start as needed. After a failure, each attempt waits
// for the pace and steps it. So the attempts in an outage follow one backoff however
// many callers there are, and an attempt that hangs does not hold up the next. A success
// ends the outage.
//
// A full server refuses connections beyond a limit. Attempts below the limit start at
// once; beyond it, one attempt at a time probes. If a server accepts connections and
// then closes them, they are useless. In that case, the outage ends only when
// a connection has been used successfully.
type outage struct {
	backoff   Backoff
	pace      pace          // of attempts after a failure
	throttled time.Duration // the server asked for no attempts before this time; kept even after a success
	permanent bool          // err is permanent, so only callers start an attempt
	err       error         // the last failure; nil after a success, unless the server is full or wants a pause
	errSince  time.Duration // when err was last nil
	order     uint64        // the waiters up to this one joined before a failed attempt began

	full    bool
	limit   int  // if full: how many connections the server accepts, as far as is known
	probe   pace // if full: of attempts beyond limit
	growing bool // if full: the last probe succeeded, so the next one may too

	useless int    // how many connections in a row were dead at their first use
	since   uint64 // attempt.seq of the last attempt before the latest of them was found
}

// starting records the start of an attempt. occupied is the number of connections
// without it. It reports whether the attempt is a probe.
func (o *outage) starting(now time.Duration, occupied int) (probe bool) {
	probe = o.full && occupied >= o.limit
	if probe {
		o.probe.step(now, o.backoff)
	}
	if o.pace.steps > 0 {
		o.pace.step(now, o.backoff)
	}
	if o.permanent {
		o.pace.until = now + permanentPause
	}
	return probe
}

// failed records the failure of an attempt. The waiters up to order joined before it
// began. open is how many other connections the server counts.
func (o *outage) failed(now time.Duration, order uint64, f failure, open int) {
	if !f.useless {
		o.useless = 0 // the server was down: it did not accept connections and close them
	}
	if o.err == nil {
		o.errSince = now
	}
	if !o.permanent || f.permanent {
		o.err = f.err // otherwise the permanent error still explains why attempts are so rare
	}
	o.order = max(o.order, order)
	pause := now + min(f.pause, maxThrottle)
	if f.full {
		o.full, o.limit, o.growing = true, open, false
		if now >= o.probe.until {
			o.probe.step(now, o.backoff)
		}
		if f.pause > 0 {
			o.probe.until = pause
		}
		return
	}
	if o.pace.steps == 0 {
		o.pace.step(now, o.backoff)
	}
	if f.permanent {
		o.permanent = true
		o.pace.until = max(o.pace.until, now+permanentPause)
	}
	if f.pause > 0 {
		o.throttled = max(o.throttled, pause)
	}
}

// succeeded records the success of an attempt. open is how many connections there
// are now, most how many the pool may have. A pause or a limit set by the server
// stays, and with it the error that explains it.
func (o *outage) succeeded(now time.Duration, open, most int, probe bool) {
	if o.useless > 1 {
		return // that a Connect succeeded proves nothing
	}
	after := outage{backoff: o.backoff, useless: o.useless, since: o.since}
	if o.full && open < most {
		after.full, after.limit, after.probe, after.growing = true, max(o.limit, open), o.probe, o.growing
		if probe { // the next probe may follow at once
			after.probe, after.growing = pace{}, true
		}
	}
	if o.throttled > now {
		after.throttled = o.throttled
	}
	if after.full && !after.growing || after.throttled > 0 {
		after.err, after.errSince = o.err, o.errSince
	}
	*o = after
}

// wasted records a connection that was dead at its first use. started is the number of
// attempts so far. It reports whether this counts as a failed attempt. The first useless
// connection does not. A restart of the server kills all connections at once, so another
// one counts only if its attempt began after the last useless one was found.
func (o *outage) wasted(now time.Duration, b *birth, started uint64, err error, open int) bool {
	if o.useless > 0 && b.seq <= o.since {
		return false
	}
	o.useless++
	o.since = started
	if o.useless == 1 {
		return false
	}
	o.failed(now, b.order, failure{err: err, useless: true}, open)
	return true
}

// proved records that a connection proved useful. It reports whether this ends a run of
// useless ones, which it does if its attempt began after the last of them was found.
func (o *outage) proved(b *birth) bool {
	if o.useless == 0 || b.seq <= o.since {
		return false
	}
	o.useless = 0
	return true
}

// startsAt returns when the next attempt may start if occupied connections exist;
// 0 means at once.
func (o *outage) startsAt(occupied int) time.Duration {
	at := max(o.pace.until, o.throttled)
	if o.full && occupied >= o.limit {
		at = max(at, o.probe.until)
	}
	return at
}

// atMost returns the effective limit of a pool whose own limit is most.
func (o *outage) atMost(most int) int {
	if o.full && !o.growing {
		return min(o.limit, most)
	}
	return most
}

// hasRoom reports whether a full server should accept another connection: it had more
// than open before, and nothing else has failed since.
func (o *outage) hasRoom(open, most int) bool {
	return o.full && o.pace.steps == 0 && open < min(o.limit, most)
}

// failure is an error of Connect with its classes. They are computed without mu,
// because that may call methods of the error.
type failure struct {
	err       error
	text      string // of err, safe to show
	permanent bool
	full      bool
	useless   bool
	pause     time.Duration // that the server asked for
}

// classify computes the classes of err. If a method of err panics, as with a nil
// pointer, it returns a failure with a PanicError instead.
func classify(err error) (f failure) {
	if err == nil {
		return failure{}
	}
	defer func() {
		if v := recover(); v != nil {
			err := &PanicError{v, debug.Stack()}
			f = failure{err: err, text: textOf(err)}
		}
	}()
	_ = err.Error()
	pause, _ := driver.RetryAfter(err)
	return failure{err: err, text: textOf(err), permanent: driver.IsPermanent(err), full: driver.IsFull(err), pause: pause}
}
