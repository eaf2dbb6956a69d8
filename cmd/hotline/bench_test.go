package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// slowFake registers a driver "fake" whose connects take 40 ms and whose pings
// take 10 ms, in the fake time of a bubble.
func slowFake(t *testing.T) *drivertest.Fake {
	fake := drivertest.NewFake(t)
	drivertest.Register(t, "fake", fake)
	fake.Always(drivertest.Connect, drivertest.Delay(40*time.Millisecond))
	fake.Always(drivertest.Ping, drivertest.Delay(10*time.Millisecond))
	return fake
}

func TestBenchMeasuresBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := slowFake(t)
		r := hotline(t.Context(), "bench", "fake://host?pool_max_open=2", "-c", "4", "-d", "1s")
		r.wantSuccess(t)
		assert.Equal(t, `fake: 4 workers on at most 2 connections, for 1s each way

                     requests/s  failed      p50      p90      p99    p99.9      max
pool                        192       0   20.1ms   20.1ms   50.1ms   60.0ms   60.0ms
  get connection                          10.0ms   10.0ms   40.1ms   50.1ms   50.1ms
  ping                                    10.0ms   10.0ms   10.0ms   10.0ms   10.0ms
connect per request          40       0  100.1ms  100.1ms  100.1ms  100.1ms  100.1ms
  get connection                          90.2ms   90.2ms   90.2ms   90.2ms   90.2ms
  ping                                    10.0ms   10.0ms   10.0ms   10.0ms   10.0ms

get connection  pool                          connect per request
  up to   20ms   97.94% ████████████████████
  up to   50ms    1.03% ▏                       4.76% █
  up to  100ms    1.03% ▏                      95.24% ████████████████████

ping            pool                          connect per request
  up to   20ms  100.00% ████████████████████  100.00% ████████████████████
`, r.out)
		counts := fake.Counts()
		assert.Equal(t, 2, counts.Peak, "connections at once, both ways")
		assert.Equal(t, 1+2+42, counts.Connects, "the first try, the pool's, and one per request")
		assert.Zero(t, counts.Open)
	})
}

func TestBenchJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := slowFake(t)
		fake.Next(drivertest.Ping, 3, drivertest.Delay(10*time.Millisecond)) // of the first try, and two more
		fake.Next(drivertest.Ping, 1, drivertest.Fail(errors.New("no pong")))
		r := hotline(t.Context(), "bench", "fake://host", "-c", "1", "-d", "150ms", "--json")
		r.wantFailure(t, exitFailed, "pool: 1 of 7 requests failed; first error: no pong\n")
		var got map[string]any
		require.NoError(t, json.Unmarshal([]byte(r.out), &got))
		assert.Equal(t, []string{"connect_per_request", "duration_ns", "limit", "max_open", "pool", "target", "useless", "workers"}, keys(got))
		assert.Equal(t, "fake", got["target"])
		assert.EqualValues(t, 1, got["workers"])
		assert.EqualValues(t, 10, got["max_open"])
		assert.EqualValues(t, 150*time.Millisecond, got["duration_ns"])

		pooled := got["pool"].(map[string]any)
		assert.Equal(t, []string{"elapsed_ns", "failed", "first_error", "get_connection", "ping", "requests", "requests_per_second", "total"}, keys(pooled))
		assert.EqualValues(t, 1, pooled["failed"])
		assert.Equal(t, "no pong", pooled["first_error"])

		connecting := got["connect_per_request"].(map[string]any)
		assert.Equal(t, []string{"elapsed_ns", "failed", "get_connection", "ping", "requests", "requests_per_second", "total"}, keys(connecting))
		assert.EqualValues(t, 3, connecting["requests"])
		assert.EqualValues(t, 150*time.Millisecond, connecting["elapsed_ns"])
		assert.InDelta(t, 20, connecting["requests_per_second"], 0.001)

		get := connecting["get_connection"].(map[string]any)
		assert.Equal(t, []string{"histogram", "max_ns", "mean_ns", "min_ns", "p50_ns", "p90_ns", "p999_ns", "p99_ns"}, keys(get))
		for name, value := range get {
			if name != "histogram" {
				assert.InEpsilon(t, 40*time.Millisecond, value, 0.01, name)
			}
		}
		assert.Equal(t, []any{map[string]any{"up_to_ns": 5e7, "count": 3.0}}, get["histogram"])
	})
}

func keys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

func TestBenchLeavesOutTheConnectPerRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := slowFake(t)
		r := hotline(t.Context(), "bench", "fake://host", "-c", "3", "-d", "1s", "--pool-only")
		r.wantSuccess(t)
		assert.NotContains(t, r.out, "connect per request")
		assert.Equal(t, 1+3, fake.Counts().Connects)
		r = hotline(t.Context(), "bench", "fake://host", "-c", "3", "-d", "1s", "--pool-only", "--json")
		r.wantSuccess(t)
		assert.NotContains(t, r.out, "connect_per_request")
	})
}

func TestBenchDoesNotLoadAServerThatFailsTheFirstTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := slowFake(t)
		fake.Always(drivertest.Ping, drivertest.Fail(errors.New("no pong")))
		r := hotline(t.Context(), "bench", "fake://host")
		r.wantFailure(t, exitFailed, "no pong\n")
		assert.Empty(t, r.out)
		assert.Equal(t, 1, fake.Counts().Connects)
		hotline(t.Context(), "bench", "fake://host?pool_min_idle=2").wantFailure(t, exitFailed, "no pong\n")
		counts := fake.Counts()
		assert.Zero(t, counts.Open+counts.Connecting)
		fake.Always(drivertest.Connect, drivertest.Fail(errors.New("no route")))
		hotline(t.Context(), "bench", "fake://host").wantFailure(t, exitFailed, "drivertest: connect: no route\n")
	})
}

func TestBenchReportsFailuresAndWhatWentWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := slowFake(t)
		crash := time.AfterFunc(time.Second, func() { fake.Down(errors.New("no route")) })
		defer crash.Stop()
		r := hotline(t.Context(), "bench", "fake://host", "-c", "2", "-d", "2s")
		r.wantFailure(t, exitFailed, "pool: ")
		assert.Regexp(t, `^hotline: pool: \d+ of \d+ requests failed; first error: `, r.err)
		assert.Regexp(t, `(?m)^pool +\d+ +[1-9]\d* +10.0ms `, r.out)
		assert.Regexp(t, `(?m)^connect per request +0 +400 +- +- `, r.out)
	})
}

// interruptedBench runs bench for 10 s each way, and interrupts it after d. No request may
// end at that moment.
func interruptedBench(t *testing.T, d time.Duration, args ...string) result {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	defer time.AfterFunc(d, cancel).Stop()
	began := time.Now()
	r := hotline(ctx, append([]string{"bench", "fake://host", "-c", "2", "-d", "10s"}, args...)...)
	r.wantFailure(t, exitFailed, "interrupted\n")
	assert.Equal(t, d, time.Since(began))
	return r
}

func TestAnInterruptedBenchReportsWhatItMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slowFake(t) // the first try takes 50 ms
		r := interruptedBench(t, 5005*time.Millisecond)
		assert.Contains(t, r.out, "fake: 2 workers on at most 10 connections, interrupted after 4.96s of 20s\n")
		assert.Regexp(t, `(?m)^pool +198 +0 +10.0ms `, r.out)
		assert.NotContains(t, r.out, "connect per request")
	})
	synctest.Test(t, func(t *testing.T) {
		slowFake(t)
		r := interruptedBench(t, 15005*time.Millisecond)
		assert.Contains(t, r.out, "interrupted after 15s of 20s\n")
		assert.Regexp(t, `(?m)^connect per request +(39|40) +0 +50.\dms `, r.out)
	})
	synctest.Test(t, func(t *testing.T) {
		slowFake(t)
		r := interruptedBench(t, 5005*time.Millisecond, "--pool-only", "--json")
		var got jsonReport
		require.NoError(t, json.Unmarshal([]byte(r.out), &got))
		assert.True(t, got.Interrupted)
		assert.EqualValues(t, 982, got.Pool.Requests, "requests in progress do not count")
		assert.Zero(t, got.Pool.Failed)
	})
	synctest.Test(t, func(t *testing.T) {
		slowFake(t)
		assert.Empty(t, interruptedBench(t, time.Millisecond).out, "in the first try")
	})
}

func TestBenchSaysThatTheServerIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slowFake(t).Room(3, 0)
		r := hotline(t.Context(), "bench", "fake://host?pool_max_open=4", "-c", "8", "-d", "1s", "--pool-only")
		assert.Contains(t, r.out, "on at most 4 connections, for 1s\n")
		assert.Contains(t, r.out, "\npool: the server was full: at the end it had room for 3 of 4 connections\n")
		r = hotline(t.Context(), "bench", "fake://host?pool_max_open=4", "-c", "8", "-d", "1s", "--pool-only", "--json")
		var got jsonReport
		require.NoError(t, json.Unmarshal([]byte(r.out), &got))
		assert.Equal(t, 3, got.Limit)
	})
}

func TestBenchCountsConnectionsThatWereUseless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := slowFake(t)
		fake.Next(drivertest.Ping, 1, nil) // of the first try
		fake.Next(drivertest.Ping, 1, drivertest.Fail(io.EOF))
		r := hotline(t.Context(), "bench", "fake://host", "-c", "1", "-d", "1s", "--pool-only")
		r.wantFailure(t, exitFailed, "pool: 1 of ")
		assert.Contains(t, r.out, "\npool: 1 connection came up but failed before the server sent anything\n")
		assert.NotContains(t, r.out, "full")
	})
}

// registerLanes registers a budget of 2 connections, lanes://.
var registerLanes = sync.OnceFunc(func() {
	gate := pool.NewGate(2)
	pool.RegisterBudget("lanes", func(string) (pool.Gate, error) { return gate, nil })
})

func TestBenchOfManyKeysKeepsToTheirBudget(t *testing.T) {
	registerLanes()
	synctest.Test(t, func(t *testing.T) {
		fake := slowFake(t)
		r := hotline(t.Context(), "bench", "fake://host?pool_budget=lanes%3A%2F%2Fx", "-c", "8", "-d", "2s", "--pool-only", "--keys", "20")
		r.wantSuccess(t)
		assert.Equal(t, 2, fake.Counts().Peak)
	})
}

func TestBenchSpreadsTheRequestsOverKeysUnderOneLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := slowFake(t)
		r := hotline(t.Context(), "bench", "fake://host?pool_max_open=3", "-c", "8", "-d", "2s", "--pool-only", "--keys", "20", "--zipf", "1.5")
		r.wantSuccess(t)
		assert.Contains(t, r.out, "fake: 8 workers on at most 3 connections of 20 keys, for 2s\n")
		assert.Equal(t, 3, fake.Counts().Peak)
		assert.Greater(t, fake.Counts().Connects, 4, "keys take over connections from each other")
		assert.Zero(t, fake.Counts().Open)
	})
}

func TestZipfPicksLowKeysMoreOften(t *testing.T) {
	for _, tc := range []struct {
		s           float64
		least, most float64 // share of key 0 among 10
	}{{0, 0.05, 0.15}, {1, 0.29, 0.39}, {10, 0.99, 1}} {
		pick, n := zipf(10, tc.s), 0
		for range 10_000 {
			k := pick()
			require.True(t, 0 <= k && k < 10)
			if k == 0 {
				n++
			}
		}
		share := float64(n) / 10_000
		assert.GreaterOrEqual(t, share, tc.least)
		assert.LessOrEqual(t, share, tc.most)
	}
}
