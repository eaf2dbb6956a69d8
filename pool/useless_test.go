package pool_test

import (
	"context"
	"fmt"
	"io"
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

// If a peer or a load balancer accepts connections and then closes them, they are
// useless. The backoff treats them as failed Connects.

// requester is a connection that can make a request.
type requester interface {
	driver.Conn
	Use() error
}

// dropper is a peer that closes each connection as soon as it is open, as long as drops
// is set.
type dropper struct{ drops atomic.Bool }

// openDropper returns a pool of connections to a dropper whose drops is set. A Connect
// takes a millisecond. wrap is for Fake.Wrap, or nil.
func openDropper[C any](t testing.TB, cfg pool.Config, wrap func(*conn) driver.Conn) (*dropper, *drivertest.Fake, *pool.Pool[C]) {
	t.Helper()
	d, f := dropBy(t, wrap)
	d.drops.Store(true)
	cfg.Backoff.Jitter = -1
	return d, f, open[C](t, f, cfg)
}

// dropBy returns a Fake whose peer is a dropper. Its drops is not set yet.
func dropBy(t testing.TB, wrap func(*conn) driver.Conn) (*dropper, *drivertest.Fake) {
	d, f := &dropper{}, drivertest.NewFake(t)
	f.Always(drivertest.Connect, drivertest.Delay(time.Millisecond))
	f.Wrap = func(c *conn) driver.Conn {
		if d.drops.Load() {
			c.Kill() // Connect still succeeds
		}
		if wrap != nil {
			return wrap(c)
		}
		return c
	}
	return d, f
}

// unmetered is a FakeConn that is not a driver.Receiver.
func unmetered(c *conn) driver.Conn {
	return struct {
		requester
		driver.Pinger
		driver.SessionResetter
		driver.Validator
	}{c, c, c, c}
}

// use makes a request, and discards the connection if the request fails.
func use[C requester](l pool.Lease[C]) {
	if err := l.Conn().Use(); err != nil {
		l.Discard(err)
		return
	}
	l.Release()
}

// useAndHide makes a request through a library that hides the error of its I/O.
func useAndHide(l pool.Lease[requester]) { l.End(hiding(context.Background(), l.Conn())) }

// useAndRelease makes a request and releases the connection, whatever the result.
func useAndRelease[C requester](l pool.Lease[C]) {
	l.Conn().Use()
	l.Release()
}

// wantBackoff fails t unless the Connects, starting at the index first, follow the
// default backoff without jitter. It returns their number.
func wantBackoff(t testing.TB, f *drivertest.Fake, first int) int {
	t.Helper()
	want := 100 * time.Millisecond
	got := gaps(f, first)
	for i, gap := range got {
		if !assert.GreaterOrEqual(t, gap+time.Millisecond, want, "gap %d", i+1) {
			break
		}
		want = min(want*16/10, 5*time.Second)
	}
	return len(got)
}

func TestUselessConnectionsFollowTheBackoff(t *testing.T) {
	const d = 10 * time.Second
	for name, tt := range map[string]struct {
		maxOpen int
		wrap    func(*conn) driver.Conn
		end     func(pool.Lease[requester])
	}{
		"discarded":                                   {10, nil, use[requester]},
		"one at a time":                               {1, nil, use[requester]},
		"a hundred":                                   {100, nil, use[requester]},
		"invalid at Release":                          {10, nil, useAndRelease[requester]},
		"bound":                                       {10, drivertest.Bound, use[requester]},
		"of a driver that does not count":             {10, unmetered, use[requester]},
		"of a driver with bare connections":           {10, drivertest.Bare, use[requester]},
		"discarded with a wrapped error":              {10, nil, func(l pool.Lease[requester]) { l.Discard(fmt.Errorf("fetch: %w", l.Conn().Use())) }},
		"hidden by the library, found by a ping":      {10, pinger, useAndHide},
		"hidden by the library, found by a quick one": {1, pinger, useAndHide},
		"discarded for what database/sql says":        {10, nil, func(l pool.Lease[requester]) { l.Discard(driver.ErrBadConn) }},
	} {
		bubble(t, name, func(t *testing.T) {
			_, f, p := openDropper[requester](t, pool.Config{MaxOpen: tt.maxOpen}, tt.wrap)
			toil(p, 20, d, time.Millisecond, tt.end)
			connects := f.Counts().Connects
			t.Logf("%d connects in %v", connects, d)
			assert.LessOrEqual(t, connects, 20*10, "at most 20 a second")
			assert.GreaterOrEqual(t, connects, backoffSteps(d)-1, "the pool must try again now and then")
			assert.InDelta(t, connects, p.Stats().Useless, float64(min(tt.maxOpen, 8)))
		})
	}

	for name, find := range map[string]func(ctx context.Context, p *pool.Pool[*conn]) error{
		"found by Ping": func(ctx context.Context, p *pool.Pool[*conn]) error { return p.Ping(ctx) },
		"found by Do": func(ctx context.Context, p *pool.Pool[*conn]) error {
			return p.Do(ctx, func(_ context.Context, c *conn) error { return c.Use() })
		},
	} {
		bubble(t, name, func(t *testing.T) {
			_, f, p := openDropper[*conn](t, pool.Config{}, nil)
			for began := time.Now(); time.Since(began) < d; {
				assert.Error(t, find(t.Context(), p))
			}
			assert.LessOrEqual(t, f.Counts().Connects, 3+backoffSteps(d))
		})
	}

	// The first may be chance. The second in a row counts as a failure.
	bubble(t, "from the second in a row on", func(t *testing.T) {
		d, f, p := openDropper[*conn](t, pool.Config{}, nil)
		for range 6 { // the pool finds the last ones by itself
			if l, err := p.Acquire(t.Context()); err == nil {
				use(l)
			}
		}
		ms := time.Millisecond
		assert.Equal(t, []time.Duration{ms, 101 * ms, 160 * ms, 256 * ms, 409600 * time.Microsecond}, gaps(f, 0))
		d.drops.Store(false)
		use(acquire(t, p))
		require.Equal(t, 1, p.Stats().Idle)
		assert.EqualValues(t, 6, p.Stats().Useless)
	})

	bubble(t, "for long", func(t *testing.T) {
		const burst = 20 // 10 at once, which may all be chance, and the 10 after them
		_, f, p := openDropper[*conn](t, pool.Config{MaxOpen: 10, MaxConnecting: 1}, nil)
		toil(p, 20, 10*time.Minute, 100*time.Millisecond, use[*conn])
		wantBackoff(t, f, burst)
		assert.InDelta(t, backoffSteps(10*time.Minute), f.Counts().Connects, burst+2)
	})

	for name, cfg := range map[string]pool.Config{
		"without traffic, found by keepalive": {MinIdle: 4, KeepAlive: 100 * time.Millisecond},
		"with a keepalive now and then":       {MinIdle: 4, KeepAlive: 10 * time.Second},
	} {
		bubble(t, name, func(t *testing.T) {
			d, f, p := openDropper[*conn](t, cfg, nil)
			advance(10 * time.Minute)
			assert.LessOrEqual(t, f.Counts().Connects, 2*4+backoffSteps(10*time.Minute))
			assert.GreaterOrEqual(t, f.Counts().Connects, 10*60/(5+10))
			assert.NotZero(t, p.Stats().Useless)
			d.drops.Store(false)
			advance(5*time.Second + 2*cfg.KeepAlive + time.Second) // enough for a Ping that fails and one that passes
			assert.Equal(t, 4, p.Stats().Idle)
			for range 4 {
				l := acquire(t, p)
				defer l.Release()
				assert.NoError(t, l.Conn().Use())
			}
		})
	}

	// Acquire discards the spares that are dead before their first use.
	bubble(t, "found by ResetSession", func(t *testing.T) {
		_, f, p := openDropper[*conn](t, pool.Config{MaxOpen: 10, MinIdle: 4}, nil)
		toil(p, 20, d, time.Millisecond, use[*conn])
		assert.LessOrEqual(t, f.Counts().Connects, 20*10)
		assert.NotZero(t, p.Stats().Useless)
	})

	// An old connection that works says nothing about new ones.
	bubble(t, "while the first lease of an old one ends", func(t *testing.T) {
		d, f := dropBy(t, nil)
		p := open[*conn](t, f, pool.Config{Backoff: pool.Backoff{Jitter: -1}})
		old := acquire(t, p)
		d.drops.Store(true)
		use(acquire(t, p))
		use(acquire(t, p))
		began := time.Now()
		use(old)
		old = acquire(t, p)
		start(t.Context(), p)
		advance(200 * time.Millisecond)
		assert.Equal(t, began.Add(100*time.Millisecond), f.ConnectTimes()[3], "after the backoff")
		old.Release()
	})

	bubble(t, "while old connections work", func(t *testing.T) {
		d, f := dropBy(t, nil)
		p := open[*conn](t, f, pool.Config{MaxOpen: 10, Backoff: pool.Backoff{Jitter: -1}})
		fill(t, p, 4)
		d.drops.Store(true)
		calls, errs := toil(p, 20, time.Minute, 10*time.Millisecond, use[*conn])
		wantNoErrors(t, calls, errs)
		assert.LessOrEqual(t, f.Counts().Connects, 4+2*6+backoffSteps(time.Minute))
		assert.Equal(t, 4, p.Stats().Open)
	})
}

func TestUsefulConnectionEndsTheBackoffOfUselessOnes(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg     pool.Config
		workers int
		proof   time.Duration // time until the first good connection has proved useful
	}{
		"a lease that ends well": {pool.Config{MaxOpen: 10}, 20, 10 * time.Millisecond},
		"a Ping":                 {pool.Config{MaxOpen: 10, MinIdle: 10, KeepAlive: time.Second}, 0, time.Second},
	} {
		bubble(t, name, func(t *testing.T) {
			d, f, p := openDropper[*conn](t, tt.cfg, nil)
			wait := toiling(t, p, tt.workers, time.Minute, 10*time.Millisecond, use[*conn])
			advance(40 * time.Second)
			d.drops.Store(false)
			before := f.Counts().Connects
			for began := time.Now(); f.Counts().Connects == before && time.Since(began) < 5*time.Second; {
				advance(time.Millisecond)
			}
			advance(tt.proof + 10*time.Millisecond)
			assert.Equal(t, 10, p.Stats().Open, "all at once")
			useless := p.Stats().Useless
			wait()
			assert.Equal(t, useless, p.Stats().Useless)
		})
	}
}

func TestUselessConnectionsAreReportedAsSuch(t *testing.T) {
	bubble(t, "by the error and the log", func(t *testing.T) {
		var log logLines
		_, _, p := openDropper[*conn](t, pool.Config{Name: "mail", MaxOpen: 1, Logger: log.logger(0)}, nil)
		callers := startN(t.Context(), p, 4)
		advance(time.Millisecond)
		use(callers[0].wantLease(t))
		advance(time.Millisecond)
		log.want(t)
		use(callers[1].wantLease(t))
		for _, c := range callers[2:] { // they joined before the second Connect began
			e := c.wantError(t, io.EOF)
			assert.ErrorContains(t, e.Connect, "first use")
			assert.True(t, driver.SafeToRetry(e))
			assert.False(t, driver.IsBad(e))
		}
		log.want(t, `"pool"="mail"|first use`)
		assert.EqualValues(t, 2, p.Stats().Useless)
		assert.Zero(t, p.Stats().Open)
	})

	for name, tt := range map[string]struct {
		cfg   pool.Config
		want  error
		after time.Duration
	}{
		"where FailFast ends the wait":  {pool.Config{FailFast: true}, io.EOF, 0},
		"where a timeout ends the wait": {pool.Config{AcquireTimeout: 50 * time.Millisecond}, pool.ErrTimeout, 50 * time.Millisecond},
	} {
		bubble(t, name, func(t *testing.T) {
			_, _, p := openDropper[*conn](t, tt.cfg, nil)
			use(acquire(t, p))
			use(acquire(t, p))
			_, err := p.Acquire(t.Context())
			e := wantAcquireError(t, err, tt.want)
			assert.Equal(t, tt.after, e.Waited)
			assert.ErrorContains(t, e.Connect, "first use")
			assert.ErrorContains(t, err, "first use")
		})
	}
}

// Connections that end after a successful first use are replaced as fast as callers
// need them.
func TestConnectionThatEndsAfterASuccessfulUseIsNotUseless(t *testing.T) {
	for name, tt := range map[string]struct {
		wrap func(*conn) driver.Conn
		end  func(pool.Lease[requester])
	}{
		"the peer answered": {nil, func(l pool.Lease[requester]) {
			l.Conn().Use()
			l.Conn().(*conn).Kill()
			l.Discard(l.Conn().Use())
		}},
		"the peer answered, and the driver says that it is over": {nil, func(l pool.Lease[requester]) {
			l.Conn().Use()
			l.Conn().(*conn).Kill()
			l.Conn().Use()
			l.Release()
		}},
		"the holder's time was over": {nil, func(l pool.Lease[requester]) { l.Discard(context.DeadlineExceeded) }},
		"the holder was called off":  {nil, func(l pool.Lease[requester]) { l.Discard(fmt.Errorf("fetch: %w", context.Canceled)) }},
		"the holder did not want it": {nil, func(l pool.Lease[requester]) { l.Discard(nil) }},
		"the request was wrong":      {nil, func(l pool.Lease[requester]) { l.Discard(errScripted) }},
		"nothing counts bytes":       {unmetered, func(l pool.Lease[requester]) { l.Release() }},
	} {
		bubble(t, name, func(t *testing.T) {
			_, f := dropBy(t, tt.wrap)
			p := open[requester](t, f, pool.Config{MaxOpen: 4})
			calls, errs := toil(p, 4, time.Second, time.Millisecond, tt.end)
			wantNoErrors(t, calls, errs)
			assert.GreaterOrEqual(t, calls, 4*1000/2-4, "no backoff")
			assert.Zero(t, p.Stats().Useless)
		})
	}

	bubble(t, "it died in its second lease", func(t *testing.T) {
		_, f := dropBy(t, drivertest.Bare)
		p := open[*drivertest.BareConn](t, f, pool.Config{MaxOpen: 1})
		began := time.Now()
		for range 10 {
			acquire(t, p).Release()
			f.KillAll()
			l := acquire(t, p)
			l.Discard(l.Conn().Use())
		}
		assert.LessOrEqual(t, time.Since(began), 10*time.Millisecond, "no backoff")
		assert.Zero(t, p.Stats().Useless)
	})

	bubble(t, "every second connection is not a row", func(t *testing.T) {
		d, f := dropBy(t, nil)
		p := open[*conn](t, f, pool.Config{MaxOpen: 1})
		began := time.Now()
		for i := range 100 {
			d.drops.Store(i%2 == 0)
			l := acquire(t, p)
			if l.Conn().Use() != nil {
				l.Discard(io.EOF)
				continue
			}
			l.Release()
			acquire(t, p).Discard(nil)
		}
		assert.LessOrEqual(t, time.Since(began), 200*time.Millisecond, "no backoff")
		assert.EqualValues(t, 50, p.Stats().Useless)
	})
}

// A firewall that drops connections after a long idle time is not a server that accepts
// connections and closes them.
func TestSparesThatDieOfAgeAreNotUseless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logLines
		f, p := openFake(t, pool.Config{MinIdle: 2, MaxLifetime: -1, Logger: log.logger(0)})
		for range 4 {
			advance(time.Minute + time.Second)
			f.KillAll()
			start(t.Context(), p).wantLease(t).Discard(nil)
		}
		log.want(t)
		assert.Zero(t, p.Stats().Useless)
	})
}

// A connection that was idle before its first lease is reset, even if it was pinged right
// after it was opened.
func TestConnectionPingedBeforeItIsLentIsResetLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, f, p := openDropper[*conn](t, pool.Config{ValidateAfter: -1}, nil)
		use(acquire(t, p))
		use(acquire(t, p))
		d.drops.Store(false)
		f.Always(drivertest.Ping, drivertest.Delay(100*time.Millisecond))
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		defer cancel()
		start(ctx, p)
		advance(time.Second) // the caller has left, and its connection is idle
		before := f.Counts().Resets
		acquire(t, p).Release()
		assert.Equal(t, 1, f.Counts().Resets-before)
	})
}
