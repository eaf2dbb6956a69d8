package pool_test

import (
	"context"
	"math/rand/v2"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// leakReports records the calls of Trace.Leak.
type leakReports struct {
	mu  sync.Mutex
	all []pool.LeakInfo
}

func (r *leakReports) add(l pool.LeakInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, l)
}

// take returns the reports since the last call.
func (r *leakReports) take() []pool.LeakInfo {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.all
	r.all = nil
	return all
}

// one returns the report since the last call, which must be the only one.
func (r *leakReports) one(t *testing.T) pool.LeakInfo {
	t.Helper()
	all := r.take()
	require.Len(t, all, 1)
	return all[0]
}

// openLeaky returns a pool that reports leases longer than 30 seconds.
func openLeaky(t *testing.T, cfg pool.Config) (*drivertest.Fake, *pool.Pool[*conn], *leakReports) {
	var r leakReports
	cfg.LeakAfter, cfg.Trace.Leak = 30*time.Second, r.add
	f, p := openFake(t, cfg)
	return f, p, &r
}

//go:noinline
func leaker(t testing.TB, p *pool.Pool[*conn]) pool.Lease[*conn] { return acquire(t, p) }

//go:noinline
func honest(t testing.TB, p *pool.Pool[*conn]) pool.Lease[*conn] { return acquire(t, p) }

func TestLeakIsReportedOnceAndWithItsStackOnceArmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logLines
		_, p, reports := openLeaky(t, pool.Config{Name: "depot", MaxOpen: 4, Logger: log.logger(0)})
		leaker(t, p)
		<-time.After(time.Millisecond)
		honest(t, p).Release() // the leaked connection stays in its slot
		advance(30 * time.Second)
		advance(2 * time.Second)
		first := reports.one(t)
		assert.Equal(t, "depot", first.Pool)
		assert.GreaterOrEqual(t, first.Age, 30*time.Second)
		assert.Less(t, first.Age, 33*time.Second)
		assert.Empty(t, first.Stack, "no stacks were recorded when it began")
		assert.True(t, first.Suspect)
		assert.False(t, first.Ended)
		log.want(t, `"msg"="a lease may be leaked: it has lasted for LeakAfter"|"pool"="depot"|"age"=`)

		second, other := leaker(t, p), honest(t, p)
		advance(10 * time.Second)
		other.Release()
		other = honest(t, p) // in the same slot, never held for long
		advance(25 * time.Second)
		r := reports.one(t)
		assert.Contains(t, r.Stack, "pool_test.leaker\n")
		assert.NotContains(t, r.Stack, "honest")
		assert.NotContains(t, r.Stack, "pool.(*Pool", "the functions of the pool are left out")
		assert.True(t, strings.HasPrefix(r.Stack, "github.com/hotline-go/hotline/pool_test.acquire"), "%s", r.Stack)
		log.want(t, `pool_test.leaker`)

		holders := p.Holders()
		require.Len(t, holders, 3)
		assert.Equal(t, [3]bool{true, true, false}, [3]bool{holders[0].Suspect, holders[1].Suspect, holders[2].Suspect})
		assert.Empty(t, holders[0].Stack)
		assert.Contains(t, holders[1].Stack, "leaker")
		assert.Contains(t, holders[2].Stack, "honest")
		assert.Equal(t, []time.Duration{35 * time.Second, 25 * time.Second}, []time.Duration{holders[1].Age, holders[2].Age})
		assert.Contains(t, profileText(t), "leaker")

		advance(time.Hour)
		reports.take()
		other.Release()
		second.Release()
		advance(2 * time.Second)
		assert.NotContains(t, profileText(t), "leaker")
		assert.Len(t, p.Holders(), 1)
	})
}

// profileText returns the profile in text form.
func profileText(t *testing.T) string {
	t.Helper()
	profile := pprof.Lookup("hotline.leases")
	require.NotNil(t, profile)
	var b strings.Builder
	require.NoError(t, profile.WriteTo(&b, 1))
	return b.String()
}

// A long transaction may take longer than LeakAfter. Its lease is cleared when it ends,
// however it ends.
func TestLongLeaseIsReportedAndClearedWhenItEnds(t *testing.T) {
	for name, end := range map[string]func(pool.Lease[*conn]){
		"Release": pool.Lease[*conn].Release,
		"Discard": func(l pool.Lease[*conn]) { l.Discard(nil) },
		"Hijack":  func(l pool.Lease[*conn]) { _ = hijack(l).Close() },
	} {
		bubble(t, name, func(t *testing.T) {
			var log logLines
			_, p, reports := openLeaky(t, pool.Config{Logger: log.logger(0)})
			l := acquire(t, p)
			advance(31*time.Second + 500*time.Millisecond)
			assert.False(t, reports.one(t).Ended)
			end(l)
			advance(2 * time.Second)
			r := reports.one(t)
			assert.True(t, r.Ended)
			assert.GreaterOrEqual(t, r.Age, 30*time.Second)
			assert.LessOrEqual(t, r.Age, 31500*time.Millisecond)
			log.want(t, "a lease may be leaked", "a lease that might have been leaked has ended")
			advance(time.Hour)
			assert.Empty(t, reports.take())
		})
	}
}

// A lease that ends and the next one in its slot are reported separately, even if no
// sweep has seen the slot without a lease.
func TestLeakBelongsToTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p, reports := openLeaky(t, pool.Config{MaxOpen: 1})
		l := acquire(t, p)
		c := start(t.Context(), p)
		advance(29 * time.Second)
		l.Release()
		l = c.wantLease(t)
		advance(29 * time.Second)
		assert.Empty(t, reports.take(), "58 s in use, by two holders")
		advance(3 * time.Second)
		assert.False(t, reports.one(t).Ended)
		l.Release()
		l = acquire(t, p)
		advance(35 * time.Second)
		got := reports.take()
		require.Len(t, got, 2)
		assert.True(t, got[0].Ended)
		assert.False(t, got[1].Ended)
		assert.Equal(t, 3, got[1].Uses)
		l.Release()
	})
}

// An hour of leases of all lengths up to LeakAfter raises no alarm. Neither does a Ping
// or a Close that takes longer.
func TestNoFalseAlarmInAnHourOfLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p, reports := openLeaky(t, pool.Config{MaxOpen: 8, MinIdle: 1, KeepAlive: time.Minute, PingTimeout: time.Minute, AcquireTimeout: -1})
		f.Always(drivertest.Close, stall(time.Minute))
		end := time.Now().Add(time.Hour)
		var all sync.WaitGroup
		for range 12 {
			all.Go(func() {
				for time.Now().Before(end) {
					if rand.IntN(20) == 0 {
						f.Next(drivertest.Ping, 1, stall(45*time.Second))
					}
					_ = p.Do(t.Context(), func(context.Context, *conn) error {
						<-time.After(rand.N(30 * time.Second))
						return []error{nil, nil, nil, errUnknown, errScripted}[rand.IntN(5)]
					})
					<-time.After(rand.N(2 * time.Second))
				}
			})
		}
		all.Wait()
		f.Always(drivertest.Close, nil)
		advance(time.Minute)
		assert.Empty(t, reports.take())
		assert.Greater(t, p.Stats().Acquires, int64(1000))
	})
}

// Every way to get a lease records its stack. Long after the last suspicion, recording
// stops, so that Acquire is fast again.
func TestStacksAreTakenWhileThereIsASuspicion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p, _ := openLeaky(t, pool.Config{MaxOpen: 2})
		fill(t, p, 2)
		l := acquire(t, p)
		assert.Empty(t, p.Holders()[0].Stack)
		advance(35 * time.Second)
		stack := func() string { return p.Holders()[1].Stack }
		for range 300 {
			advance(time.Second) // keeps the other connection fresh
			acquire(t, p).Release()
		}
		for name, use := range map[string]func(){
			"TryAcquire": func() {
				l, err := p.TryAcquire()
				require.NoError(t, err)
				assert.Contains(t, stack(), "leaks_test.go")
				l.Release()
			},
			"Do": func() {
				assert.NoError(t, p.Do(t.Context(), func(context.Context, *conn) error {
					assert.Contains(t, stack(), "leaks_test.go")
					return nil
				}))
			},
			"a wait": func() {
				held := acquire(t, p)
				c := start(t.Context(), p)
				held.Release()
				l := c.wantLease(t)
				assert.Contains(t, stack(), "pool_test.start")
				l.Release()
			},
		} {
			use()
			require.Len(t, p.Holders(), 1, name)
		}
		l.Release()
		for range 320 {
			advance(time.Second)
			acquire(t, p).Release()
		}
		l = acquire(t, p)
		assert.Empty(t, p.Holders()[0].Stack)
		l.Release()
	})
}

// A closed pool has no lease in the profile, even while holders are left, and its
// sweeps have ended.
func TestCloseLeavesNoLeaseInTheProfile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p, reports := openLeaky(t, pool.Config{MaxOpen: 3})
		old := leaker(t, p)
		advance(35 * time.Second)
		l := leaker(t, p)
		require.NoError(t, p.Do(t.Context(), func(context.Context, *conn) error {
			assert.Contains(t, profileText(t), "leaker")
			require.NoError(t, p.Close())
			assert.NotContains(t, profileText(t), "leaks_test.go")
			return nil
		}))
		assert.Len(t, p.Holders(), 2)
		reports.take()
		advance(time.Hour)
		assert.Empty(t, reports.take())
		l.Release()
		old.Release()
		assert.Empty(t, p.Holders())
		assert.NotContains(t, profileText(t), "leaks_test.go")
	})
}

func TestALeaseThatAStrictGateEndsLeavesTheProfile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := &strictGate{lost: make(chan struct{})}
		_, p := openFake(t, pool.Config{Gate: gate, LeakAfter: time.Minute})
		p.Arm(true)
		l := leaker(t, p)
		close(gate.lost)
		synctest.Wait()
		assert.Contains(t, profileText(t), "leaker", "its holder still has it")
		l.Release()
		assert.NotContains(t, profileText(t), "leaks_test.go")
	})
}

// A short LeakAfter makes sweeps more frequent.
func TestLeakIsFoundWithinASixteenthOfLeakAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reports leakReports
		_, p := openFake(t, pool.Config{LeakAfter: 160 * time.Millisecond, Trace: pool.Trace{Leak: reports.add}, ValidateAfter: -1})
		l := acquire(t, p)
		advance(159 * time.Millisecond)
		assert.Empty(t, reports.take())
		advance(23 * time.Millisecond)
		assert.False(t, reports.one(t).Ended)
		l.Release()
	})
}
