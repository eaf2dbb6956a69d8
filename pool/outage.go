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
	// that error without a new attempt. Accounts get locked by a few wrong
	// passwords a minute, not by one.
	permanentPause = time.Minute

	// maxThrottle bounds the pause that a server may ask for.
	maxThrottle = 5 * time.Minute
)

// Backoff is an exponential backoff: Initial after the first failure, then
// each delay Factor times the one before, up to Max, each changed at random
// by up to the fraction Jitter either way. A success starts it over.
type Backoff struct {
	Initial time.Duration // zero means 100 ms
	Factor  float64       // 1 or more; zero means 1.6
	Jitter  float64       // 0 to 1; zero means 0.2, negative means none
	Max     time.Duration // of a delay before Jitter; zero means 5 s
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

// pace spaces events by a Backoff. The zero pace does not.
type pace struct {
	steps int           // delays so far
	until time.Duration // the next event, on the pool's clock
}

// step puts the next event one delay after now.
func (p *pace) step(now time.Duration, b Backoff) {
	p.until = now + b.delay(p.steps)
	p.steps++
}

// outage is how connecting has been going. It knows neither the pool nor the
// clock. Guarded by Pool.mu.
//
// While nothing has failed, attempts start as they are wanted. After a failure
// each start waits for the pace and takes the next step of it: so attempts in an
// outage follow one backoff however many callers there are, and one that hangs
// does not hold up the next. A success ends it.
//
// A full server refuses connections beyond a limit: attempts below that limit are
// free, and one at a time probes beyond it. A server that accepts connections and
// closes them makes useless ones: then only a connection that was used
// successfully ends the outage.
type outage struct {
	backoff   Backoff
	pace      pace          // of attempts after a failure
	throttled time.Duration // no start before, by the server's wish, even after a success
	permanent bool          // err is permanent: only callers start an attempt
	err       error         // the last failure; nil after a success, unless the server is full or wants a pause
	order     uint64        // waiters that came no later have waited through a failed attempt

	full    bool
	limit   int  // if full: how many connections the server takes, as far as is known
	probe   pace // if full: of attempts beyond limit
	growing bool // if full: the last probe worked, and so may the next

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

// failed follows the failure of an attempt. Waiters up to order have waited
// through all of it; open is how many other connections the server counts.
func (o *outage) failed(now time.Duration, order uint64, f failure, open int) {
	if !f.useless {
		o.useless = 0 // the server was down, and did not just accept and close
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
		return // to connect is easy
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
		after.err = o.err
	}
	*o = after
}

// wasted follows the end of a connection that was dead at its first use, after
// started attempts. A restart of the server kills all those that were there; so
// it takes one made since the last was found to make a failed attempt of it,
// which wasted reports.
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

// proved reports whether a connection that was of use ends a run of useless
// ones: one made since.
func (o *outage) proved(b *birth) bool {
	if o.useless == 0 || b.seq <= o.since {
		return false
	}
	o.useless = 0
	return true
}

// startsAt is when the next attempt may start beside occupied connections; 0 is
// at once.
func (o *outage) startsAt(occupied int) time.Duration {
	at := max(o.pace.until, o.throttled)
	if o.full && occupied >= o.limit {
		at = max(at, o.probe.until)
	}
	return at
}

// atMost is the limit that counts where the pool's own is most.
func (o *outage) atMost(most int) int {
	if o.full && !o.growing {
		return min(o.limit, most)
	}
	return most
}

// hasRoom reports whether a full server should take a connection beside the open
// ones: it had as many before, and nothing else has failed since.
func (o *outage) hasRoom(open, most int) bool {
	return o.full && o.pace.steps == 0 && open < min(o.limit, most)
}

// failure is an error of Connect with its class, which is asked for without mu
// because the error's own methods may answer.
type failure struct {
	err       error
	permanent bool
	full      bool
	useless   bool
	pause     time.Duration // that the server asked for
}

// classify returns a PanicError in place of an err whose methods panic, such as
// a nil pointer of its type.
func classify(err error) (f failure) {
	if err == nil {
		return failure{}
	}
	defer func() {
		if v := recover(); v != nil {
			f = failure{err: &PanicError{v, debug.Stack()}}
		}
	}()
	_ = err.Error()
	pause, _ := driver.RetryAfter(err)
	return failure{err: err, permanent: driver.IsPermanent(err), full: driver.IsFull(err), pause: pause}
}
