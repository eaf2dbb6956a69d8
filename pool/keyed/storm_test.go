package keyed_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
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
	"github.com/hotline-go/hotline/pool/keyed"
)

// 1,000 keys with one server share 50 connections. Their callers give up, panic, lose
// connections and forget keys, and some keys have a wrong password. The server sees at
// most 50 connections, and at least 49 while there is demand for more. Every caller is
// served or gets an error that explains why, and nothing is left.
func TestStormOfKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys, limit, callers, rounds = 1000, 50, 300, 15
		f := drivertest.NewFake(t)
		f.Always(drivertest.Connect, drivertest.Delay(2*time.Millisecond))
		f.Always(drivertest.Close, stall(time.Millisecond))
		gate := pool.NewGate(limit)
		wrong := errors.New("wrong password")
		p, err := keyed.Open[int, *conn](func(key int) (driver.Connector, error) {
			if key%50 == 7 {
				return refusing{driver.Permanent(wrong)}, nil
			}
			return f, nil
		}, keyed.Config[int]{
			Gate: gate, MaxKeys: 700, IdleAfter: time.Second,
			PerKey: func(key int) pool.Config {
				return pool.Config{MaxOpen: 1 + key%4, MinIdle: key % 2, AcquireTimeout: 20 * time.Second}
			},
		})
		require.NoError(t, err)
		var lent, served, refused, gaveUp atomic.Int64
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				for range rounds {
					key := int(float64(keys) * rand.Float64() * rand.Float64())
					switch err := stormUse(p, key, &lent); {
					case err == nil, errors.Is(err, driver.ErrBadConn):
						served.Add(1)
					case errors.Is(err, wrong):
						refused.Add(1)
						assert.Equal(t, 7, key%50)
					case errors.Is(err, context.DeadlineExceeded):
						gaveUp.Add(1)
						var e *pool.AcquireError
						assert.ErrorAs(t, err, &e)
					default:
						assert.NoError(t, err)
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { all.Wait(); close(done) }()
		var last pool.Stats
		busy, low := 0, 0
		for running := true; running; {
			select {
			case <-done:
				running = false
			case <-time.After(5 * time.Millisecond):
				stats := p.Stats().Stats // while the callers run
				assert.Empty(t, fallen(stats, last))
				last = stats
				synctest.Wait()
				if p.Stats().Gated > 1 {
					busy++
					if n := f.Counts(); n.Open+n.Connecting < limit-1 {
						low++
					}
				}
			}
		}
		assert.Positive(t, busy)
		assert.Zero(t, low, "of %d times when more were wanted, the server had fewer than 49 connections this often", busy)
		assert.Equal(t, limit, f.Counts().Peak)
		assert.Positive(t, refused.Load())
		t.Logf("served %d, refused %d, gave up %d, connects %d", served.Load(), refused.Load(), gaveUp.Load(), f.Counts().Connects)
		assert.Greater(t, served.Load(), int64(callers*rounds/2))

		advance(time.Minute)
		assert.Zero(t, p.Len(), "all keys are forgotten")
		assert.Zero(t, p.Stats().Gauges)
		assert.Equal(t, lent.Load(), p.Stats().Acquires, "including those of forgotten keys")
		assert.Zero(t, f.Counts().Open)
		assert.Equal(t, "gate: 0 of 50 connections, 0 pools, 0 connects waiting", gate.String())
		assert.NoError(t, p.Close())
	})
}

// fallen returns the counters that are lower in now than in before.
func fallen(now, before any) (names []string) {
	n, b := reflect.ValueOf(now), reflect.ValueOf(before)
	for i := range n.NumField() {
		switch f := n.Type().Field(i); {
		case f.Type == reflect.TypeFor[pool.Gauges]():
		case f.Type.Kind() == reflect.Struct:
			names = append(names, fallen(n.Field(i).Interface(), b.Field(i).Interface())...)
		case n.Field(i).Int() < b.Field(i).Int():
			names = append(names, f.Name)
		}
	}
	return names
}

// held returns how many permits are in use.
func held(gate *pool.LocalGate) (n int) {
	fmt.Sscanf(gate.String(), "gate: %d", &n)
	return n
}

// refusing is a Connector that always fails.
type refusing struct{ err error }

func (r refusing) Connect(context.Context) (driver.Conn, error) { return nil, r.err }

// stormUse uses a connection of key in some way, and counts it.
func stormUse(p *keyed.Pool[int, *conn], key int, lent *atomic.Int64) error {
	ctx, cancel := context.WithTimeout(context.Background(), rand.N(5*time.Second))
	defer cancel()
	defer func() { recover() }()
	return p.Do(ctx, key, func(_ context.Context, c *conn) error {
		lent.Add(1)
		<-time.After(rand.N(10 * time.Millisecond))
		switch rand.N(20) {
		case 0:
			return driver.ErrBadConn
		case 1:
			panic("the holder's fault")
		case 2:
			p.Forget(key)
		}
		return c.Use()
	})
}

// Each of 8 keys has its share of 16 connections, and one key has most of the callers.
// Fairness must not make the keys connect all the time: moving a connection to another
// key costs 20 ms, using it 1 ms.
func TestKeysThatAreBusyKeepTheirConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys, limit, callers, calls = 8, 16, 64, 200
		f := drivertest.NewFake(t)
		f.Always(drivertest.Connect, drivertest.Delay(20*time.Millisecond))
		p, err := keyed.Open[int, *conn](func(int) (driver.Connector, error) { return f, nil }, keyed.Config[int]{
			MaxOpen: limit, PerKey: func(int) pool.Config { return pool.Config{MaxOpen: limit} },
		})
		require.NoError(t, err)
		began := time.Now()
		var all sync.WaitGroup
		for i := range callers {
			random := rand.New(rand.NewPCG(14, uint64(i)))
			all.Go(func() {
				for range calls {
					key := max(random.IntN(2*keys)-keys, 0)
					assert.NoError(t, p.Do(t.Context(), key, func(context.Context, *conn) error {
						<-time.After(time.Millisecond)
						return nil
					}))
				}
			})
		}
		all.Wait()
		took, ideal := time.Since(began), callers*calls*time.Millisecond/limit
		t.Logf("took %v; %d connections could do it in %v; %d connects for %d calls", took, limit, ideal, f.Counts().Connects, callers*calls)
		assert.Less(t, f.Counts().Connects, callers*calls/20)
		assert.Less(t, took, 3*ideal)
		assert.Equal(t, limit, f.Counts().Peak)
		assert.NoError(t, p.Close())
	})
}
