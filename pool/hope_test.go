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
	for name, tt := range map[string]struct {
		maxOpen int
		open    int // connections of the pool when Connect begins to fail
		lost    int // how many of these are lost later
		room    int // connections that the server accepts, if more than open
		workers int
		hold    time.Duration
		d       time.Duration
		burst   int // Connects before the backoff
	}{
		"some are open":         {maxOpen: 10, open: 4, workers: 6, hold: hold, d: 70 * time.Second, burst: 2},
		"one was lost":          {maxOpen: 4, open: 4, lost: 1, workers: 6, hold: hold, d: 70 * time.Second, burst: 1},
		"the server takes 5":    {maxOpen: 10, open: 4, room: 5, workers: 20, hold: hold, d: 30 * time.Second, burst: 6 + 5}, // one of the first 6 succeeds
		"leases last 2 seconds": {maxOpen: 4, open: 2, workers: 4, hold: 2 * time.Second, d: 5 * time.Minute, burst: 2},
	} {
		for what, err := range connectErrors {
			bubble(t, name+", "+what, func(t *testing.T) {
				f, p := openFake(t, pool.Config{MaxOpen: tt.maxOpen, Backoff: pool.Backoff{Jitter: -1}})
				fill(t, p, tt.open)
				f.Next(drivertest.Connect, max(tt.room-tt.open, 0), nil)
				f.Always(drivertest.Connect, drivertest.Fail(err))
				for range tt.lost {
					acquire(t, p).Discard(nil)
				}
				calls, errs := toil(p, tt.workers, tt.d, tt.hold, release)
				wantNoErrors(t, calls, errs)
				served := (tt.open - tt.lost) * int(tt.d/tt.hold)
				assert.GreaterOrEqual(t, calls, served, "a connection was not used")
				most := tt.burst + backoffSteps(tt.d)
				least := most / 2
				if driver.IsPermanent(err) {
					minutes := int(tt.d / time.Minute)
					most, least = tt.burst+minutes, 1+minutes/2
				}
				connects := f.Counts().Connects - tt.open
				assert.LessOrEqual(t, connects, most)
				assert.GreaterOrEqual(t, connects, least, "the pool must try again now and then")
			})
		}
	}

	// A check in progress counts like a lease.
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
				callers.wantWaiting(t)
				close(gate)
				if checkErr != nil {
					callers.wantError(t, errScripted)
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
			for range 2 { // the caller that causes the Connect, and one during the backoff
				start(t.Context(), p).wantError(t, errScripted)
			}
			l.Release()
			start(t.Context(), p).wantLease(t).Release()
		})
	}
}

// A Watch holds its connection for hours. No caller should wait for it.
func TestLongLeaseKeepsNobodyWaiting(t *testing.T) {
	for name, cfg := range map[string]pool.Config{
		"by default":                {},
		"without a timeout":         {AcquireTimeout: -1},
		"without anything to check": {AcquireTimeout: -1, ValidateAfter: -1, MaxIdleTime: -1, MaxLifetime: -1},
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
				callers.wantWaiting(t)
				advance(3 * time.Second)
				callers.wantError(t, err)
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
				advance(6 * time.Second) // by then, all leases are long, and a Connect has failed
				c.wantError(t, err)
			})
		}
	}
}

// No caller waits for a lease whose connection the pool will not use again.
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

// The error of the wait includes the connect error.
func TestWaiterThatStayedInLineLearnsTheConnectError(t *testing.T) {
	for what, err := range connectErrors {
		bubble(t, "when its time is up, "+what, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 2, AcquireTimeout: 2 * time.Second})
			l := acquire(t, p)
			defer l.Release()
			f.Always(drivertest.Connect, drivertest.Fail(err))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			first, second := start(ctx, p), start(t.Context(), p)
			advance(time.Second)
			e := first.wantError(t, context.DeadlineExceeded)
			assert.ErrorIs(t, e.Connect, errScripted)
			assert.Equal(t, time.Second, e.Waited)
			advance(time.Second - 1)
			second.wantWaiting(t)
			advance(1)
			e = second.wantError(t, pool.ErrTimeout)
			assert.ErrorIs(t, e.Cause, pool.ErrTimeout)
			assert.ErrorIs(t, e.Connect, errScripted)
			assert.ErrorContains(t, e, "scripted error")
		})

		for how, end := range map[string]func(l pool.Lease[*conn]){
			"is discarded":  func(l pool.Lease[*conn]) { l.Discard(nil) },
			"is hijacked":   func(l pool.Lease[*conn]) { hijack(l).Close() },
			"is found dead": func(l pool.Lease[*conn]) { l.Conn().Kill(); l.Conn().Use(); l.Release() },
		} {
			bubble(t, "when the last lease "+how+", "+what, func(t *testing.T) {
				f, p := openFake(t, pool.Config{MaxOpen: 4})
				leases := acquireN(t, p, 2)
				f.Always(drivertest.Connect, drivertest.Fail(err))
				callers := startN(t.Context(), p, 3)
				advance(time.Second) // until a Connect that began after all had joined has failed
				end(leases[0])
				callers.wantWaiting(t)
				end(leases[1])
				for _, c := range callers {
					e := c.wantError(t, errScripted)
					assert.Equal(t, time.Second, e.Waited)
				}
			})
		}
	}

	// A Connect that began before the waiter joined does not explain its wait.
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
