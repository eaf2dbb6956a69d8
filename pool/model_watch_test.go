package pool_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

const (
	maxBackoff = 6 * time.Second  // Backoff.Max and its jitter
	throttle   = 20 * time.Second // the pause that a server asks for
	permanent  = time.Minute      // the pause between attempts after a permanent error
	overdue    = 10*time.Second + 100*time.Millisecond
)

var errRefused = errors.New("refused by OnAcquire")

// watch records what the pool's goroutines do: how Connect and Ping went, and whether the
// limit was kept.
type watch struct {
	mu      sync.Mutex
	tick    int   // number of the current action
	limit   int   // MaxOpen, or what Resize set
	largest int   // the largest limit so far
	refusal error // result of the next OnAcquire

	exceeded []drivertest.Counts // counts when a Connect began above the limit
	attempts []*attempt
	pinging  int  // calls of Ping in progress
	spoiled  bool // in this action, a connection was found dead after it left the queue

	// These decide how long the pool may pause before the next attempt.
	failing   bool // a Connect has failed since the last success
	permanent bool // permanently
	dubious   bool // connections were dead at their first use, so a Connect does not count as a success
	full      bool // the server is full, so the pool may connect one at a time
	pause     time.Time
	throttled time.Time
	worked    bool // in this action, a Connect succeeded
	failed    bool // in this action, a Connect failed
}

// attempt is one call to Connect.
type attempt struct {
	tick  int
	began time.Time
	ended int // tick at its end; 0 = in progress
	err   error

	forgotten bool // it began before a Reset, so no caller gets its connection or its error
	old       bool // it failed before the last success
}

// overdue reports whether the pool has given up on a.
func (a *attempt) overdue() bool {
	return !a.forgotten && a.ended == 0 && time.Since(a.began) >= overdue
}

// next begins the next action.
func (w *watch) next() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.worked && !w.failed { // if both, the order is unknown
		w.failing, w.permanent = false, false
		if !w.dubious {
			w.pause = w.throttled
		}
		w.attempts = slices.DeleteFunc(w.attempts, func(a *attempt) bool { return a.ended > 0 && a.err == nil })
		for _, a := range w.attempts {
			a.old = a.ended > 0
		}
	}
	w.spoiled, w.worked, w.failed = false, false, false
	w.tick++
}

func (w *watch) setLimit(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limit = n
	w.largest = max(w.largest, n)
}

// reset models the effect of Reset on a pause and on the attempts in progress.
func (w *watch) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.attempts {
		a.forgotten = a.forgotten || a.ended == 0
	}
	w.full = false
	w.failing, w.permanent, w.dubious, w.pause, w.throttled = false, false, false, time.Time{}, time.Time{}
	for _, a := range w.attempts {
		a.old = true
	}
}

func (w *watch) refuse(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refusal = err
}

// onAcquire is the hook.
func (w *watch) onAcquire(context.Context, driver.Conn, pool.Info) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.refusal
	w.refusal = nil
	w.spoiled = w.spoiled || err != nil
	return err
}

// checkLimit checks n, the counts at the start of a Connect, which include it.
func (w *watch) checkLimit(n drivertest.Counts) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n.Connecting+n.Open > w.limit {
		w.exceeded = append(w.exceeded, n)
	}
}

// watchedConnector records in the watch how Connect goes.
type watchedConnector struct {
	*drivertest.Fake
	watch *watch
}

func (c *watchedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	a := c.watch.begin()
	raw, err := c.Fake.Connect(ctx)
	c.watch.end(a, err)
	return raw, err
}

func (w *watch) begin() *attempt {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := &attempt{tick: w.tick, began: time.Now()}
	for _, other := range w.attempts {
		w.failing = w.failing || other.overdue()
	}
	w.attempts = append(w.attempts, a)
	if w.failing || w.dubious {
		w.pauseLocked()
	}
	return a
}

// doubt records that connections were found useless.
func (w *watch) doubt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dubious = true
	w.pauseLocked()
}

func (w *watch) end(a *attempt, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a.ended, a.err = w.tick, err
	if a.forgotten {
		return
	}
	if err == nil {
		w.worked = true
		return
	}
	w.failing, w.failed = true, true
	w.permanent = w.permanent || driver.IsPermanent(err)
	w.full = w.full || driver.IsFull(err)
	if _, ok := driver.RetryAfter(err); ok {
		w.throttled = time.Now().Add(throttle)
	}
	w.pauseLocked()
}

// pauseLocked sets pause to the latest time until which the pool may wait.
func (w *watch) pauseLocked() {
	d := maxBackoff
	if w.permanent {
		d = permanent
	}
	for _, t := range []time.Time{time.Now().Add(d), w.throttled} {
		if t.After(w.pause) {
			w.pause = t
		}
	}
}

// pausing reports whether the pool may be waiting before the next attempt.
func (w *watch) pausing() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.attempts {
		if a.overdue() && time.Since(a.began) < overdue+maxBackoff {
			return true
		}
	}
	return time.Now().Before(w.pause)
}

// connecting returns how many attempts are in progress, without those that the pool has
// given up on.
func (w *watch) connecting() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.attempts {
		if a.ended == 0 && !a.forgotten && !a.overdue() {
			n++
		}
	}
	return n
}

// failedSince returns the attempts that have failed since the last success.
func (w *watch) failedSince() (failed []*attempt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.attempts {
		if a.ended > 0 && a.err != nil && !a.forgotten && !a.old {
			failed = append(failed, a)
		}
	}
	return failed
}

// explains reports whether err is the error of an attempt that has failed.
func (w *watch) explains(err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.attempts {
		if a.err != nil && errors.Is(err, a.err) || a.overdue() && errors.Is(err, context.DeadlineExceeded) {
			return true
		}
	}
	return false
}

// watchedConn records in the watch when it is pinged, and when it is found dead after it
// was given to a waiter.
type watchedConn struct {
	*drivertest.FakeConn
	watch *watch
}

func (c *watchedConn) Ping(ctx context.Context) error {
	c.watch.addPinging(1)
	defer c.watch.addPinging(-1)
	return c.FakeConn.Ping(ctx)
}

func (w *watch) addPinging(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pinging += n
}

func (c *watchedConn) ResetSession(ctx context.Context) error {
	err := c.FakeConn.ResetSession(ctx)
	if err != nil {
		c.watch.mu.Lock()
		defer c.watch.mu.Unlock()
		c.watch.spoiled = true
	}
	return err
}

// fakeOf returns the FakeConn in c.
func fakeOf(c user) *drivertest.FakeConn {
	if w, ok := c.(*watchedConn); ok {
		return w.FakeConn
	}
	return c.(*drivertest.BareConn).FakeConn()
}
