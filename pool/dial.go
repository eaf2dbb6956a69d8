package pool

import (
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

// dialState is how connecting has been going. Guarded by Pool.mu.
//
// While failures is zero, attempts start as they are wanted. After a failure
// each start waits for until, and moves until on by the next delay: so attempts
// in an outage follow one backoff however many callers there are, and one that
// hangs does not hold up the next. A success ends it.
type dialState struct {
	failures  int           // attempts started since the first failure, plus one
	until     time.Duration // the next start, on the pool's clock
	throttled time.Duration // no start before, by the server's wish, even after a success
	permanent bool          // lastErr is permanent: none but callers start an attempt
	lastErr   error         // nil after a success, unless the server wants a pause
	order     uint64        // waiters that came no later have waited through a failed attempt
	timer     *time.Timer   // fills the pool at until
}

// refuses reports whether a caller is told lastErr at once rather than wait
// until an attempt may start.
func (d *dialState) refuses(clock func() time.Duration, failFast bool) bool {
	return d.lastErr != nil && (d.permanent || failFast) && clock() < d.startsAt()
}

// refusesLocked reports whether nothing can serve a waiter before an attempt
// that it is not to wait for.
func (p *Pool[C]) refusesLocked() bool {
	failFast := p.cfg.FailFast && p.occupiedLocked() < p.max // else it waits for a release, not for the backoff
	return p.hopefulLocked()+p.checking == 0 && p.dial.refuses(p.now, failFast)
}

// succeeded is d after a success. The pause that the server asked for stays, and
// with it the error that tells why.
func (d *dialState) succeeded(now time.Duration) dialState {
	after := dialState{timer: d.timer}
	if d.throttled > now {
		after.throttled, after.lastErr = d.throttled, d.lastErr
	}
	return after
}

// startsAt is when the next attempt may start; 0 is at once.
func (d *dialState) startsAt() time.Duration { return max(d.until, d.throttled) }

// occupiedLocked is the number of connections as the server may count them.
func (p *Pool[C]) occupiedLocked() int { return p.open + p.connecting + p.closing }

// hopefulLocked is the number of Connects under way that callers may count on.
func (p *Pool[C]) hopefulLocked() int { return p.connecting - p.aside }

// fillLocked starts the Connects that are wanted and allowed, and sees to it
// that it is called again when the backoff allows more.
func (p *Pool[C]) fillLocked() {
	if p.closed {
		return
	}
	for p.mayConnectLocked() && p.wantedLocked() > 0 {
		p.startConnectLocked(nil)
	}
	d := &p.dial
	if d.startsAt() == 0 || p.wantedLocked() <= 0 {
		return
	}
	if pause := d.startsAt() - p.now(); pause > 0 {
		if d.timer == nil {
			d.timer = time.AfterFunc(pause, p.fill)
		} else {
			d.timer.Reset(pause)
		}
	}
}

// fill is fillLocked for the timer.
func (p *Pool[C]) fill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fillLocked()
}

// wantedLocked is how many more Connects would be of use: for waiters whom
// nothing under way will serve, and for the spare connections. After a
// permanent error only waiters count, and one attempt is enough for all.
func (p *Pool[C]) wantedLocked() int {
	if p.dial.permanent {
		return min(p.queue.len, 1) - p.hopefulLocked()
	}
	wanted := p.queue.len + p.keeper.owed - p.supplyLocked()
	if spare := p.keeper.leased + p.cfg.MinIdle - p.open; spare > 0 && p.cfg.MinIdle > 0 {
		if p.cfg.MaxIdle > 0 {
			// The keeper's count may be old: ask for no more than are missing
			// now, or MaxIdle would close each one as soon as it is there.
			spare = min(spare, max(p.cfg.MinIdle-p.count(idle), 0))
		}
		wanted += spare
	}
	return wanted
}

// mayConnectLocked reports whether a Connect may start now.
func (p *Pool[C]) mayConnectLocked() bool {
	return p.occupiedLocked() < p.max && p.connecting-p.told < p.cfg.MaxConnecting && (p.dial.startsAt() == 0 || p.now() >= p.dial.startsAt())
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

// connectFailedLocked tells the failure of an attempt, to the backoff and to the
// waiters.
func (p *Pool[C]) connectFailedLocked(a *attempt[C], f failure) {
	p.total.connectFailures++
	if a.epoch != p.epoch {
		return // it tried what Reset has made an end of
	}
	d := &p.dial
	now := p.now()
	if !d.permanent || f.permanent {
		d.lastErr = f.err // else the permanent one still says why attempts are so few
	}
	if d.failures == 0 {
		d.failures = 1
		d.until = now + p.cfg.Backoff.delay(0)
	}
	if f.permanent {
		d.permanent = true
		d.until = max(d.until, now+permanentPause)
	}
	if f.pause > 0 {
		d.throttled = max(d.throttled, now+min(f.pause, maxThrottle))
	}
	d.order = max(d.order, a.order)
	p.failWaitersLocked(d.permanent)
}

// failWaitersLocked gives the last connect error to the waiters who have waited
// through a failed attempt, but for the oldest that checks under way may serve;
// or to all.
func (p *Pool[C]) failWaitersLocked(all bool) {
	d := &p.dial
	if d.lastErr == nil {
		return
	}
	w := p.queue.head
	for n := p.checking; w != nil && n > 0 && !all; n-- {
		w = w.next
	}
	for w != nil && (w.order <= d.order || all) {
		next := w.next
		p.failLocked(w, connectFailure{d.lastErr})
		w = next
	}
}
