package fleet

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
)

func TestATermEndsByTheClockThatHasGoneFurther(t *testing.T) {
	now := time.Now()
	assert.Zero(t, (*term)(nil).left(now))
	assert.Equal(t, time.Minute, newTerm(now, time.Minute).left(now))
	assert.Equal(t, time.Second, newTerm(now, time.Minute).left(now.Add(59*time.Second)))
	slept := newTerm(now, time.Minute)
	slept.wall = slept.wall.Add(-time.Hour) // so the wall clock went on while the other clock stood still
	assert.Negative(t, slept.left(now))
	setBack := newTerm(now, time.Minute)
	setBack.wall = setBack.wall.Add(time.Hour)
	assert.Equal(t, time.Second, setBack.left(now.Add(59*time.Second)))
}

// After a long stop, a process finds a different ledger.
func TestRoomThatTheLedgerNoLongerHasIsNotClaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := New(&Memory{}, Config{Budget: "depot", Limit: 10, Spare: 5})
		require.NoError(t, err)
		defer g.Close()
		<-time.After(2 * defaultTTL)
		require.Equal(t, 5, g.Stats().Granted)
		own := Row{Owner: g.cfg.Owner, May: 3}
		held := func(l Ledger) int { defer g.renew(); return g.declare(l).Held }
		assert.Equal(t, 5, held(Ledger{Lost: true}))
		assert.Equal(t, 5, held(Ledger{Learning: true}))
		assert.Equal(t, 3, held(Ledger{Rows: []Row{own}}))
		assert.Equal(t, 0, held(Ledger{}))
		<-time.After(2 * defaultTTL)
		g.sleepMachine()
		assert.Equal(t, 0, g.declare(Ledger{Lost: true}).Held, "others may have it since the machine slept")
		g.renew()
		g.store = deaf{}
		g.renew()
		<-time.After(defaultTTL)
		assert.Equal(t, 0, g.declare(Ledger{Lost: true}).Held)
	})
}

// deaf is a store that does not answer.
type deaf struct{}

func (deaf) Read(ctx context.Context, _ string) (Ledger, error) {
	<-ctx.Done()
	return Ledger{}, ctx.Err()
}

func (deaf) Write(context.Context, string, string, Entry) (bool, error) { panic("nothing was read") }

// nobody is a member without a pool.
type nobody struct{}

func (nobody) Yield(int) int  { return 0 }
func (nobody) String() string { return "nobody" }

// flaky is a store in memory that may be deaf, or hang before it writes.
type flaky struct {
	Memory
	deaf  atomic.Bool
	hangs atomic.Pointer[chan struct{}] // Write waits until it is closed
}

func (w *flaky) Read(ctx context.Context, budget string) (Ledger, error) {
	if w.deaf.Load() {
		return deaf{}.Read(ctx, budget)
	}
	return w.Memory.Read(ctx, budget)
}

func (w *flaky) Write(ctx context.Context, budget, version string, e Entry) (bool, error) {
	if c := w.hangs.Load(); c != nil {
		<-*c
		ctx = context.WithoutCancel(ctx) // it does not notice the end of ctx
	}
	return w.Memory.Write(ctx, budget, version, e)
}

// useAll returns a gate that has all 3 permits of its budget in use.
func useAll(t *testing.T, store Store, floor int) (*Gate, []pool.Permit) {
	g, err := New(store, Config{Budget: "depot", Limit: 3, Grace: -1, Floor: floor})
	require.NoError(t, err)
	var all []pool.Permit
	for range 3 {
		p, err := g.Enter(t.Context(), nobody{})
		require.NoError(t, err)
		all = append(all, p)
	}
	return g, all
}

// hung is a store whose client does not obey contexts.
type hung struct{ release chan struct{} }

func (h hung) Read(context.Context, string) (Ledger, error) {
	<-h.release
	return Ledger{}, errLate
}

func (hung) Write(context.Context, string, string, Entry) (bool, error) { panic("nothing was read") }

func TestCloseDoesNotWaitForAStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hung{make(chan struct{})}
		g, err := New(h, Config{Budget: "depot", Limit: 3, Spare: 1})
		require.NoError(t, err)
		synctest.Wait()
		began := time.Now()
		assert.ErrorContains(t, g.Close(), `fleet: giving back the grant of budget "depot": the store call does not return`)
		assert.LessOrEqual(t, time.Since(began), defaultTTL)
		close(h.release)
	})
}

// The timer of the deadline has not fired yet when a connection is handed out.
func TestAStrictGateDiscardsConnectionsAfterTheMachineHasSlept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{}
		g, err := New(store, Config{Budget: "depot", Limit: 3, Grace: -1, Spare: 2, Strict: true})
		require.NoError(t, err)
		<-time.After(2 * defaultTTL)
		check := g.Strict()
		assert.NoError(t, check())
		store.deaf.Store(true)
		g.sleepMachine()
		assert.True(t, driver.IsBad(check()))
		assert.Equal(t, Over, g.Stats().State)
		store.deaf.Store(false)
		assert.NoError(t, g.Close())
	})
}

func TestAnAnswerAfterItsDeadlineIsNoGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{}
		hangs := make(chan struct{})
		store.hangs.Store(&hangs)
		g, err := New(store, Config{Budget: "depot", Limit: 3, Spare: 2})
		require.NoError(t, err)
		<-time.After(defaultTTL)
		store.hangs.Store(nil)
		store.deaf.Store(true)
		close(hangs)
		synctest.Wait()
		assert.Equal(t, errLate.Error(), g.Stats().Error)
		assert.Equal(t, Over, g.Stats().State)
		store.deaf.Store(false)
		assert.NoError(t, g.Close())
	})
}

// sleepMachine moves the wall clock of g forward by a TTL, while its timers stand still.
func (g *Gate) sleepMachine() {
	t := *g.term.Load()
	t.wall = t.wall.Add(-t.ttl)
	g.term.Store(&t)
}

// The timer of the deadline has not fired yet when a caller enters.
func TestNoPermitIsGivenAfterTheMachineHasSlept(t *testing.T) {
	for floor := range 2 {
		synctest.Test(t, func(t *testing.T) {
			store := &flaky{}
			g, permits := useAll(t, store, floor)
			store.deaf.Store(true)
			for _, p := range permits {
				p.Leave()
			}
			g.sleepMachine()
			for i := range 3 {
				_, ok := g.TryEnter(nobody{})
				assert.Equal(t, i < floor, ok, "permit %d with a Floor of %d", i, floor)
			}
			assert.Equal(t, Over, g.Stats().State)
			store.deaf.Store(false)
			assert.NoError(t, g.Close())
		})
	}
}

// The grant ends between the wait at the gate and the permit.
func TestACallerThatWaitedWhileTheMachineSleptGetsNoPermit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{}
		g, permits := useAll(t, store, 0)
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			_, err := g.Enter(ctx, nobody{})
			failed <- err
		}()
		synctest.Wait()
		store.deaf.Store(true)
		g.sleepMachine()
		permits[0].Leave()
		synctest.Wait()
		cancel()
		assert.ErrorIs(t, <-failed, context.Canceled)
		store.deaf.Store(false)
		assert.NoError(t, g.Close())
	})
}

// As soon as a row is written, others may get the connections that it does not declare.
func TestNothingMoreThanDeclaredIsUsedWhileTheStoreWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{}
		g, permits := useAll(t, store, 0)
		permits[0].Leave()
		permits[1].Leave()
		hangs := make(chan struct{})
		store.hangs.Store(&hangs)
		<-time.After(defaultTTL / renewals) // the next renewal
		assert.Equal(t, 3, g.Stats().Granted, "no answer yet")
		_, ok := g.TryEnter(nobody{})
		assert.False(t, ok)
		close(hangs)
		_, err := g.Enter(t.Context(), nobody{})
		assert.NoError(t, err)
		assert.NoError(t, g.Close())
	})
}
