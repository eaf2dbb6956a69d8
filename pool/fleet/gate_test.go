package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/fleet"
)

type conn = drivertest.FakeConn

const (
	ttl   = 15 * time.Second
	grace = 500 * time.Millisecond
)

var errCut = errors.New("the network is cut")

// link is a process's connection to a store. It may be cut, or slow.
type link struct {
	fleet.Store
	cut   atomic.Bool
	slow  atomic.Int64 // a time.Duration, before and after each call
	calls atomic.Int64
	stop  atomic.Pointer[chan struct{}] // a call waits until it is closed, whatever its context; nil = the process runs
	late  atomic.Int64                  // a time.Duration: Writes reach the store this long after the caller gave up; 0 = at once
}

func (l *link) pass(ctx context.Context) error {
	if l.cut.Load() {
		return errCut
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(l.slow.Load())):
	}
	if stop := l.stop.Load(); stop != nil {
		<-*stop
	}
	return ctx.Err()
}

func (l *link) Read(ctx context.Context, budget string) (fleet.Ledger, error) {
	l.calls.Add(1)
	if err := l.pass(ctx); err != nil {
		return fleet.Ledger{}, err
	}
	got, err := l.Store.Read(ctx, budget)
	return got, errors.Join(err, l.pass(ctx))
}

func (l *link) Write(ctx context.Context, budget, version string, e fleet.Entry) (bool, error) {
	if err := l.pass(ctx); err != nil {
		return false, err
	}
	if d := time.Duration(l.late.Load()); d > 0 {
		<-ctx.Done()
		time.AfterFunc(d, func() { _, _ = l.Store.Write(context.Background(), budget, version, e) })
		return false, ctx.Err()
	}
	ok, err := l.Store.Write(ctx, budget, version, e)
	return ok, errors.Join(err, l.pass(ctx))
}

// process is a pool behind a gate.
type process struct {
	*pool.Pool[*conn]
	gate *fleet.Gate
	link *link
}

// world is a server, a store and the processes that use both.
type world struct {
	*testing.T
	server *drivertest.Fake
	store  *fleet.Memory
	limit  int
	load   sync.WaitGroup
}

// newEmptyWorld returns a world whose store is new.
func newEmptyWorld(t *testing.T, limit int) *world {
	w := &world{T: t, server: drivertest.NewFake(t), store: &fleet.Memory{}, limit: limit}
	t.Cleanup(w.load.Wait) // after those of the processes
	return w
}

// newWorld returns a world whose store has learned that no process has connections.
func newWorld(t *testing.T, limit int) *world {
	w := newEmptyWorld(t, limit)
	first := w.start(fleet.Config{})
	l, err := first.Acquire(t.Context())
	require.NoError(t, err)
	l.Release()
	first.end()
	<-time.After(grace)
	return w
}

// start starts a process with a gate of cfg.
func (w *world) start(cfg fleet.Config) *process {
	cfg.Budget, cfg.Limit = "depot", w.limit
	way := &link{Store: w.store}
	gate, err := fleet.New(way, cfg)
	require.NoError(w, err)
	p, err := pool.New[*conn](w.server, pool.Config{Name: "p", MaxOpen: 100, AcquireTimeout: -1, Gate: gate})
	require.NoError(w, err)
	w.Cleanup(func() { p.Close(); gate.Close() })
	return &process{p, gate, way}
}

func (p *process) end() {
	p.Close()
	p.gate.Close()
}

// acquire acquires n connections, and returns a function that releases them.
func (w *world) acquire(p *process, n int) (release func()) {
	leases := make([]pool.Lease[*conn], n)
	var all sync.WaitGroup
	for i := range leases {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
			defer cancel()
			var err error
			leases[i], err = p.Acquire(ctx)
			assert.NoError(w, err)
		})
	}
	all.Wait()
	return func() {
		for _, l := range leases {
			l.Release()
		}
	}
}

// want starts n callers that use connections for hold at a time, until the test ends.
func (w *world) want(p *process, n int, hold time.Duration) {
	for range n {
		w.load.Go(func() {
			for {
				err := p.Do(w.Context(), func(context.Context, *conn) error {
					<-time.After(hold)
					return nil
				})
				if errors.Is(err, pool.ErrClosed) || w.Context().Err() != nil {
					return
				}
				if err != nil {
					<-time.After(hold)
				}
			}
		})
	}
}

func TestTheFirstProcessWaitsUntilTheStoreHasLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newEmptyWorld(t, 3)
		p := w.start(fleet.Config{})
		began := time.Now()
		w.acquire(p, 1)()
		assert.GreaterOrEqual(t, time.Since(began), ttl+grace)
		assert.Less(t, time.Since(began), ttl+grace+ttl/6)
		began = time.Now()
		w.acquire(p, 3)()
		assert.Zero(t, time.Since(began))
	})
}

func TestACallerThatComesDuringARenewalIsInTheNextWhichIsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		p := w.start(fleet.Config{})
		p.link.slow.Store(int64(100 * time.Millisecond)) // so a renewal takes 400 ms
		w.load.Go(func() { w.acquire(p, 1)() })
		<-time.After(300 * time.Millisecond)
		began := time.Now()
		w.acquire(p, 2)()
		assert.Less(t, time.Since(began), time.Second)
	})
}

func TestProcessesShareTheLimitFairly(t *testing.T) {
	for _, n := range []int{2, 8, 15, 20} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 15)
			var all []*process
			for range n {
				p := w.start(fleet.Config{})
				all = append(all, p)
				w.want(p, 10, 10*time.Millisecond)
				<-time.After(time.Second) // the first process takes all connections that it wants
			}
			<-time.After(2 * ttl)
			sum := 0
			for i, p := range all {
				open := p.Stats().Open
				sum += open
				assert.InDelta(t, 15.0/float64(n), float64(open), 1, "process %d of %d: %v", i, n, p.gate)
			}
			assert.GreaterOrEqual(t, sum, 14)
			assert.LessOrEqual(t, w.server.Counts().Peak, 15)
		})
	}
}

func TestIdleConnectionsOfOneProcessDoNotBlockAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10)
		a, b := w.start(fleet.Config{}), w.start(fleet.Config{})
		w.acquire(a, 10)()
		<-time.After(ttl)
		assert.Equal(t, 10, a.Stats().Idle, "no other process needs them")
		assert.Equal(t, []pool.BudgetOwner{{Owner: a.gate.Stats().Owner, Granted: 10, Held: 10, Left: ttl + grace}}, a.gate.Stats().Owners)
		began := time.Now()
		release := w.acquire(b, 9)
		assert.Less(t, time.Since(began), ttl)
		release()
		assert.LessOrEqual(t, w.server.Counts().Peak, 10)
	})
}

func TestAStarvedProcessGetsItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10)
		a, b := w.start(fleet.Config{}), w.start(fleet.Config{})
		w.want(a, 20, 10*time.Millisecond)
		<-time.After(ttl)
		require.Equal(t, 10, a.Stats().Open)
		began := time.Now()
		w.want(b, 20, 10*time.Millisecond)
		for b.Stats().Open < 5 {
			<-time.After(10 * time.Millisecond)
		}
		assert.Less(t, time.Since(began), ttl/2+grace+time.Second)
	})
}

func TestAProcessThatEndsGivesBackWhatOthersWant(t *testing.T) {
	for name, tt := range map[string]struct {
		end    func(p *process)
		within time.Duration
	}{
		"by Close":        {func(p *process) { p.end() }, grace + ttl/6},
		"by being killed": {func(p *process) { p.link.cut.Store(true) }, ttl + grace + ttl/6},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 4)
			a, b := w.start(fleet.Config{}), w.start(fleet.Config{})
			release := w.acquire(a, 4)
			got := make(chan time.Time)
			go func() {
				w.acquire(b, 4)()
				got <- time.Now()
			}()
			<-time.After(time.Second)
			release()
			began := time.Now()
			tt.end(a)
			assert.Less(t, (<-got).Sub(began), tt.within+100*time.Millisecond, name)
			assert.LessOrEqual(t, w.server.Counts().Peak, 4, name)
		})
	}
}

func TestConnectsThatSpareCoversCostNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10)
		p := w.start(fleet.Config{Spare: 3})
		<-time.After(time.Second)
		before := p.link.calls.Load()
		defer w.acquire(p, 3)()
		assert.Equal(t, before, p.link.calls.Load())
		p2 := w.start(fleet.Config{})
		defer w.acquire(p2, 3)()
		assert.LessOrEqual(t, p2.link.calls.Load(), int64(3))
		<-time.After(10 * ttl)
		assert.InDelta(t, 30, p2.link.calls.Load(), 10, "renewals")
	})
}

func TestWithoutTheStoreConnectionsStayUntilTheDeadline(t *testing.T) {
	for floor := range 3 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 10)
			p := w.start(fleet.Config{Floor: floor})
			release := w.acquire(p, 4)
			p.link.cut.Store(true)
			began := time.Now()
			<-time.After(ttl * 3 / 5)
			assert.Equal(t, 4, p.Stats().Open)
			assert.Equal(t, fleet.Static, p.gate.Stats().State)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := p.Acquire(ctx)
			assert.ErrorContains(t, err, `waiting for room: budget "depot": 4 of 10 connections granted, 4 used, `)
			assert.ErrorContains(t, err, `; the last store call failed: the network is cut`)
			<-time.After(ttl - time.Since(began) + time.Second)
			assert.Equal(t, 4, p.Stats().Open, "the connections in use stay")
			release()
			synctest.Wait()
			assert.Equal(t, floor, p.Stats().Open)
			assert.Equal(t, fleet.Over, p.gate.Stats().State)
			p.link.cut.Store(false)
			w.acquire(p, 4)()
			assert.Equal(t, fleet.Held, p.gate.Stats().State)
		})
	}
}

func TestAClosedConnectionCountsForItsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		p := w.start(fleet.Config{})
		l, err := p.Acquire(t.Context())
		require.NoError(t, err)
		l.Discard(nil)
		began := time.Now()
		w.acquire(p, 1)()
		assert.Equal(t, grace, time.Since(began))
	})
}

func TestAStrictGateCutsAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10)
		p := w.start(fleet.Config{Strict: true})
		defer w.acquire(p, 4)()
		p.link.cut.Store(true)
		<-time.After(ttl)
		synctest.Wait()
		assert.Zero(t, w.server.Counts().Open)
		assert.EqualValues(t, 4, p.Stats().Closed.Yielded)
		p.link.cut.Store(false)
		w.acquire(p, 4)()
	})
}

func TestAFloorServesBeforeTheStoreHasAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newEmptyWorld(t, 3)
		p := w.start(fleet.Config{Floor: 2})
		p.link.cut.Store(true)
		w.acquire(p, 2)()
		assert.Equal(t, fleet.Over, p.gate.Stats().State)
	})
}

func TestAFloorServesWhileTheStoreLearns(t *testing.T) {
	for name, cut := range map[string]bool{"a new budget": false, "after it was away": true} {
		synctest.Test(t, func(t *testing.T) {
			w := newEmptyWorld(t, 3)
			p := w.start(fleet.Config{Floor: 2})
			p.link.cut.Store(cut)
			began := time.Now()
			w.acquire(p, 2)()
			assert.Zero(t, time.Since(began), name)
			p.link.cut.Store(false)
			<-time.After(ttl / 2)
			assert.Equal(t, fleet.Learning, p.gate.Stats().State, name)
			assert.Equal(t, 2, p.Stats().Open, name)
			w.acquire(p, 3)()
			assert.Greater(t, time.Since(began), ttl+grace, "%s: the third needs a grant", name)
		})
	}
}

func TestConnectsInProgressAtTheDeadlineAreEndedExceptTheFloor(t *testing.T) {
	for floor := range 3 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 10)
			p := w.start(fleet.Config{Floor: floor, Spare: 4})
			<-time.After(time.Second)
			w.server.Always(drivertest.Connect, drivertest.Delay(5*time.Second))
			p.link.cut.Store(true)
			<-time.After(p.gate.Stats().Left - time.Second)
			w.want(p, 4, time.Millisecond)
			<-time.After(10 * time.Second)
			assert.EqualValues(t, floor, w.server.Counts().Open)
		})
	}
}

func TestAStoreThatLostItsStateIsLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10)
		a, b := w.start(fleet.Config{}), w.start(fleet.Config{})
		defer w.acquire(a, 6)()
		w.want(b, 10, 10*time.Millisecond)
		<-time.After(time.Second)
		w.store.Lose()
		began := time.Now()
		<-time.After(ttl / 2)
		assert.Equal(t, fleet.Learning, a.gate.Stats().State)
		assert.Equal(t, 6, a.Stats().Open, "it keeps its connections")
		<-time.After(2*ttl - time.Since(began))
		assert.Equal(t, fleet.Held, a.gate.Stats().State)
		assert.Equal(t, 10, w.server.Counts().Peak)
	})
}

func TestAStoreThatIsSlowIsWaitedForWithinReason(t *testing.T) {
	for slow, open := range map[time.Duration]int{time.Second: 4, 10 * time.Second: 0} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 10)
			p := w.start(fleet.Config{})
			release := w.acquire(p, 4)
			p.link.slow.Store(int64(slow))
			<-time.After(3 * ttl)
			release()
			synctest.Wait()
			assert.Equal(t, open, p.Stats().Open)
			p.link.slow.Store(0)
		})
	}
}

// The gate is closed before the answer to its first call is here.
func TestAGrantThatNobodyHasHeardOfIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		p := w.start(fleet.Config{})
		p.link.slow.Store(int64(time.Second))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go p.Acquire(ctx)
		<-time.After(3500 * time.Millisecond)
		l, err := w.store.Read(t.Context(), "depot")
		require.NoError(t, err)
		require.Len(t, l.Rows, 1)
		require.Equal(t, 1, l.Rows[0].May)

		p.link.slow.Store(0)
		p.end()
		l, err = w.store.Read(t.Context(), "depot")
		require.NoError(t, err)
		assert.Empty(t, l.Rows)
	})
}

func TestAClosedGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		p := w.start(fleet.Config{})
		defer w.acquire(p, 1)()
		failed := make(chan error)
		go func() {
			_, err := p.Acquire(t.Context())
			failed <- err
		}()
		synctest.Wait()
		require.NoError(t, p.gate.Close())
		require.NoError(t, p.gate.Close())
		assert.ErrorIs(t, <-failed, fleet.ErrClosed)
		_, ok := p.gate.TryEnter(p)
		assert.False(t, ok)
	})
}

func TestNewReportsAllFaultsOfTheSettings(t *testing.T) {
	_, err := fleet.New(&fleet.Memory{}, fleet.Config{TTL: 1, Spare: -1, Floor: -1, Strict: true})
	for _, want := range []string{"Budget", "Limit", "TTL", "Spare", "Floor"} {
		assert.ErrorContains(t, err, "fleet: "+want)
	}
	_, err = fleet.New(&fleet.Memory{}, fleet.Config{Budget: "b", Limit: math.MaxInt, TTL: math.MaxInt64, Grace: math.MaxInt64})
	for _, want := range []string{"Limit", "TTL", "Grace"} {
		assert.ErrorContains(t, err, "fleet: "+want)
	}
	_, err = fleet.New(&fleet.Memory{}, fleet.Config{Budget: "b", Limit: 3, Spare: 4, Floor: 4})
	assert.EqualError(t, err, "fleet: Spare is 4; want 0 to Limit\nfleet: Floor is 4; want 0 to Limit")
	_, err = fleet.New(&fleet.Memory{}, fleet.Config{Budget: "a\x00b", Owner: "\xff", Limit: 1}) // no text of PostgreSQL
	assert.ErrorContains(t, err, `fleet: Budget is "a\x00b"; want`)
	assert.ErrorContains(t, err, `fleet: Owner is "\xff"; want`)
	_, err = fleet.New(nil, fleet.Config{Budget: "b", Limit: 1})
	assert.ErrorContains(t, err, "store is nil")
	g, err := fleet.New(&fleet.Memory{}, fleet.Config{Budget: "b", Limit: 1})
	require.NoError(t, err)
	assert.Equal(t, `budget "b": 0 of 1 connection granted, 0 used, 0 connects waiting`, fmt.Sprintf("%+v", g))
	require.NoError(t, g.Close())
}
