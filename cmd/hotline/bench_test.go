package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/drivertest"
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

                     requests/s  failed     p50     p90     p99   p99.9     max
pool                        192       0  20.1ms  20.1ms  50.1ms    60ms    60ms
  get connection                           10ms    10ms  40.1ms  50.1ms  50.1ms
  ping                                     10ms    10ms    10ms    10ms    10ms
connect per request          40       0   100ms   100ms   100ms   100ms   100ms
  get connection                         90.2ms  90.2ms  90.2ms  90.2ms  90.2ms
  ping                                     10ms    10ms    10ms    10ms    10ms

get connection  pool                          connect per request
  up to   20ms   97.94% ████████████████████
  up to   50ms    1.03% ▏                       4.76% █
  up to  100ms    1.03% ▏                      95.24% ████████████████████

ping            pool                          connect per request
  up to   20ms  100.00% ████████████████████  100.00% ████████████████████
`, r.out)
		counts := fake.Counts()
		assert.Equal(t, 2, counts.Peak, "connections at once, both ways")
		assert.Equal(t, 1+2+42, counts.Connects, "a try, the pool's, and one per request")
		assert.Zero(t, counts.Open)
	})
}

func TestBenchJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := slowFake(t)
		fake.Next(drivertest.Ping, 3, drivertest.Delay(10*time.Millisecond)) // the try's and two more
		fake.Next(drivertest.Ping, 1, drivertest.Fail(errors.New("no pong")))
		r := hotline(t.Context(), "bench", "fake://host", "-c", "1", "-d", "150ms", "--json")
		r.wantFailure(t, exitFailed, "pool: 1 of 7 requests failed; the first: no pong\n")
		var got map[string]any
		require.NoError(t, json.Unmarshal([]byte(r.out), &got))
		assert.Equal(t, []string{"connect_per_request", "duration_ns", "max_open", "pool", "target", "workers"}, keys(got))
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
		assert.Regexp(t, `^hotline: pool: \d+ of \d+ requests failed; the first: `, r.err)
		assert.Regexp(t, `(?m)^pool +\d+ +[1-9]\d* +10ms `, r.out)
		assert.Regexp(t, `(?m)^connect per request +0 +400 +- +- `, r.out)
	})
}

func TestBenchIsInterruptedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slowFake(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		r := hotline(ctx, "bench", "fake://host", "-d", "1h")
		r.wantFailure(t, exitFailed, "interrupted\n")
		assert.Empty(t, r.out)
		assert.Equal(t, time.Minute, time.Since(began))
	})
}
