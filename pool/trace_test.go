package pool_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// span returns the context of a span within the span of ctx.
func span(ctx context.Context, name string) context.Context {
	return as(ctx, path(ctx)+"/"+name)
}

// path returns the span of ctx and the spans around it.
func path(ctx context.Context) string {
	name, _ := ctx.Value(traceKey{}).(string)
	return name
}

// trace returns a Trace that records every call in d, with the spans around it.
func (d *diary) trace() pool.Trace {
	return pool.Trace{
		Wait: func(ctx context.Context, w pool.WaitStart) (context.Context, func(pool.WaitEnd)) {
			ctx = span(ctx, "wait")
			d.add("%s: %d in the queue", path(ctx), w.Waiting)
			return ctx, func(e pool.WaitEnd) { d.add("%s: %v, %v", path(ctx), e.Took, e.Err) }
		},
		Connect: func(ctx context.Context, _ pool.ConnectStart) (context.Context, func(pool.ConnectEnd)) {
			ctx = span(ctx, "connect")
			d.add("%s", path(ctx))
			return ctx, func(e pool.ConnectEnd) { d.add("%s: %v, %v", path(ctx), e.Took, e.Err) }
		},
		Ping: func(ctx context.Context, _ pool.PingStart) (context.Context, func(pool.PingEnd)) {
			d.add("ping")
			return span(ctx, "ping"), func(e pool.PingEnd) { d.add("ping: %v, %v", e.Took, e.Err) }
		},
		Close: func(c pool.CloseInfo) {
			d.add("close: %s, %v; age %v, %d uses, took %v", c.Cause, c.Reason, c.Age.Round(time.Second), c.Uses, c.Took)
		},
		Use: func(u pool.UseInfo) { d.add("use: %v", u.Took) },
	}
}

// The test follows a connection: each span lies within the one that caused it.
func TestTraceFollowsAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		trace := d.trace()
		trace.Use = nil // would be called while the next holder runs
		f := drivertest.NewFake(t)
		for _, op := range []drivertest.Op{drivertest.Connect, drivertest.ResetSession, drivertest.Close} {
			f.Always(op, func(ctx context.Context, _ *conn) error { d.add("%v in %q", op, path(ctx)); return nil })
		}
		p := open[*conn](t, f, pool.Config{
			MaxOpen: 1, Trace: trace,
			OnConnect: func(ctx context.Context, _ driver.Conn) error { d.add("OnConnect in %q", path(ctx)); return nil },
			OnAcquire: func(ctx context.Context, _ driver.Conn, _ pool.Info) error {
				d.add("OnAcquire in %q", path(ctx))
				return nil
			},
		})
		f.Next(drivertest.Connect, 1, drivertest.Delay(time.Second))
		l, err := p.Acquire(as(t.Context(), "caller"))
		require.NoError(t, err)
		assert.Equal(t, []string{
			"caller/wait: 1 in the queue",
			"caller/wait/connect",
			`OnConnect in "caller/wait/connect"`,
			"caller/wait/connect: 1s, <nil>",
			"caller/wait: 1s, <nil>",
			`OnAcquire in "caller/wait"`,
		}, d.take(), "a cold pool")

		first, second := start(as(t.Context(), "a"), p), start(as(t.Context(), "b"), p)
		<-time.After(3 * time.Second)
		l.Release()
		first.wantLease(t).Release()
		second.wantLease(t).Release()
		assert.Equal(t, []string{
			"a/wait: 1 in the queue", "b/wait: 2 in the queue",
			"a/wait: 3s, <nil>", `ResetSession in "a/wait"`, `OnAcquire in "a/wait"`,
			"b/wait: 3s, <nil>", `ResetSession in "b/wait"`, `OnAcquire in "b/wait"`,
		}, d.take(), "a full pool")

		l, err = p.Acquire(as(t.Context(), "warm"))
		require.NoError(t, err)
		l.Release()
		assert.Equal(t, []string{`ResetSession in "warm"`, `OnAcquire in "warm"`}, d.take(), "a warm pool: no wait")

		advance(10 * time.Second)
		f.Next(drivertest.Ping, 1, drivertest.Fail(errScripted))
		f.Next(drivertest.Close, 1, stall(2*time.Second))
		l, err = p.Acquire(as(t.Context(), "caller"))
		require.NoError(t, err)
		l.Discard(errScripted)
		assert.Equal(t, []string{
			"caller/wait: 1 in the queue", "ping", "ping: 0s, scripted error",
			"close: bad, pool: check failed: scripted error; age 13s, 4 uses, took 2s",
			"caller/wait/connect", `Connect in "caller/wait/connect"`, `OnConnect in "caller/wait/connect"`, "caller/wait/connect: 0s, <nil>",
			"caller/wait: 2s, <nil>", `OnAcquire in "caller/wait"`,
			`Close in ""`, "close: bad, scripted error; age 0s, 1 uses, took 0s",
		}, d.take(), "a dead connection")
	})
}

// If an operation fails, its span ends with the error that the caller gets.
func TestTraceHasTheErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		var last error
		trace := d.trace()
		wait := trace.Wait
		trace.Wait = func(ctx context.Context, w pool.WaitStart) (context.Context, func(pool.WaitEnd)) {
			ctx, end := wait(ctx, w)
			return ctx, func(e pool.WaitEnd) { last = e.Err; end(e) }
		}
		f, p := openFake(t, pool.Config{MaxOpen: 1, MaxWaiters: 1, AcquireTimeout: 5 * time.Second, ConnectTimeout: time.Second, Trace: trace})
		f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
		start(t.Context(), p).wantError(t, errScripted)
		assert.ErrorIs(t, last, errScripted)
		assert.Equal(t, []string{"/wait: 1 in the queue", "/wait/connect", "/wait/connect: 0s, drivertest: connect: scripted error", "/wait: 0s, drivertest: connect: scripted error"}, d.take())

		advance(time.Second)
		f.Next(drivertest.Connect, 1, drivertest.Goexit)
		start(t.Context(), p).wantError(t, nil)
		assert.Contains(t, d.take()[2], "/wait/connect: 0s, pool: the driver or a hook panicked or called runtime.Goexit")
		advance(time.Second)
		f.Next(drivertest.Connect, 1, drivertest.Panic("scripted panic"))
		start(t.Context(), p).wantError(t, nil)
		assert.Equal(t, "/wait/connect: 0s, pool: panic: scripted panic", d.take()[2])

		advance(time.Second)
		l := acquire(t, p)
		d.take()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		waiting := start(ctx, p)
		start(t.Context(), p).wantError(t, pool.ErrTooManyWaiters)
		advance(time.Second)
		waiting.wantError(t, context.DeadlineExceeded)
		timed := start(t.Context(), p)
		advance(10 * time.Second)
		timed.wantError(t, pool.ErrTimeout)
		assert.Equal(t, []string{
			"/wait: 1 in the queue", "/wait: 2 in the queue", "/wait: 0s, pool: too many waiters", "/wait: 1s, context deadline exceeded",
			"/wait: 1 in the queue", "/wait: 5s, pool: AcquireTimeout passed",
		}, d.take())
		because, leave := context.WithCancelCause(t.Context())
		waiting = start(because, p)
		leave(errScripted)
		assert.Equal(t, waiting.wantError(t, context.Canceled).Cause, last)
		assert.ErrorIs(t, last, errScripted, "the cause of the context")
		l.Release()
		assert.NoError(t, p.Close())
		_, err := p.Acquire(t.Context())
		assert.ErrorIs(t, err, pool.ErrClosed)
		got := d.take()
		assert.Equal(t, []string{"/wait: 1 in the queue", "/wait: 0s, pool: closed"}, got[len(got)-2:])
	})
}

// A connection that OnConnect rejects is closed with no uses, although its slot had
// another connection before.
func TestTraceCloseOfARefusedConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		var refusal error
		_, p := openFake(t, pool.Config{
			MaxOpen: 1, Trace: pool.Trace{Close: d.trace().Close},
			OnConnect: func(context.Context, driver.Conn) error { return refusal },
		})
		l := acquire(t, p)
		refusal = errScripted
		advance(time.Minute)
		l.Discard(nil)
		start(t.Context(), p).wantError(t, errScripted)
		assert.Equal(t, []string{
			"close: bad, pool: discarded by its holder; age 1m0s, 1 uses, took 0s",
			"close: bad, scripted error; age 0s, 0 uses, took 0s",
		}, d.take())
		assert.Len(t, p.Snapshot().Errors, 2, "the failed Connect is one error, not two")
	})
}

// Each reason for a close has the name of its counter.
func TestTraceCloseNamesTheCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards causes, because connections are closed at the same time
		causes := map[string]int{}
		trace := pool.Trace{Close: func(c pool.CloseInfo) {
			mu.Lock()
			defer mu.Unlock()
			causes[c.Cause]++
		}}
		_, p := openFake(t, pool.Config{MaxOpen: 3, MaxIdle: 1, MaxIdleTime: 10 * time.Second, MaxUses: 5, MaxLifetime: time.Hour, Trace: trace})
		fill := func(n int) { releaseAll(acquireN(t, p, n)); synctest.Wait() }
		fill(2) // one more than MaxIdle
		advance(11 * time.Second)
		acquire(t, p).Discard(nil)
		for range 5 {
			acquire(t, p).Release()
		}
		advance(0)
		l := acquire(t, p)
		advance(2 * time.Hour)
		l.Release()
		fill(1)
		p.Reset()
		advance(0)
		l = acquire(t, p)
		l.Conn().Kill()
		require.Error(t, l.Conn().Use())
		l.Release()
		fill(1)
		require.NoError(t, p.Close())
		closed := reflect.ValueOf(p.Stats().Closed)
		for i := range closed.NumField() {
			name := closed.Type().Field(i).Name
			assert.Equal(t, int(closed.Field(i).Int()), causes[strings.ToLower(name)], name)
		}
		assert.Len(t, causes, 7, "all causes except yielded")
	})
}

// UseEvery measures one lease in this many, and the others stay on the fast path.
func TestTraceUseIsSampled(t *testing.T) {
	var measured int
	p, err := pool.New[*plainConn](plainConnector{}, pool.Config{MaxOpen: 1, Trace: pool.Trace{Use: func(pool.UseInfo) { measured++ }, UseEvery: 10}})
	require.NoError(t, err)
	defer p.Close()
	for range 10000 {
		acquire(t, p).Release()
	}
	assert.InDelta(t, 1000, measured, 300)
}

// A lease is measured once, however it ends.
func TestTraceUseSeesEveryEnd(t *testing.T) {
	for name, end := range map[string]func(pool.Lease[*conn]){
		"Release": pool.Lease[*conn].Release,
		"Discard": func(l pool.Lease[*conn]) { l.Discard(nil) },
		"Hijack":  func(l pool.Lease[*conn]) { _ = hijack(l).Close() },
		"End":     func(l pool.Lease[*conn]) { l.End(errUnknown) },
	} {
		bubble(t, name, func(t *testing.T) {
			var d diary
			_, p := openFake(t, pool.Config{MaxOpen: 2, Trace: pool.Trace{Use: d.trace().Use}})
			fill(t, p, 2)
			d.take()
			l, err := p.TryAcquire()
			require.NoError(t, err)
			<-time.After(time.Minute)
			end(l)
			l.Release()
			l.Discard(nil)
			assert.Equal(t, []string{"use: 1m0s"}, d.take())
		})
	}
}

// If a function of a Trace panics or exits, as with a hook, no slot is lost and the pool
// keeps working.
func TestTraceMayPanicOrExit(t *testing.T) {
	none := func(f *drivertest.Fake, p *pool.Pool[*conn]) {}
	for name, tt := range map[string]struct {
		trace func(bad func()) pool.Trace
		then  func(f *drivertest.Fake, p *pool.Pool[*conn])
	}{
		"Wait": {func(bad func()) pool.Trace {
			return pool.Trace{Wait: func(context.Context, pool.WaitStart) (context.Context, func(pool.WaitEnd)) { bad(); return nil, nil }}
		}, none},
		"end of Wait": {func(bad func()) pool.Trace {
			return pool.Trace{Wait: func(context.Context, pool.WaitStart) (context.Context, func(pool.WaitEnd)) {
				return nil, func(pool.WaitEnd) { bad() }
			}}
		}, none},
		"Connect": {func(bad func()) pool.Trace {
			return pool.Trace{Connect: func(context.Context, pool.ConnectStart) (context.Context, func(pool.ConnectEnd)) {
				bad()
				return nil, nil
			}}
		}, none},
		"end of Connect": {func(bad func()) pool.Trace {
			return pool.Trace{Connect: func(context.Context, pool.ConnectStart) (context.Context, func(pool.ConnectEnd)) {
				return nil, func(pool.ConnectEnd) { bad() }
			}}
		}, none},
		"Ping": {func(bad func()) pool.Trace {
			return pool.Trace{Ping: func(context.Context, pool.PingStart) (context.Context, func(pool.PingEnd)) { bad(); return nil, nil }}
		}, none},
		"end of Ping": {func(bad func()) pool.Trace {
			return pool.Trace{Ping: func(context.Context, pool.PingStart) (context.Context, func(pool.PingEnd)) {
				return nil, func(pool.PingEnd) { bad() }
			}}
		}, none},
		"Close": {func(bad func()) pool.Trace { return pool.Trace{Close: func(pool.CloseInfo) { bad() }} }, none},
		"Use":   {func(bad func()) pool.Trace { return pool.Trace{Use: func(pool.UseInfo) { bad() }} }, none},
		"Leak":  {func(bad func()) pool.Trace { return pool.Trace{Leak: func(pool.LeakInfo) { bad() }} }, none},
	} {
		for way, bad := range map[string]func(){"panic": func() { panic("scripted panic") }, "exit": runtime.Goexit} {
			bubble(t, name+", "+way, func(t *testing.T) {
				broken, calls := true, atomic.Int32{}
				f, p := openFake(t, pool.Config{MaxOpen: 2, LeakAfter: 20 * time.Second, Backoff: pool.Backoff{Initial: time.Millisecond}, Trace: tt.trace(func() {
					calls.Add(1)
					if broken {
						bad()
					}
				})})
				for range 3 {
					apart(func() {
						if l, err := p.Acquire(t.Context()); err == nil {
							advance(30 * time.Second)
							l.Release()
						}
					})
					advance(10 * time.Second)
				}
				apart(func() {
					if l, err := p.Acquire(t.Context()); err == nil {
						l.Discard(nil)
					}
				})
				synctest.Wait()
				broken = false
				assert.Positive(t, calls.Load())
				assert.GreaterOrEqual(t, p.Stats().Acquires, int64(0))
				advance(10 * time.Second)
				wantAllSlots(t, f, p, 2)
				require.NoError(t, p.Close())
			})
		}
	}
}

// A Trace may return nil for the context and for the end function.
func TestTraceNeedNotReturnAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1, Trace: pool.Trace{
			Wait:    func(context.Context, pool.WaitStart) (context.Context, func(pool.WaitEnd)) { return nil, nil },
			Connect: func(context.Context, pool.ConnectStart) (context.Context, func(pool.ConnectEnd)) { return nil, nil },
			Ping:    func(context.Context, pool.PingStart) (context.Context, func(pool.PingEnd)) { return nil, nil },
		}})
		for range 3 {
			acquire(t, p).Release()
			advance(10 * time.Second)
		}
	})
}

func ExampleTrace() {
	p, err := pool.New[*plainConn](plainConnector{}, pool.Config{MaxOpen: 1, Name: "depot", Trace: pool.Trace{
		Wait: func(ctx context.Context, w pool.WaitStart) (context.Context, func(pool.WaitEnd)) {
			return ctx, func(e pool.WaitEnd) {
				if errors.Is(e.Err, pool.ErrTooManyWaiters) {
					fmt.Println(w.Pool, "turns callers away")
				}
			}
		},
	}, MaxWaiters: -1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	l, err := p.Acquire(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Release()
	_, err = p.Acquire(context.Background())
	fmt.Println(err != nil)
	// Output:
	// depot turns callers away
	// true
}
