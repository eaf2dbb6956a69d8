package pool_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// If a Connect hangs, callers must be served by the next one.

// latency starts a caller, which keeps its lease until t ends. waited returns how long
// the caller waited. It runs in a bubble.
func latency(t testing.TB, p *pool.Pool[*conn]) (waited func() time.Duration) {
	t.Helper()
	began := time.Now()
	var took time.Duration
	done := make(chan struct{})
	go func() {
		defer close(done)
		l, err := p.Acquire(context.Background())
		took = time.Since(began)
		if assert.NoError(t, err) {
			t.Cleanup(l.Release)
		}
	}()
	wait := func() time.Duration { <-done; return took }
	t.Cleanup(func() { wait() }) // runs before the pool is closed
	return wait
}

func TestNobodyWaitsForAHungConnect(t *testing.T) {
	const most = 100 * time.Millisecond
	for _, maxOpen := range []int{3, 20} {
		for _, takes := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond} {
			bubble(t, fmt.Sprintf("MaxOpen %d, a Connect takes %v", maxOpen, takes), func(t *testing.T) {
				f, p := openFake(t, pool.Config{MaxOpen: maxOpen})
				gate := make(chan struct{})
				f.Next(drivertest.Connect, 1, drivertest.HangUntil(gate))
				f.Always(drivertest.Connect, drivertest.Delay(takes))
				first := latency(t, p)
				advance(10 * time.Millisecond)
				second := latency(t, p)
				assert.LessOrEqual(t, first(), 10*time.Millisecond+takes, "served by the second Connect")
				assert.LessOrEqual(t, second(), most)
				assert.Equal(t, 3, f.Counts().Connects)

				close(gate) // the hung Connect succeeds after all
				advance(time.Second)
				s := p.Stats()
				assert.Equal(t, [3]int{2, 1, 0}, [3]int{s.Leased, s.Idle, s.Connecting}, "leased, idle, connecting")
				assert.LessOrEqual(t, f.Counts().Peak, maxOpen)
			})
		}
	}

	bubble(t, "in a flow of callers", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 20})
		f.Next(drivertest.Connect, 1, drivertest.Hang)
		f.Always(drivertest.Connect, drivertest.Delay(5*time.Millisecond))
		waits := make([]func() time.Duration, 12)
		for i := range waits {
			waits[i] = latency(t, p)
			advance(20 * time.Millisecond)
		}
		for i, wait := range waits {
			assert.LessOrEqual(t, wait(), most, "caller %d", i+1)
		}
		assert.LessOrEqual(t, f.Counts().Connects, len(waits)+2)
	})

	for _, hung := range []int{1, 2} {
		bubble(t, fmt.Sprintf("number %d, in Ready", hung), func(t *testing.T) {
			f := drivertest.NewFake(t)
			f.Always(drivertest.Connect, func(ctx context.Context, c *conn) error {
				if c.ID == hung {
					return drivertest.Hang(ctx, c)
				}
				return drivertest.Delay(5*time.Millisecond)(ctx, c)
			})
			p := open[*conn](t, f, pool.Config{MinIdle: 2})
			began := time.Now()
			require.NoError(t, p.Ready(t.Context()))
			assert.LessOrEqual(t, time.Since(began), most)
			assert.Equal(t, 3, f.Counts().Connects)
		})
	}

	bubble(t, "alone", func(t *testing.T) {
		f, p := openFake(t, pool.Config{ConnectTimeout: 4 * time.Second})
		f.Next(drivertest.Connect, 1, drivertest.Hang)
		f.Always(drivertest.Connect, drivertest.Delay(5*time.Millisecond))
		assert.InDelta(t, 1100*time.Millisecond, latency(t, p)(), float64(150*time.Millisecond), "a quarter of ConnectTimeout")
		assert.Equal(t, 2, f.Counts().Connects)
	})

	// Its slot stays taken, because the server may count the connection.
	bubble(t, "except for the room that it takes", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2})
		gate := make(chan struct{})
		f.Next(drivertest.Connect, 1, drivertest.HangUntil(gate))
		latency(t, p)
		l := latency(t, p)
		advance(time.Second)
		s := p.Stats()
		assert.Equal(t, [3]int{1, 1, 1}, [3]int{s.Leased, s.Connecting, s.Waiting}, "leased, connecting, waiting")
		close(gate)
		l()
		assert.Equal(t, 2, f.Counts().Peak)
	})
}

// On a path that drops packets, all Connects hang. Once it heals, new ones succeed
// while the old ones still hang.
func TestPathThatHealsServesCallersWhileOldConnectsHang(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg     pool.Config
		callers int  // whose Connects hang
		stay    bool // they are still waiting when the path heals
	}{
		"after the callers have left":              {pool.Config{MaxOpen: 20}, 8, false},
		"while the callers wait":                   {pool.Config{MaxOpen: 20}, 8, true},
		"after the callers of one have left":       {pool.Config{MaxOpen: 4, MaxConnecting: 1}, 1, false},
		"while the caller of one waits":            {pool.Config{MaxOpen: 4, MaxConnecting: 1}, 1, true},
		"with room for one more, callers left":     {pool.Config{MaxOpen: 4, MaxConnecting: 3}, 3, false},
		"while more callers wait than may connect": {pool.Config{MaxOpen: 20, MaxConnecting: 3}, 6, true},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, tt.cfg)
			f.Always(drivertest.Connect, drivertest.Hang)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			var waits []func() time.Duration
			for range tt.callers {
				if tt.stay {
					waits = append(waits, latency(t, p))
				} else {
					start(ctx, p)
				}
			}
			advance(time.Second)
			f.Always(drivertest.Connect, drivertest.Delay(10*time.Millisecond))
			assert.LessOrEqual(t, latency(t, p)(), 2*time.Second)
			for _, wait := range waits {
				assert.LessOrEqual(t, wait(), 3*time.Second)
			}
			advance(20 * time.Second) // until the hung Connects have ended
			assert.LessOrEqual(t, f.Counts().Peak, p.Stats().MaxOpen)
		})
	}
}

// Attempts beyond MaxConnecting are few, so that the pool does not add to the load of
// a hanging server.
func TestBlackHoleGetsNoStorm(t *testing.T) {
	const connecting = 8
	for name, cfg := range map[string]pool.Config{
		"callers":                 {MaxOpen: 100},
		"callers of a small pool": {MaxOpen: 10},
		"spares":                  {MaxOpen: 100, MinIdle: 50},
	} {
		bubble(t, name, func(t *testing.T) {
			f := drivertest.NewFake(t)
			f.Always(drivertest.Connect, drivertest.Hang)
			cfg.MaxConnecting, cfg.AcquireTimeout, cfg.Backoff.Jitter = connecting, time.Second, -1
			p := open[*conn](t, f, cfg)
			counts := make([]int, 0, 7)
			workers := 30
			if cfg.MinIdle > 0 {
				workers = 0
			}
			toiling(t, p, workers, time.Minute, 10*time.Millisecond, release)
			for range cap(counts) {
				counts = append(counts, f.Counts().Connects)
				advance(10 * time.Second)
			}
			t.Log("connects after each 10 s:", counts)
			assert.LessOrEqual(t, counts[6], connecting+2*backoffSteps(time.Minute))
			assert.LessOrEqual(t, counts[6]-counts[2], backoffSteps(40*time.Second), "the pace slows down")
			assert.GreaterOrEqual(t, counts[6]-counts[2], 40/5-2, "and the pool tries again now and then")
			assert.LessOrEqual(t, f.Counts().Peak, cfg.MaxOpen)
		})
	}
}

func TestTheGateDoesNotChangeThePaceBeyondMaxConnecting(t *testing.T) {
	var paces [2][]time.Duration
	for i, gate := range []pool.Gate{nil, pool.NewGate(20)} {
		bubble(t, fmt.Sprintf("gate %v", gate), func(t *testing.T) {
			f := drivertest.NewFake(t)
			f.Always(drivertest.Connect, drivertest.Hang)
			p := open[*conn](t, f, pool.Config{MaxConnecting: 2, ConnectTimeout: 8 * time.Second, Gate: gate, Backoff: pool.Backoff{Jitter: -1}})
			ctx, cancel := context.WithCancel(t.Context())
			startN(ctx, p, 8)
			advance(7 * time.Second)
			paces[i] = gaps(f, 0)
			cancel()
		})
	}
	require.GreaterOrEqual(t, len(paces[0]), 5)
	assert.Equal(t, paces[0], paces[1])
}

func TestSlowServerGetsNoMoreConnectsThanThereAreCallers(t *testing.T) {
	for name, tt := range map[string]struct{ usual, takes time.Duration }{
		"hardly":     {time.Millisecond, 40 * time.Millisecond},
		"suddenly":   {time.Millisecond, 500 * time.Millisecond},
		"very":       {time.Millisecond, 2 * time.Second},
		"as usually": {2 * time.Second, 2 * time.Second},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 20})
			f.Always(drivertest.Connect, drivertest.Delay(tt.usual))
			latency(t, p)()
			advance(time.Minute)
			before := f.Counts().Connects
			f.Always(drivertest.Connect, drivertest.Delay(tt.takes))
			for i := range 12 {
				if i%4 == 0 {
					advance(30 * time.Millisecond)
				}
				latency(t, p)
			}
			advance(time.Minute)
			assert.Equal(t, 12, f.Counts().Connects-before)
			assert.Equal(t, 1+12, p.Stats().Leased)
		})
	}
}

// A slow Connect that succeeded says nothing about the next ones.
func TestHangIsFoundAfterASlowSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1})
		f.Next(drivertest.Connect, 1, drivertest.Delay(9*time.Second))
		acquire(t, p).Discard(nil)
		synctest.Wait()
		require.NoError(t, p.Resize(20))
		f.Next(drivertest.Connect, 1, drivertest.Hang)
		assert.LessOrEqual(t, latency(t, p)(), 3*time.Second)
	})
}

// Connects from before a Reset may take a long time to end.
func TestResetDoesNotWaitForConnectsThatAreStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 20})
		gate := make(chan struct{})
		defer close(gate)
		f.Next(drivertest.Connect, 8, drivertest.StallUntil(gate)) // as many as MaxConnecting allows
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		startN(ctx, p, 8)
		advance(10 * time.Millisecond)
		p.Reset()
		start(t.Context(), p).wantLease(t).Release()
	})
}

// After a Connect that ignores its context has been reported as failed, no caller waits
// for it: neither the one that depended on it nor a later one.
func TestStuckConnectDoesNotHoldUpOtherCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logLines
		f, p := openFake(t, pool.Config{MaxOpen: 3, AcquireTimeout: -1, Logger: log.logger(0)})
		gate := make(chan struct{})
		f.Next(drivertest.Connect, 1, drivertest.StallUntil(gate))
		ctx, cancel := context.WithCancel(t.Context())
		first := start(ctx, p)
		cancel()
		first.wantError(t, context.Canceled)
		advance(2 * time.Second)
		early := start(t.Context(), p)
		early.wantWaiting(t)
		advance(600 * time.Millisecond) // a quarter of ConnectTimeout, and a sweep
		early.wantLease(t)

		advance(7500 * time.Millisecond) // ConnectTimeout and the grace
		log.want(t, `"msg"="connect failed" "error"="the driver has not returned from Connect 100ms after the ConnectTimeout of 10s`)
		late := start(t.Context(), p)
		advance(120 * time.Millisecond) // the backoff
		late.wantLease(t)
		assert.Equal(t, 1, p.Stats().Connecting)

		close(gate)
		early.lease.Release()
		synctest.Wait()
		assert.Equal(t, 0, p.Stats().Connecting)
	})
}

func TestStuckConnectsLeaveRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 20, MaxConnecting: 4})
		gate := make(chan struct{})
		defer close(gate)
		f.Next(drivertest.Connect, 4, drivertest.StallUntil(gate))
		for _, c := range startN(t.Context(), p, 4) {
			defer func() { assert.True(t, c.returned()) }()
		}
		advance(11 * time.Second) // their failures are reported
		acquire(t, p).Release()
	})
}
