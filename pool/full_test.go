package pool_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// A server that has no room for another connection is not broken: the pool uses the
// connections it has.

// openFull returns a pool of up to 10 connections to a server with room for 4,
// all of them idle. hint is how long the server wants the pool to wait.
func openFull(t testing.TB, cfg pool.Config, hint time.Duration) (*drivertest.Fake, *pool.Pool[*conn]) {
	t.Helper()
	cfg.MaxOpen, cfg.Backoff.Jitter = 10, -1
	f, p := openFake(t, cfg)
	f.Room(4, hint)
	fill(t, p, 4)
	require.Equal(t, 10, p.Stats().Limit)
	return f, p
}

func TestFullServerLeavesCallersToReleases(t *testing.T) {
	full := driver.Full(errScripted, 0)
	for name, tt := range map[string]struct {
		err       error
		onConnect error
	}{
		"from Connect":   {err: full},
		"with a hint":    {err: driver.Full(errScripted, time.Minute)},
		"wrapped":        {err: fmt.Errorf("login: %w", full)},
		"from OnConnect": {onConnect: full},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 10, OnConnect: func(_ context.Context, c driver.Conn) error {
				if c.(*conn).ID > 4 {
					return tt.onConnect
				}
				return nil
			}})
			leases := acquireN(t, p, 4)
			f.Always(drivertest.Connect, drivertest.Fail(tt.err))
			require.Equal(t, 10, p.Stats().Limit)

			callers := startN(t.Context(), p, 3)
			s := p.Stats()
			assert.Equal(t, []int{10, 4, 4, 4, 0, 3}, []int{s.MaxOpen, s.Limit, s.Open, s.Leased, s.Connecting, s.Waiting},
				"max, limit, open, leased, connecting, waiting")
			assert.Equal(t, 5, f.Counts().Connects, "one refusal is enough for all callers")

			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			_, err := p.Acquire(ctx)
			e := wantAcquireError(t, err, context.DeadlineExceeded)
			assert.True(t, driver.IsFull(err))
			assert.Equal(t, 4, e.Limit)

			for i, c := range callers {
				c.wantWaiting(t)
				leases[i].Release()
				leases[i] = c.wantLease(t)
			}
			releaseAll(leases)
			assert.Equal(t, 4, p.Stats().Idle)

			require.NoError(t, p.Resize(3))
			assert.Equal(t, 3, p.Stats().Limit, "at most MaxOpen")
		})
	}
}

func TestFullServerIsProbedOnceABackoffStep(t *testing.T) {
	for name, tt := range map[string]struct {
		hint time.Duration
		want []time.Duration // times between Connects
	}{
		"without a hint": {0, []time.Duration{
			100 * time.Millisecond, 160 * time.Millisecond, 256 * time.Millisecond, 409600 * time.Microsecond, 655360 * time.Microsecond,
			1048576 * time.Microsecond, 1677721600, 2684354560, 4294967296, 5 * time.Second, 5 * time.Second, 5 * time.Second,
		}},
		"with a short hint": {time.Second, slices.Repeat([]time.Duration{time.Second}, 12)},
		"with a hint":       {10 * time.Second, []time.Duration{10 * time.Second, 10 * time.Second, 10 * time.Second}},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFull(t, pool.Config{MaxConnecting: 1}, tt.hint)
			var length time.Duration
			for _, gap := range tt.want {
				length += gap
			}
			calls, errs := toil(p, 20, length+500*time.Millisecond, 10*time.Millisecond, release)
			wantNoErrors(t, calls, errs)
			assert.Equal(t, tt.want, gaps(f, 4))

			probes := f.Counts().Connects
			advance(time.Hour)
			assert.Equal(t, probes, f.Counts().Connects, "no caller wants a connection")
		})
	}

	bubble(t, "and not again before the answer", func(t *testing.T) {
		f, p := openFull(t, pool.Config{}, 0)
		wait := toiling(t, p, 20, 5*time.Second, 10*time.Millisecond, release)
		advance(50 * time.Millisecond)
		f.Always(drivertest.Connect, drivertest.Delay(2*time.Second))
		before := f.Counts().Connects
		advance(2 * time.Second)
		assert.Equal(t, 1, f.Counts().Connects-before)
		calls, errs := wait()
		wantNoErrors(t, calls, errs)
	})

	bubble(t, "for spares too", func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Room(4, 0)
		p := open[*conn](t, f, pool.Config{MaxOpen: 10, MinIdle: 3, Backoff: pool.Backoff{Jitter: -1}})
		require.NoError(t, p.Ready(t.Context()))
		leases := acquireN(t, p, 2)
		advance(time.Minute)
		stats := p.Stats()
		assert.Equal(t, [3]int{4, 2, 2}, [3]int{stats.Limit, stats.Leased, stats.Idle}, "limit, leased, idle")
		assert.InDelta(t, 4+backoffSteps(time.Minute), f.Counts().Connects, 3)
		acquire(t, p).Release()

		f.Room(10, 0)
		advance(5 * time.Second)
		stats = p.Stats()
		assert.Equal(t, [3]int{10, 2, 3}, [3]int{stats.Limit, stats.Leased, stats.Idle}, "limit, leased, idle")
		releaseAll(leases)
	})

	bubble(t, "and Ready says why it waits", func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Room(4, 0)
		p := open[*conn](t, f, pool.Config{MaxOpen: 10, MinIdle: 6})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := p.Ready(ctx)
		wantAcquireError(t, err, context.DeadlineExceeded)
		assert.True(t, driver.IsFull(err))
		assert.ErrorContains(t, err, "(max 10, limit 4, open 4, ")
	})
}

// The pool notices within a backoff step, which grows to 5 seconds.
func TestPoolGrowsWhenAFullServerHasRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logLines
		f, p := openFull(t, pool.Config{Logger: log.logger(0)}, 0)
		f.Always(drivertest.Connect, drivertest.Delay(time.Millisecond)) // so that the log is in order
		wait := toiling(t, p, 20, 3*time.Minute, 10*time.Millisecond, release)
		for _, tt := range []struct {
			room int
			log  []string
		}{
			{4, []string{`"limit"=4`}},
			{6, []string{`has room again|"limit"=10`, `"limit"=6`}},
			{10, []string{`has room again|"limit"=10`}},
		} {
			f.Room(tt.room, 0)
			advance(5 * time.Second)
			stats := p.Stats()
			assert.Equal(t, [2]int{tt.room, tt.room}, [2]int{stats.Limit, stats.Open}, "limit, open")
			log.want(t, tt.log...)
			advance(50 * time.Second)
		}
		calls, errs := wait()
		wantNoErrors(t, calls, errs)
		assert.Equal(t, 10, f.Counts().Peak)
	})
}

// A full server has room to replace a lost connection, unless another client was
// faster.
func TestLostConnectionToAFullServerIsReplacedAtOnce(t *testing.T) {
	for name, tt := range map[string]struct{ lost, left int }{
		"one of one":  {1, 4},
		"two of two":  {2, 4},
		"none of one": {1, 3},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFull(t, pool.Config{MaxConnecting: 1}, 0)
			wait := toiling(t, p, 6, 30*time.Second, 10*time.Millisecond, func(l pool.Lease[*conn]) {
				if err := l.Conn().Use(); err != nil {
					l.Discard(err)
					return
				}
				l.Release()
			})
			advance(17 * time.Second) // just after a probe; the next is 4 seconds away
			require.Equal(t, 4, p.Stats().Limit)
			before := f.Counts().Connects
			f.Room(tt.left, 0)
			f.Always(drivertest.Connect, drivertest.Delay(time.Millisecond))
			for _, c := range f.Conns()[:tt.lost] {
				c.Kill()
			}
			advance(100 * time.Millisecond)
			stats := p.Stats()
			assert.Equal(t, [2]int{tt.left, tt.left}, [2]int{stats.Limit, stats.Open}, "limit, open")
			assert.Equal(t, tt.lost, f.Counts().Connects-before)
			calls, errs := wait()
			wantNoErrors(t, calls, errs)
			assert.LessOrEqual(t, f.Counts().Connects-before, tt.lost+backoffSteps(13*time.Second))
		})
	}
}

func TestPoolWithoutAConnectionReportsThatTheServerIsFull(t *testing.T) {
	for name, cfg := range map[string]pool.Config{"by default": {}, "fail fast": {FailFast: true}, "with spares": {MinIdle: 2}} {
		bubble(t, name, func(t *testing.T) {
			cfg.MaxOpen, cfg.Backoff.Jitter = 10, -1
			f := drivertest.NewFake(t)
			f.Room(0, 0)
			p := open[*conn](t, f, cfg)
			_, err := p.Acquire(t.Context())
			e := wantAcquireError(t, err, nil)
			assert.True(t, driver.IsFull(e.Connect))
			assert.True(t, driver.IsFull(err))
			assert.False(t, driver.IsPermanent(err))

			calls, errs := toil(p, 20, time.Minute, 10*time.Millisecond, release)
			assert.Len(t, errs, calls)
			for _, err := range errs {
				require.True(t, driver.IsFull(err), "%v", err)
			}
			assert.InDelta(t, 1+backoffSteps(time.Minute), f.Counts().Connects, 9)

			f.Room(10, 0)
			advance(5 * time.Second)
			wantServes(t, p, 10)
			assert.Equal(t, 10, p.Stats().Limit)
		})
	}
}

// The pool closes connections itself, and a full server counts them until they are
// closed. No caller may fail because the server is full until then.
func TestFullServerFailsNobodyWhenConnectionsAreReplaced(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg   pool.Config
		room  int
		close time.Duration
	}{
		"used up":                {pool.Config{MaxUses: 10}, 1, 0},
		"used up, slow to close": {pool.Config{MaxUses: 10}, 2, 50 * time.Millisecond},
		"old":                    {pool.Config{MaxLifetime: 10 * time.Second}, 1, 0},
		"old, all of 4":          {pool.Config{MaxLifetime: 10 * time.Second}, 4, 0},
	} {
		bubble(t, name, func(t *testing.T) {
			tt.cfg.MaxOpen = 10
			f, p := openFake(t, tt.cfg)
			f.Room(tt.room, 0)
			f.Always(drivertest.Close, stall(tt.close))
			fill(t, p, tt.room)
			calls, errs := toil(p, 6, time.Minute, 10*time.Millisecond, release)
			wantNoErrors(t, calls, errs)
		})
	}
}

// Every connection is used by a Watch, and the server asks for a long pause.
func TestFullServerThatNamesALongPauseKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 10, AcquireTimeout: -1})
		f.Room(2, 5*time.Minute)
		defer releaseAll(acquireN(t, p, 2))
		advance(time.Minute)
		for range 2 { // one caller whose Connect fails, and one during the pause
			assert.True(t, driver.IsFull(start(t.Context(), p).wantError(t, nil)))
		}
	})
}
