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
type outage struct {
	backoff   Backoff
	pace      pace
	throttled time.Duration // no start before, by the server's wish, even after a success
	permanent bool          // err is permanent: only callers start an attempt
	err       error         // the last failure; nil after a success, unless the server wants a pause
	order     uint64        // waiters that came no later have waited through a failed attempt
}

// starting follows the start of an attempt.
func (o *outage) starting(now time.Duration) {
	if o.pace.steps == 0 {
		return
	}
	o.pace.step(now, o.backoff)
	if o.permanent {
		o.pace.until = now + permanentPause
	}
}

// failed follows the failure of an attempt. Waiters up to order have waited
// through all of it.
func (o *outage) failed(now time.Duration, order uint64, f failure) {
	if !o.permanent || f.permanent {
		o.err = f.err // else the permanent one still says why attempts are so few
	}
	if o.pace.steps == 0 {
		o.pace.step(now, o.backoff)
	}
	if f.permanent {
		o.permanent = true
		o.pace.until = max(o.pace.until, now+permanentPause)
	}
	if f.pause > 0 {
		o.throttled = max(o.throttled, now+min(f.pause, maxThrottle))
	}
	o.order = max(o.order, order)
}

// succeeded follows the success of an attempt. The pause that the server asked
// for stays, and with it the error that says why.
func (o *outage) succeeded(now time.Duration) {
	after := outage{backoff: o.backoff}
	if o.throttled > now {
		after.throttled, after.err = o.throttled, o.err
	}
	*o = after
}

// startsAt is when the next attempt may start; 0 is at once.
func (o *outage) startsAt() time.Duration { return max(o.pace.until, o.throttled) }

// refuses reports whether a caller that nothing else can serve gets err now,
// instead of waiting for the next attempt.
func (o *outage) refuses(now time.Duration, failFast bool) bool {
	return o.err != nil && (o.permanent || failFast) && now < o.startsAt()
}

// failure is an error of Connect with its class, which is asked for without mu
// because the error's own methods may answer.
type failure struct {
	err       error
	permanent bool
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
	return failure{err, driver.IsPermanent(err), pause}
}
