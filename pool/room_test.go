package pool_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// MaxWaiters counts the callers who wait for a release. A caller does not count
// if MaxOpen has room for its connection, even if MaxConnecting makes it wait.
func TestMaxWaitersRejectsNobodyForWhomThereIsRoom(t *testing.T) {
	for name, tt := range map[string]struct {
		maxWaiters   int
		leased, idle int // the idle ones want a check first
		connecting   int // MaxConnecting
		outage       bool
	}{
		"empty pool":          {maxWaiters: 5},
		"twenty in use":       {maxWaiters: 5, leased: 20},
		"all in use":          {maxWaiters: 5, leased: 50},
		"some to be checked":  {maxWaiters: 5, leased: 20, idle: 20},
		"all to be checked":   {maxWaiters: 5, idle: 50},
		"one at a time":       {maxWaiters: 5, connecting: 1},
		"outage":              {maxWaiters: 5, outage: true},
		"none, empty pool":    {maxWaiters: -1},
		"none, all in use":    {maxWaiters: -1, leased: 50},
		"none, to be checked": {maxWaiters: -1, leased: 20, idle: 20},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{
				MaxOpen: 50, MaxWaiters: tt.maxWaiters, MaxConnecting: tt.connecting,
				MaxIdleTime: -1, AcquireTimeout: time.Hour, Backoff: pool.Backoff{Initial: 5 * time.Second},
			})
			leases := acquireN(t, p, tt.leased+tt.idle)
			releaseAll(leases[tt.leased:])
			advance(10 * time.Second)
			if tt.outage { // the callers wait for the backoff
				f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
				start(t.Context(), p).wantError(t, errScripted)
			}
			f.Always(drivertest.Connect, drivertest.Delay(time.Second))
			f.Always(drivertest.Ping, drivertest.Delay(time.Second/2))

			room := startN(t.Context(), p, 50-tt.leased)
			wait := startN(t.Context(), p, max(tt.maxWaiters, 0))
			began := time.Now()
			for range 3 {
				start(t.Context(), p).wantError(t, pool.ErrTooManyWaiters)
			}
			assert.Zero(t, time.Since(began))
			assert.Equal(t, int64(3), p.Stats().Rejected)
			for _, c := range room {
				<-c.done
				c.wantLease(t)
			}
			for _, c := range wait {
				c.wantWaiting(t)
			}
			releaseAll(leases[:tt.leased])
			for _, c := range append(room, wait...) {
				c.wantLease(t).Release()
			}
			assert.Equal(t, 50, f.Counts().Peak)
		})
	}
}

// A caller that got a dead connection is not rejected while that connection is
// being closed.
func TestNoWaitersStillReplacesADeadConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1, MaxWaiters: -1})
		fill(t, p, 1)
		f.KillAll()
		f.Always(drivertest.Close, stall(time.Second))
		began := time.Now()
		acquire(t, p).Release()
		assert.Equal(t, time.Second, time.Since(began))
	})
}

func TestNegativeMaxIdleKeepsNoneIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, MaxIdle: -1})
		leases := acquireN(t, p, 2)
		waiting := startN(t.Context(), p, 2)
		releaseAll(leases)
		for _, c := range waiting {
			assert.LessOrEqual(t, c.wantLease(t).Conn().ID, 2, "a release still serves a waiter")
		}
		for i, c := range waiting {
			c.lease.Release()
			synctest.Wait()
			assert.Equal(t, 1-i, p.Stats().Open)
			assert.Zero(t, p.Stats().Idle)
		}
		assert.Equal(t, pool.Closes{Idle: 2}, p.Stats().Closed)

		f.Next(drivertest.Connect, 1, drivertest.Delay(time.Second))
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		start(ctx, p)
		advance(2 * time.Second)
		assert.Zero(t, p.Stats().Open, "nor is a new one kept whose caller has left")
		assert.Equal(t, pool.Closes{Idle: 3}, p.Stats().Closed)
	})
}

func TestNegativeMaxIdleIsAtOddsWithMinIdle(t *testing.T) {
	_, err := pool.New[*conn](drivertest.NewFake(t), pool.Config{MinIdle: 1, MaxIdle: -1})
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "\n", "one error")
	for _, part := range []string{"pool: ", "MinIdle", "MaxIdle"} {
		assert.Contains(t, err.Error(), part)
	}
}

func TestNegativeLimitsMayBeSetByTheDSN(t *testing.T) {
	f := drivertest.NewFake(t)
	drivertest.Register(t, "roomtest", f)
	p, err := pool.Open[*conn]("roomtest", "fake://db.example?pool_max_open=1&pool_max_waiters=-1&pool_max_idle=-1", pool.Config{})
	require.NoError(t, err)
	defer p.Close()
	l := acquire(t, p)
	_, err = p.Acquire(t.Context())
	wantAcquireError(t, err, pool.ErrTooManyWaiters)
	l.Release()
	assert.Zero(t, p.Stats().Idle)
}

// MaxOpen without limit: nobody waits for others, and nothing overflows.
func TestLargestMaxOpenIsNoLimit(t *testing.T) {
	for name, cfg := range map[string]pool.Config{
		"none may wait": {MaxWaiters: -1, MaxLifetime: time.Second},
		"one may wait":  {MaxWaiters: 1, MinIdle: 3},
		"all may wait":  {MaxWaiters: math.MaxInt, MaxConnecting: math.MaxInt, MaxIdle: math.MaxInt},
	} {
		bubble(t, name, func(t *testing.T) {
			cfg.MaxOpen = math.MaxInt
			f, p := openFake(t, cfg)
			f.Always(drivertest.Connect, drivertest.Delay(10*time.Millisecond))
			callers := startN(t.Context(), p, 100)
			advance(10 * time.Second)
			for _, c := range callers {
				c.wantLease(t).Release()
			}
			advance(10 * time.Second)
			assert.Equal(t, math.MaxInt, p.Stats().MaxOpen)
		})
	}
}

// A caller that polls must see when polling is of no use.
func TestTryAcquireSaysWhyNot(t *testing.T) {
	type fakePool = pool.Pool[*conn]
	for name, tt := range map[string]struct {
		idle, leased, waiting int
		rest                  time.Duration // of the idle ones
		reset, hook           error         // of ResetSession, of OnAcquire
		end                   func(p *fakePool) error
		want                  error // nil: a lease
	}{
		"idle":                {idle: 1},
		"empty":               {want: pool.ErrNoneIdle},
		"in use":              {leased: 2, want: pool.ErrNoneIdle},
		"others wait":         {leased: 2, waiting: 1, want: pool.ErrNoneIdle},
		"to be checked":       {idle: 2, rest: 10 * time.Second, want: pool.ErrNoneIdle},
		"dead":                {idle: 2, reset: driver.ErrBadConn, want: pool.ErrNoneIdle},
		"no reset":            {idle: 2, reset: errScripted, want: pool.ErrNoneIdle},
		"found bad by a hook": {idle: 2, hook: driver.ErrBadConn, want: pool.ErrNoneIdle},
		"refused by a hook":   {idle: 2, hook: errScripted, want: errScripted},
		"suspended":           {end: func(p *fakePool) error { return p.Resize(0) }, want: pool.ErrSuspended},
		"closed":              {idle: 1, end: (*fakePool).Close, want: pool.ErrClosed},
	} {
		bubble(t, name, func(t *testing.T) {
			var hook error
			f, p := openFake(t, pool.Config{MaxOpen: 2, OnAcquire: func(context.Context, driver.Conn, pool.Info) error { return hook }})
			fill(t, p, tt.idle)
			advance(tt.rest)
			acquireN(t, p, tt.leased)
			startN(t.Context(), p, tt.waiting)
			hook = tt.hook
			f.Always(drivertest.ResetSession, drivertest.Fail(tt.reset))
			f.Always(drivertest.Ping, drivertest.Delay(time.Millisecond))
			if tt.end != nil {
				require.NoError(t, tt.end(p))
			}
			l, err := p.TryAcquire()
			switch {
			case tt.want == nil:
				require.NoError(t, err)
				assert.NoError(t, l.Conn().Use())
			case tt.want == pool.ErrNoneIdle:
				assert.True(t, err == tt.want, "the bare ErrNoneIdle, not %v", err)
			default:
				wantAcquireError(t, err, tt.want)
				assert.NotErrorIs(t, err, pool.ErrNoneIdle)
				assert.Equal(t, tt.want == pool.ErrClosed, driver.IsPermanent(err))
			}
			l.Release() // does nothing to the zero lease
		})
	}
}

// A caller that polls would do so for ever.
func TestTryAcquireReportsAPermanentConnectError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2})
		l := acquire(t, p)
		f.Next(drivertest.Connect, 1, drivertest.Fail(driver.Permanent(errScripted)))
		for range 2 { // the first starts a Connect
			_, err := p.TryAcquire()
			assert.Equal(t, pool.ErrNoneIdle, err, "the lease may come back")
			synctest.Wait()
		}
		l.Discard(nil)
		synctest.Wait()
		_, err := p.TryAcquire()
		wantAcquireError(t, err, errScripted)
		assert.True(t, driver.IsPermanent(err))

		advance(time.Minute) // then a caller may try again
		_, err = p.TryAcquire()
		assert.Equal(t, pool.ErrNoneIdle, err)
		synctest.Wait()
		wantTry(t, p)
	})
}

// A caller that polls does so often.
func TestTryAcquireOfAPoolInUseAllocatesNothing(t *testing.T) {
	p := openPlain(t, 3)
	leases := acquireN(t, p, 3)
	allocs := testing.AllocsPerRun(1000, func() {
		if _, err := p.TryAcquire(); err != pool.ErrNoneIdle {
			t.Error(err)
		}
	})
	releaseAll(leases)
	assertNoAllocs(t, allocs)
}

// What TryAcquire starts must be of use to somebody.
func TestTryAcquireConnectsNothingThatWouldNotBeKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxIdle: -1})
		for range 100 {
			_, err := p.TryAcquire()
			assert.Equal(t, pool.ErrNoneIdle, err)
			advance(time.Millisecond)
		}
		assert.Zero(t, f.Counts().Connects)
	})
}

// The pool knows of the room only once a Connect has found it.
func TestMaxWaitersLetsACallerFindOutThatAFullServerHasRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFull(t, pool.Config{MaxWaiters: -1}, 0)
		leases := acquireN(t, p, 4)
		start(t.Context(), p)
		f.Room(-1, 0)
		advance(time.Hour)
		f.Always(drivertest.Connect, drivertest.Delay(time.Millisecond))
		c := start(t.Context(), p)
		advance(time.Second)
		leases = append(leases, c.wantLease(t))
		releaseAll(leases)
	})
}
