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
	// that error without a new attempt. A few wrong passwords a minute may lock an
	// account; one does not.
	permanentPause = time.Minute

	// maxThrottle bounds the pause that a server may ask for.
	maxThrottle = 5 * time.Minute
)

// Backoff is an exponential backoff. The first delay is Initial; each later one is
// Factor times the one before, up to Max. Jitter changes each at random by up to that
// fraction, either way. A success starts it over.
type Backoff struct {
	// Initial is the first delay. Zero means 100 ms. Negative is an error.
	Initial time.Duration

	// Factor is how much longer each delay is than the one before, at least 1.
	// Zero means 1.6. Negative is an error.
	Factor float64

	// Jitter is the largest random change of a delay, as a fraction of it, up to 1.
	// Zero means 0.2. Negative means none.
	Jitter float64

	// Max is the longest delay, before Jitter. It is at least Initial.
	// Zero means 5 seconds. Negative is an error.
	Max time.Duration
}

// delay returns the pause before attempt n; the first to follow a failure is
// attempt 0.
func (b Backoff) delay(n int) time.Duration {
	d := float64(b.Initial) * math.Pow(b.Factor, float64(n))
	d = min(d, float64(b.Max)) // also where Pow overflowed to infinity
	if b.Jitter > 0 {
		d *= 1 + b.Jitter*(2*rand.Float64()-1)
	}
	return time.Duration(d)
}

// pace spaces events by a Backoff. The zero pace allows the first event at once.
type pace struct {
	steps int           // delays so far
	until time.Duration // the next event, on the pool's clock
}

// step sets the next event to one delay after now.
func (p *pace) step(now time.Duration, b Backoff) {
	p.until = now + b.delay(p.steps)
	p.steps++
}

// outage tracks whether connecting works. It knows neither the pool nor the clock.
// Guarded by Pool.mu.
//
// Until something fails, attempts start as needed. After a failure, each start waits
// for the pace and takes its next step. So the attempts in an outage follow one
// backoff however many callers there are, and an attempt that hangs does not hold up
// the next. A success ends the outage.
//
// A full server refuses connections beyond a limit. Attempts below the limit start at
// once, and one at a time probes beyond it. If a server accepts connections and closes
// them, they are useless. Then only a connection that was used successfully ends the
// outage.
type outage struct {
	backoff   Backoff
	pace      pace          // of attempts after a failure
	throttled time.Duration // no start before this time, at the server's request, even after a success
	permanent bool          // err is permanent: only callers start an attempt
	err       error         // the last failure; nil after a success, unless the server is full or wants a pause
	errSince  time.Duration // when err was last nil
	order     uint64        // waiters up to this one joined before a failed attempt began

	full    bool
	limit   int  // if full: how many connections the server takes, as far as is known
	probe   pace // if full: of attempts beyond limit
	growing bool // if full: the last probe succeeded, so the next may too

	useless int    // connections in a row that were dead at their first use
	since   uint64 // the last attempt before the latest of them was found
}

// starting follows the start of an attempt; occupied is the number of
// connections before it. It reports whether the attempt is a probe.
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

// failed follows the failure of an attempt. Waiters up to order joined before it
// began; open is how many other connections the server counts.
func (o *outage) failed(now time.Duration, order uint64, f failure, open int) {
	if !f.useless {
		o.useless = 0 // the server was down, and did not just accept and close
	}
	if o.err == nil {
		o.errSince = now
	}
	if !o.permanent || f.permanent {
		o.err = f.err // else the permanent one still says why attempts are so few
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

// succeeded follows the success of an attempt. open is how many connections there
// are now, most how many the pool may have. A pause or a limit of the server
// stays, and with it the error that says why.
func (o *outage) succeeded(now time.Duration, open, most int, probe bool) {
	if o.useless > 1 {
		return // connecting proves nothing
	}
	after := outage{backoff: o.backoff, useless: o.useless, since: o.since}
	if o.full && open < most {
		after.full, after.limit, after.probe, after.growing = true, max(o.limit, open), o.probe, o.growing
		if probe { // the next may follow
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

// wasted follows the end of a connection that was dead at its first use. started is
// the number of attempts so far. It reports whether this counts as a failed attempt.
// The first one does not. A restart of the server kills all connections at once, so
// another counts only if it was made after the last useless one was found.
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

// proved reports whether a connection that proved useful ends a run of useless ones:
// it must have been made after the last of them was found.
func (o *outage) proved(b *birth) bool {
	if o.useless == 0 || b.seq <= o.since {
		return false
	}
	o.useless = 0
	return true
}

// startsAt is when the next attempt may start, given the number of occupied
// connections; 0 means at once.
func (o *outage) startsAt(occupied int) time.Duration {
	at := max(o.pace.until, o.throttled)
	if o.full && occupied >= o.limit {
		at = max(at, o.probe.until)
	}
	return at
}

// atMost is the effective limit of a pool whose own limit is most.
func (o *outage) atMost(most int) int {
	if o.full && !o.growing {
		return min(o.limit, most)
	}
	return most
}

// hasRoom reports whether a full server should take another connection: it had more
// than open before, and nothing else has failed since.
func (o *outage) hasRoom(open, most int) bool {
	return o.full && o.pace.steps == 0 && open < min(o.limit, most)
}

// failure is an error of Connect with its classes. They are computed without mu,
// because that may call the error's own methods.
type failure struct {
	err       error
	text      string // of err, safe to show
	permanent bool
	full      bool
	useless   bool
	pause     time.Duration // that the server asked for
}

// classify computes the classes of err. If the methods of err panic, as with a nil
// pointer, the failure is of a PanicError instead.
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
