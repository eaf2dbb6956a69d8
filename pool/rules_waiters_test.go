package pool_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

func TestRule4_WaitersAreServedInOrderOfArrival(t *testing.T) {
	bubble(t, "by released connections", func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1})
		l := acquire(t, p)
		callers := startN(t.Context(), p, 20)
		for i, c := range callers {
			l.Release()
			_, ok := try(p)
			assert.False(t, ok, "TryAcquire overtook the queue")
			l = c.wantLease(t)
			callers[i+1:].wantWaiting(t)
		}
		l.Release()
	})

	for name, tt := range map[string]struct {
		idle int
		op   drivertest.Op
	}{"by new connections": {0, drivertest.Connect}, "by checked connections": {3, drivertest.Ping}} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 3, MaxConnecting: 1})
			fill(t, p, tt.idle)
			advance(10 * time.Second)
			gate := make(chan struct{})
			f.Always(tt.op, drivertest.HangUntil(gate))
			callers := startN(t.Context(), p, 3)
			for i, c := range callers {
				gate <- struct{}{}
				defer c.wantLease(t).Release()
				callers[i+1:].wantWaiting(t)
			}
		})
	}

	bubble(t, "when one in the middle leaves", func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1})
		l := acquire(t, p)
		first := start(t.Context(), p)
		ctx, cancel := context.WithCancel(t.Context())
		second := start(ctx, p)
		third := start(t.Context(), p)
		cancel()
		second.wantError(t, context.Canceled)
		l.Release()
		first.wantLease(t).Release()
		third.wantLease(t).Release()
	})

	// A caller that got a dead connection keeps its place.
	bubble(t, "when the first gets a dead connection", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1})
		l := acquire(t, p)
		first, second := start(t.Context(), p), start(t.Context(), p)
		gate := make(chan struct{})
		f.Always(drivertest.Connect, drivertest.HangUntil(gate))
		l.Conn().Kill()
		l.Release()
		first.wantWaiting(t)
		gate <- struct{}{}
		l = first.wantLease(t)
		second.wantWaiting(t)
		l.Release()
		second.wantLease(t).Release()
	})
}

func TestRule4_NoWaiterSleepsWhileItCouldBeServed(t *testing.T) {
	type free = func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn], l pool.Lease[*conn])
	script := func(op drivertest.Op, step drivertest.Step, end func(pool.Lease[*conn])) free {
		return func(_ *testing.T, f *drivertest.Fake, _ *pool.Pool[*conn], l pool.Lease[*conn]) {
			f.Next(op, 1, step)
			end(l)
		}
	}
	for name, free := range map[string]free{
		"Release":               script(drivertest.IsValid, nil, ends["Release"]),
		"Discard":               script(drivertest.IsValid, nil, ends["Discard"]),
		"Hijack":                script(drivertest.IsValid, nil, ends["Hijack"]),
		"Release if invalid":    script(drivertest.IsValid, drivertest.Fail(errScripted), ends["Release"]),
		"Release that panics":   script(drivertest.IsValid, drivertest.Panic("scripted panic"), func(l pool.Lease[*conn]) { apart(l.Release) }),
		"Release if dead":       script(drivertest.IsValid, nil, func(l pool.Lease[*conn]) { l.Conn().Kill(); l.Release() }),
		"Close that takes long": script(drivertest.Close, stall(time.Second), func(l pool.Lease[*conn]) { l.Discard(nil); advance(time.Second) }),
		"Resize": func(t *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn], l pool.Lease[*conn]) {
			require.NoError(t, p.Resize(2))
			defer l.Release()
			synctest.Wait()
		},
		"Reset and Release": func(_ *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn], l pool.Lease[*conn]) {
			p.Reset()
			l.Release()
		},
		"Resize to nothing and back": func(t *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn], l pool.Lease[*conn]) {
			require.NoError(t, p.Resize(0))
			l.Release()
			synctest.Wait()
			require.NoError(t, p.Resize(1))
		},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 1})
			l := acquire(t, p)
			c := start(t.Context(), p)
			c.wantWaiting(t)
			free(t, f, p, l)
			c.wantLease(t).Release()
		})
	}

	bubble(t, "the slot of a failed caller", func(t *testing.T) {
		var fail error
		_, p := openFake(t, pool.Config{MaxOpen: 1, OnAcquire: func(context.Context, driver.Conn, pool.Info) error {
			err := fail
			fail = nil
			return err
		}})
		l := acquire(t, p)
		first, second := start(t.Context(), p), start(t.Context(), p)
		fail = errScripted
		l.Release()
		first.wantError(t, errScripted)
		second.wantLease(t).Release()
	})

	for name, tt := range map[string]struct {
		idle int
		op   drivertest.Op
	}{"a connect for a caller that left": {0, drivertest.Connect}, "a check for a caller that left": {1, drivertest.Ping}} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 1})
			fill(t, p, tt.idle)
			advance(10 * time.Second)
			f.Always(tt.op, drivertest.Delay(500*time.Millisecond))
			ctx, cancel := context.WithCancel(t.Context())
			gone, c := start(ctx, p), start(t.Context(), p)
			cancel()
			gone.wantError(t, context.Canceled)
			advance(500 * time.Millisecond)
			c.wantLease(t).Release()
			assert.Equal(t, [2]int{1, tt.idle}, [2]int{f.Counts().Connects, f.Counts().Pings})
		})
	}
}

// Here, only the last Release can wake the last waiter. A caller that finds no idle
// connection and joins the queue must not miss a Release in between.
func TestRule4_NoWakeUpIsLost(t *testing.T) {
	for name, cfg := range map[string]pool.Config{
		"one connection":  {MaxOpen: 1},
		"two connections": {MaxOpen: 2},
		"slow release":    {MaxOpen: 1, MaxUses: 1 << 30},
	} {
		for kind, wrap := range map[string]func(*conn) driver.Conn{"full": nil, "bare": drivertest.Bare} {
			t.Run(name+", "+kind, func(t *testing.T) {
				watchdog(t)
				f := drivertest.NewFake(t)
				f.Wrap = wrap
				cfg.AcquireTimeout, cfg.ValidateAfter = -1, -1
				p := open[driver.Conn](t, f, cfg)
				var callers sync.WaitGroup
				for range 8 {
					callers.Go(func() {
						for i := range 1000 {
							l, err := p.Acquire(context.Background())
							if !assert.NoError(t, err) {
								return
							}
							if i%8 == 0 {
								runtime.Gosched() // so that others arrive during the lease
							}
							l.Release()
						}
					})
				}
				callers.Wait()
				assert.Equal(t, int64(8000), p.Stats().Acquires)
				assert.NotZero(t, p.Stats().Waits)
			})
		}
	}
}

func TestRule4_NoWaiterOutlivesAFailedConnect(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  pool.Config
		step drivertest.Step
		wrap func(*conn) driver.Conn
	}{
		"refused":          {step: drivertest.Fail(errScripted)},
		"panic":            {step: drivertest.Panic("scripted panic")},
		"Goexit":           {step: drivertest.Goexit},
		"black hole":       {step: drivertest.Hang},
		"context ignored":  {step: stall(time.Minute)},
		"OnConnect":        {cfg: pool.Config{OnConnect: func(context.Context, driver.Conn) error { return errScripted }}},
		"OnConnect panics": {cfg: pool.Config{OnConnect: func(context.Context, driver.Conn) error { panic("scripted panic") }}},
		"OnConnect exits":  {cfg: pool.Config{OnConnect: func(context.Context, driver.Conn) error { runtime.Goexit(); return nil }}},
		"wrong type":       {wrap: drivertest.Bare},
		"nothing returned": {wrap: func(*conn) driver.Conn { return nil }},
	} {
		bubble(t, name, func(t *testing.T) {
			f := drivertest.NewFake(t)
			f.Wrap = tt.wrap
			f.Always(drivertest.Connect, tt.step)
			tt.cfg.MaxOpen, tt.cfg.ConnectTimeout = 4, time.Second
			p := open[*conn](t, f, tt.cfg)
			callers := startN(t.Context(), p, 3)
			advance(1100 * time.Millisecond)
			for _, c := range callers {
				require.True(t, c.returned(), "a waiter was forgotten")
				var e *pool.AcquireError
				require.ErrorAs(t, c.err, &e)
				assert.Equal(t, e.Cause, e.Connect)
				assert.Regexp(t, `: (connect failed|wrong type of connection) after`, c.err.Error())
			}
			f.Always(drivertest.Connect, nil)
			advance(time.Minute)
		})
	}

	bubble(t, "nor a second failed Connect", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, Backoff: pool.Backoff{Jitter: -1}})
		began := time.Now()
		f.Always(drivertest.Connect, func(context.Context, *conn) error {
			<-time.After(50 * time.Millisecond)
			return errScripted
		})
		first := startN(t.Context(), p, 2) // each has its own attempt
		advance(10 * time.Millisecond)
		later := startN(t.Context(), p, 3) // they join after the attempts have begun
		advance(40 * time.Millisecond)
		first.wantError(t, errScripted)
		later.wantWaiting(t) // for the next attempt, 100 ms after the failure
		advance(150 * time.Millisecond)
		for _, c := range later {
			e := c.wantError(t, errScripted)
			assert.Equal(t, 190*time.Millisecond, e.Waited)
		}
		assert.Equal(t, 200*time.Millisecond, time.Since(began))
		assert.Equal(t, 3, f.Counts().Connects)
	})
}

func TestRule4_AWaiterThatHasLeftGetsNothing(t *testing.T) {
	bubble(t, "before it is served", func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1})
		l := acquire(t, p)
		ctx, cancel := context.WithCancel(t.Context())
		callers := startN(ctx, p, 100)
		cancel()
		callers.wantError(t, context.Canceled)
		l.Release()
		assert.Equal(t, 1, p.Stats().Idle)
		assert.Equal(t, int64(1), p.Stats().Acquires)
		start(t.Context(), p).wantLease(t).Release()
	})

	// The end of ctx and the lease come together. The pool may decide either way, but
	// the connection must not get lost, and the next waiter must not get the result
	// meant for this one.
	t.Run("while it is served", func(t *testing.T) {
		watchdog(t)
		_, p := openFake(t, pool.Config{MaxOpen: 1, ValidateAfter: -1})
		var served int64
		for i := range 2000 {
			l := acquire(t, p)
			ctx, cancel := context.WithCancel(context.Background())
			result := make(chan error)
			go func() {
				l, err := p.Acquire(ctx)
				if err == nil {
					assert.NoError(t, l.Conn().Use())
					l.Release()
				}
				result <- err
			}()
			for p.Stats().Waiting == 0 {
				runtime.Gosched()
			}
			if i%2 == 0 {
				cancel()
				l.Release()
			} else {
				go cancel()
				l.Release()
			}
			if err := <-result; err == nil {
				served++
			} else {
				require.ErrorIs(t, err, context.Canceled)
			}
		}
		assert.Equal(t, 2000+served, p.Stats().Acquires, "leases that reached nobody do not count")
	})

	bubble(t, "nor does the next waiter get its result", func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1, AcquireTimeout: time.Second})
		for range 100 {
			l := acquire(t, p)
			late := start(t.Context(), p)
			advance(time.Second)
			late.wantError(t, pool.ErrTimeout)
			next := start(t.Context(), p)
			l.Release()
			next.wantLease(t).Release()
		}
	})
}
