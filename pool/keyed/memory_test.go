package keyed_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool/keyed"
)

// inUse returns the bytes of heap in use.
func inUse() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// Of 100,000 keys seen, 1,000 are live and 500 have a connection. Memory and goroutines
// follow the live keys. However many keys are forgotten, half a megabyte to two megabytes
// remain: the runtime keeps 400 bytes for each of the goroutines that ran at its busiest
// moment, such as those of the timers of 1,000 pools.
func TestMemoryFollowsTheLiveKeys(t *testing.T) {
	const live, limit = 1000, 500
	seen := 100_000
	if raceEnabled {
		seen = 10_000 // with -race, it is ten times slower and the bytes mean nothing
	}
	p, err := keyed.Open[int, *plain](func(int) (driver.Connector, error) { return plainConnector{}, nil },
		keyed.Config[int]{MaxOpen: limit, MaxKeys: live, IdleAfter: time.Hour})
	require.NoError(t, err)
	before, goroutines := inUse(), runtime.NumGoroutine()
	use := func(from, to int) {
		for key := from; key < to; key++ {
			l, err := p.Acquire(context.Background(), key)
			require.NoError(t, err)
			l.Release()
		}
	}
	settle := func() int { // waits for a moment when no timer of a pool runs
		require.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+2 && p.Stats().Closing == 0 }, 10*time.Second, time.Millisecond)
		return inUse()
	}
	use(0, live)
	first := settle()
	use(live, seen)
	last := settle()
	assert.Equal(t, live, p.Len())
	perLive := (last - before) / live
	t.Logf("%d bytes per live key, half of them with a connection; %+.1f per key forgotten", perLive, float64(last-first)/float64(seen-live))
	if !raceEnabled {
		assert.Less(t, perLive, 8000)
		assert.Less(t, last-first, 4<<20)
	}
	require.NoError(t, p.Close())
	runtime.KeepAlive(p)
}
