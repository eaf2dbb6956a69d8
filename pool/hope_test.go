package pool_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// A connect error must not fail a caller that a release can still serve.

// connectErrors are errors of Connect, one of each class.
var connectErrors = map[string]error{
	"refused":        errScripted,
	"wrong password": driver.Permanent(errScripted),
	"full":           driver.Full(errScripted, 0),
}

func TestConnectErrorFailsNoCallerThatAReleaseCanServe(t *testing.T) {
	const hold = 10 * time.Millisecond
	wrong := driver.Permanent(errScripted)
	for name, tt := range map[string]struct {
		maxOpen int
		open    int // connections of the pool when Connect begins to fail
		lost    int // of these, lost afterwards
		room    int // connections the server takes, if more than it has
		workers int
		err     error
		hold    time.Duration
		d       time.Duration
		most    int // connects
	}{
		"the password was rotated": {
			maxOpen: 10, open: 4, workers: 6, err: wrong, hold: hold,
			d: 70 * time.Second, most: 2 + 1, // two at once, then one a minute
		},
		"the password was rotated, and one was lost": {
			maxOpen: 4, open: 4, lost: 1, workers: 6, err: wrong, hold: hold,
			d: 70 * time.Second, most: 1 + 1,
		},
		"the server refuses": {
			maxOpen: 10, open: 4, workers: 6, err: errScripted, hold: hold,
			d: 30 * time.Second, most: 2 + backoffSteps(30*time.Second),
		},
		"the server takes 5": {
			maxOpen: 10, open: 4, room: 5, workers: 20, err: errScripted, hold: hold,
			d: 30 * time.Second, most: 6 + 5 + backoffSteps(30*time.Second), // one of the first 6 succeeds
		},
		"the server takes 5 and says so": {
			maxOpen: 10, open: 4, room: 5, workers: 20, err: driver.Full(errScripted, 0), hold: hold,
			d: 30 * time.Second, most: 6 + 5 + backoffSteps(30*time.Second),
		},
		"leases last 2 seconds": {
			maxOpen: 4, open: 2, workers: 4, err: errScripted, hold: 2 * time.Second,
			d: 5 * time.Minute, most: 2 + backoffSteps(5*time.Minute),
		},
		"leases last 2 seconds, and the password was rotated": {
			maxOpen: 4, open: 2, workers: 4, err: wrong, hold: 2 * time.Second,
			d: 250 * time.Second, most: 2 + 4,
		},
		"leases last 2 seconds, and the server is full": {
			maxOpen: 4, open: 2, workers: 4, err: driver.Full(errScripted, 0), hold: 2 * time.Second,
			d: 5 * time.Minute, most: 2 + backoffSteps(5*time.Minute),
		},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: tt.maxOpen, Backoff: pool.Backoff{Jitter: -1}})
			fill(t, p, tt.open)
			f.Next(drivertest.Connect, max(tt.room-tt.open, 0), nil)
			f.Always(drivertest.Connect, drivertest.Fail(tt.err))
			for range tt.lost {
				acquire(t, p).Discard(nil)
			}
			calls, errs := toil(p, tt.workers, tt.d, tt.hold, release)
			wantNoErrors(t, calls, errs)
			served := (tt.open - tt.lost) * int(tt.d/tt.hold)
			assert.GreaterOrEqual(t, calls, served, "a connection was not used")
			connects := f.Counts().Connects - tt.open
			assert.LessOrEqual(t, connects, tt.most)
			assert.GreaterOrEqual(t, connects, tt.most/2, "the server must be asked now and then")
		})
	}

	// A check under way is as good as a lease.
	for name, checkErr := range map[string]error{"that a check can serve": nil, "until the check fails": errScripted} {
		for what, err := range connectErrors {
			bubble(t, name+", "+what, func(t *testing.T) {
				f, p := openFake(t, pool.Config{MaxOpen: 2})
				fill(t, p, 1)
				advance(10 * time.Second)
				gate := make(chan struct{})
				f.Always(drivertest.Ping, func(ctx context.Context, c *conn) error {
					return errors.Join(drivertest.HangUntil(gate)(ctx, c), checkErr)
				})
				f.Always(drivertest.Connect, drivertest.Fail(err))
				callers := startN(t.Context(), p, 2)
				for _, c := range callers {
					c.wantWaiting(t)
				}
				close(gate)
				if checkErr != nil {
					for _, c := range callers {
						c.wantError(t, errScripted)
					}
					return
				}
				l := callers[0].wantLease(t)
				callers[1].wantWaiting(t)
				l.Release()
				callers[1].wantLease(t).Release()
			})
		}
	}

	for what, err := range connectErrors {
		bubble(t, "but FailFast does not wait, "+what, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 2, FailFast: true})
			l := acquire(t, p)
			f.Always(drivertest.Connect, drivertest.Fail(err))
			for range 2 { // the caller that causes the Connect, and one in the backoff
				start(t.Context(), p).wantError(t, errScripted)
			}
			l.Release()
			start(t.Context(), p).wantLease(t).Release()
		})
	}
}

// A Watch holds its connection for hours. Nobody should wait for that.
func TestLeaseThatIsHeldForLongKeepsNobodyWaiting(t *testing.T) {
	for name, cfg := range map[string]pool.Config{
		"by default":                  {},
		"without a timeout":           {AcquireTimeout: -1},
		"without anything to look at": {AcquireTimeout: -1, ValidateAfter: -1, MaxIdleTime: -1, MaxLifetime: -1},
	} {
		cfg.MaxOpen = 4
		for what, err := range connectErrors {
			bubble(t, name+", held for hours, "+what, func(t *testing.T) {
				f, p := openFake(t, cfg)
				fill(t, p, 2)
				advance(time.Minute)
				leases := acquireN(t, p, 2)
				defer releaseAll(leases)
				advance(3 * time.Hour)
				f.Always(drivertest.Connect, drivertest.Fail(err))
				e := start(t.Context(), p).wantError(t, err)
				assert.Zero(t, e.Waited)
				assert.ErrorIs(t, e.Connect, errScripted)
			})

			bubble(t, name+", just taken, "+what, func(t *testing.T) {
				f, p := openFake(t, cfg)
				leases := acquireN(t, p, 2)
				defer releaseAll(leases)
				f.Always(drivertest.Connect, drivertest.Fail(err))
				callers := startN(t.Context(), p, 3)
				advance(2 * time.Second)
				for _, c := range callers {
					c.wantWaiting(t)
				}
				advance(3 * time.Second)
				for _, c := range callers {
					c.wantError(t, err)
				}
			})

			bubble(t, name+", while others circulate, "+what, func(t *testing.T) {
				f, p := openFake(t, cfg)
				watch := acquire(t, p)
				defer watch.Release()
				fill(t, p, 2)
				advance(time.Minute)
				f.Always(drivertest.Connect, drivertest.Fail(err))
				calls, errs := toil(p, 5, 10*time.Second, 10*time.Millisecond, release)
				wantNoErrors(t, calls, errs)
				leases := acquireN(t, p, 2)
				defer releaseAll(leases)
				c := start(t.Context(), p)
				advance(6 * time.Second) // no lease circulates any more, and a Connect has failed
				c.wantError(t, err)
			})
		}
	}
}

// Nor does one whose connection the pool will not use again.
func TestLeaseFromBeforeAResetKeepsNobodyWaiting(t *testing.T) {
	for what, err := range connectErrors {
		bubble(t, what, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 2})
			l := acquire(t, p)
			defer l.Release()
			p.Reset()
			f.Always(drivertest.Connect, drivertest.Fail(err))
			start(t.Context(), p).wantError(t, err)
		})
	}
}

// What a caller waited for in vain.
func TestWaiterThatStayedInLineLearnsTheConnectError(t *testing.T) {
	for what, err := range connectErrors {
		bubble(t, "when AcquireTimeout passes, "+what, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 2, AcquireTimeout: time.Second})
			l := acquire(t, p)
			defer l.Release()
			f.Always(drivertest.Connect, drivertest.Fail(err))
			c := start(t.Context(), p)
			advance(time.Second - 1)
			c.wantWaiting(t)
			advance(1)
			e := c.wantError(t, pool.ErrTimeout)
			assert.ErrorIs(t, e.Cause, pool.ErrTimeout)
			assert.ErrorIs(t, e.Connect, errScripted)
			assert.ErrorContains(t, c.err, "scripted error")
		})

		bubble(t, "when its ctx ends, "+what, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 2})
			l := acquire(t, p)
			defer l.Release()
			f.Always(drivertest.Connect, drivertest.Fail(err))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			c := start(ctx, p)
			advance(time.Second)
			e := c.wantError(t, context.DeadlineExceeded)
			assert.ErrorIs(t, e.Connect, errScripted)
			assert.Equal(t, time.Second, e.Waited)
		})

		for how, end := range map[string]func(l pool.Lease[*conn]){
			"is discarded":  func(l pool.Lease[*conn]) { l.Discard(nil) },
			"is hijacked":   func(l pool.Lease[*conn]) { l.Hijack().Close() },
			"is found dead": func(l pool.Lease[*conn]) { l.Conn().Kill(); l.Conn().Use(); l.Release() },
		} {
			bubble(t, "when the last lease "+how+", "+what, func(t *testing.T) {
				f, p := openFake(t, pool.Config{MaxOpen: 4})
				leases := acquireN(t, p, 2)
				f.Always(drivertest.Connect, drivertest.Fail(err))
				callers := startN(t.Context(), p, 3)
				advance(time.Second) // until a Connect has failed that began after all had joined
				end(leases[0])
				for _, c := range callers {
					c.wantWaiting(t)
				}
				end(leases[1])
				for _, c := range callers {
					e := c.wantError(t, errScripted)
					assert.Equal(t, time.Second, e.Waited)
				}
			})
		}
	}

	// The error of a Connect that began before it joined says nothing to a waiter.
	bubble(t, "unless a later Connect serves it", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, MaxConnecting: 1})
		l := acquire(t, p)
		f.Next(drivertest.Connect, 1, drivertest.Fail(errors.New("refused")))
		c := start(t.Context(), p)
		c.wantWaiting(t)
		advance(time.Second)
		c.wantLease(t).Release()
		l.Release()
		require.Equal(t, 2, p.Stats().Idle)
	})
}
