package endpoints

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hotline-go/hotline/driver"
)

const (
	// maxAtOnce is how many endpoints one Connect tries at the same time. When it is
	// another's turn, the oldest try is given up first.
	maxAtOnce = 2

	// grace is how long a Connect waits for a canceled try to end.
	grace = 100 * time.Millisecond

	// forever is the head start of the last endpoint.
	forever = time.Duration(math.MaxInt64)
)

// race is one Connect. It tries endpoints, each as soon as the one before has failed or
// has used up its head start, until a try has a connection. Only the goroutine of run
// uses the fields, except won.
type race struct {
	c         *Connector
	desperate bool
	tried     map[*endpoint]bool
	running   []*try    // in the order of their starts
	ended     chan *try // buffered, so that no try waits for the race
	failed    []*try
	due       bool        // the next try starts when the one that was given up has ended
	won       atomic.Bool // a try has a connection, or run has given up
}

// try is one attempt at one endpoint.
type try struct {
	e      *endpoint
	cancel context.CancelFunc
	began  time.Time
	lost   bool // given up to make room for another try

	// Set before the try is sent to race.ended.
	conn driver.Conn
	err  error
}

func (c *Connector) newRace() *race {
	c.mu.Lock()
	n := len(c.endpoints)
	c.mu.Unlock()
	return &race{c: c, desperate: c.isDesperate(), tried: make(map[*endpoint]bool, 1), ended: make(chan *try, max(n, 1))}
}

// run returns the first connection. The other tries are over when it returns, or soon
// after.
func (r *race) run(ctx context.Context) (driver.Conn, error) {
	tries, cancel := context.WithCancel(ctx)
	defer r.awaitLosers()
	defer cancel()
	headStart := time.NewTimer(r.next(tries))
	defer headStart.Stop()
	for len(r.running) > 0 {
		select {
		case t := <-r.ended:
			r.remove(t)
			if t.err == nil {
				r.c.settle(t.e, Up, nil, t.began) // slow may have made it down
				return t.conn, nil
			}
			r.failed = append(r.failed, t)
			if t.lost {
				t.err = t.late()
			}
			if !t.lost || r.due {
				headStart.Reset(r.next(tries))
			}
		case <-headStart.C:
			if !r.due && r.slow() {
				headStart.Reset(grace) // after that, the next try starts even if the driver has not returned
				continue
			}
			headStart.Reset(r.next(tries))
		case <-ctx.Done():
			if !r.won.Swap(true) {
				return nil, r.failure(ctx.Err())
			}
			ctx = context.WithoutCancel(ctx) // a try has just won, and is about to end
		}
	}
	return nil, r.failure(ctx.Err())
}

// next starts the next try, if there is one, and returns its head start.
func (r *race) next(ctx context.Context) (headStart time.Duration) {
	r.due = false
	if len(r.tried) == cap(r.ended) {
		return forever
	}
	e, more := r.c.pick(r.tried, r.desperate)
	if e == nil {
		return forever
	}
	r.tried[e] = true
	tryCtx, cancel := context.WithCancel(ctx)
	t := &try{e: e, cancel: cancel, began: time.Now()}
	r.running = append(r.running, t)
	go r.try(tryCtx, t) // ends when the driver's Connect returns, soon after ctx ends
	if !more {
		return forever
	}
	left, patience := until(ctx.Deadline()), until(driver.CallerDeadline(ctx))
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return e.headStart(left, patience, r.c.set.Share)
}

// until returns the time until end, or forever if ok is false.
func until(end time.Time, ok bool) time.Duration {
	if !ok {
		return forever
	}
	return time.Until(end)
}

// slow records that the last try has used up its head start. If no more tries may run
// at once, it gives up the oldest and reports true: the next try starts when that one
// has ended.
func (r *race) slow() (due bool) {
	last := r.running[len(r.running)-1]
	r.c.settle(last.e, Down, last.late(), last.began)
	live := slices.DeleteFunc(slices.Clone(r.running), func(t *try) bool { return t.lost })
	if r.due = len(live) == maxAtOnce; r.due {
		live[0].lost = true
		live[0].cancel()
	}
	return r.due
}

// late returns the error of a try that takes too long.
func (t *try) late() error {
	return fmt.Errorf("no connection within %v", time.Since(t.began).Round(time.Millisecond))
}

// remove removes t from the running tries.
func (r *race) remove(t *try) {
	i := slices.Index(r.running, t)
	r.running = slices.Delete(r.running, i, i+1)
}

// awaitLosers waits until the tries that have not won are over, for grace at most.
func (r *race) awaitLosers() {
	if len(r.running) == 0 {
		return
	}
	enough := time.NewTimer(grace)
	defer enough.Stop()
	for range r.running {
		select {
		case <-r.ended:
		case <-enough.C:
			return
		}
	}
}

// try connects to the endpoint of t, in a goroutine of its own.
func (r *race) try(ctx context.Context, t *try) {
	defer func() { r.ended <- t }()
	defer t.cancel()
	status := Down // if the driver exits this goroutine
	t.err = errExited
	defer func() { r.finish(ctx, t, status) }()
	t.err = safely(func() (err error) {
		t.conn, err = t.e.connect(ctx, r.c.set.Want)
		status = Up
		if err != nil {
			status = statusAfter(err)
		}
		return err
	})
	if t.err != nil && status == Up { // Want or the error panicked
		status = Down
	}
}

// finish decides whether t has won, and records the outcome for its endpoint.
func (r *race) finish(ctx context.Context, t *try, status Status) {
	late := t.err == nil && r.won.Swap(true)
	c, conn := r.c, t.conn
	switch {
	case t.err != nil && ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		c.calledOff(t.e)
	case late:
		c.connected(t, nil)
		c.settle(t.e, Up, nil, t.began)
		t.conn, t.err = nil, errLate
		_ = safely(conn.Close)
	case t.err == nil:
		c.connected(t, conn)
	default:
		c.failed(t, status)
	}
}

// connect makes a connection to e and checks it with want, if that is not nil.
func (e *endpoint) connect(ctx context.Context, want func(context.Context, driver.Conn) error) (driver.Conn, error) {
	connector, err := e.connector()
	if err != nil {
		return nil, driver.Permanent(err)
	}
	if e.ip.IsValid() {
		ctx = driver.WithAddress(ctx, e.addr, e.ip)
	}
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if conn == nil {
		return nil, driver.Permanent(errNoConn)
	}
	if want == nil {
		return conn, nil
	}
	wanted := false
	defer func() { // also if Want panics
		if !wanted {
			_ = safely(conn.Close)
		}
	}()
	if err := want(ctx, conn); err != nil {
		return nil, &unfitError{err}
	}
	wanted = true
	return conn, nil
}

// safely runs f and returns a panic as an error.
func safely(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, debug.Stack()}
		}
	}()
	return f()
}
