package pool_test

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// tracker is a Fake that is a driver.Tracker.
type tracker struct {
	*drivertest.Fake
	replace func(match func(driver.Conn) bool) // set by Track
	forget  func()                             // called by Forget unless nil

	mu    sync.Mutex // guards ended
	ended map[int]bool
}

func (tr *tracker) Track(ctx context.Context, replace func(match func(driver.Conn) bool)) {
	tr.replace = replace
	<-ctx.Done()
}

func (tr *tracker) Forget() {
	if tr.forget != nil {
		tr.forget()
	}
}

func (tr *tracker) Ended(c driver.Conn, useless bool) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.ended[c.(*conn).ID] = useless
}

// want fails t unless the connections with these IDs have ended, and no others.
func (tr *tracker) want(t testing.TB, ended map[int]bool) {
	t.Helper()
	synctest.Wait()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	assert.Equal(t, ended, tr.ended, "ended, and whether useless")
}

// openTracked is openFake for a tracker.
func openTracked(t testing.TB, cfg pool.Config) (*tracker, *pool.Pool[*conn]) {
	tr := &tracker{Fake: drivertest.NewFake(t), ended: map[int]bool{}}
	p := open[*conn](t, tr, cfg)
	synctest.Wait()
	require.NotNil(t, tr.replace, "Track is called when the pool is opened")
	return tr, p
}

func byID(ids ...int) func(driver.Conn) bool {
	return func(c driver.Conn) bool {
		return slices.Contains(ids, c.(*conn).ID)
	}
}

func TestTheConnectorLearnsOfEachEndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, p := openTracked(t, pool.Config{MaxOpen: 5})
		leases := acquireN(t, p, 4)
		hold := make(chan struct{})
		tr.Next(drivertest.Close, 1, drivertest.StallUntil(hold))
		leases[0].Discard(nil)
		tr.want(t, map[int]bool{}) // the Close has not returned yet
		close(hold)
		tr.want(t, map[int]bool{1: false})

		_, closed := leases[1].Hijack()
		tr.want(t, map[int]bool{1: false}) // the holder has not closed its connection yet
		closed()
		closed()
		tr.want(t, map[int]bool{1: false, 2: false})

		leases[2].Conn().Kill()
		leases[2].End(leases[2].Conn().Use())
		tr.want(t, map[int]bool{1: false, 2: false, 3: true}) // the third was dead at its first use

		leases[3].Release()
		require.NoError(t, p.Close())
		tr.want(t, map[int]bool{1: false, 2: false, 3: true, 4: false})
	})
}

func TestReplaceConnectsTheNewOnesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var why reasons
		tr, p := openTracked(t, pool.Config{MaxOpen: 4, MaxLifetime: -1, OnClose: why.add})
		fill(t, p, 3)
		slow := make(chan struct{})
		tr.Next(drivertest.Connect, 1, drivertest.HangUntil(slow))
		for range 3 { // a second call starts no second replacement
			tr.replace(byID(1))
			advance(time.Second)
		}
		assert.Equal(t, []int{3, 4}, []int{tr.Counts().Open, tr.Counts().Connects}, "the old connection serves until the new one is open")
		close(slow)
		advance(time.Second)
		tr.want(t, map[int]bool{1: false})
		assert.ErrorIs(t, why.m[1], pool.ErrReset)
		assert.Equal(t, 3, tr.Counts().Open)
	})
}

func TestReplaceKeepsTheOldOnesWhileConnectingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, p := openTracked(t, pool.Config{MaxOpen: 4, MaxIdleTime: -1})
		fill(t, p, 4) // the pool has no room for more
		tr.Always(drivertest.Connect, drivertest.Fail(errScripted))
		tr.replace(byID(1, 2, 3, 4))
		advance(time.Minute)
		assert.GreaterOrEqual(t, tr.Counts().Open, 3, "one is closed to make room for the attempt")
		tr.Always(drivertest.Connect, nil)
		advance(time.Minute)
		tr.want(t, map[int]bool{1: false, 2: false, 3: false, 4: false})
		assert.Equal(t, 4, tr.Counts().Open)

		advance(time.Hour)
		closed := p.Stats().Closed
		assert.Equal(t, int64(4), closed.Reset, "the later connections end for their own reasons")
		assert.Positive(t, closed.Lifetime)
	})
}

// The new Connects may need the server that failed before.
func TestTheConnectorForgetsFailuresBeforeAResetConnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, p := openTracked(t, pool.Config{MaxOpen: 1})
		tr.Next(drivertest.Connect, 1, drivertest.Hang)
		c := start(t.Context(), p)
		c.wantWaiting(t)
		var connects []int
		tr.forget = func() {
			_ = p.Stats() // would hang if a lock were held
			connects = append(connects, tr.Counts().Connects)
		}
		assert.Zero(t, p.ResetIf(func(*conn) bool { return true }))
		p.Reset()
		c.wantLease(t).Release()
		assert.Equal(t, []int{1}, connects, "once, by Reset alone")
		assert.Equal(t, 2, tr.Counts().Connects)
	})
}

// badTracker panics in every method.
type badTracker struct{ *drivertest.Fake }

func (badTracker) Track(context.Context, func(func(driver.Conn) bool)) { panic("track") }
func (badTracker) Ended(driver.Conn, bool)                             { panic("ended") }
func (badTracker) Forget()                                             { panic("forget") }

// exitingTracker is a tracker whose Ended calls runtime.Goexit.
type exitingTracker struct{ *tracker }

func (exitingTracker) Ended(driver.Conn, bool) { runtime.Goexit() }

func TestATrackerThatExitsCostsNoPermit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := &countingGate{}
		p := open[*conn](t, exitingTracker{&tracker{Fake: drivertest.NewFake(t)}}, pool.Config{MaxOpen: 1, Gate: gate})
		acquire(t, p).Discard(nil)
		synctest.Wait()
		assert.Zero(t, gate.used(), "after Close")
		c, closed := acquire(t, p).Hijack()
		c.Close()
		apart(closed)
		assert.Zero(t, gate.used(), "after Hijack")
	})
}

func TestAPanicOfATrackerIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logLines
		p := open[*conn](t, badTracker{drivertest.NewFake(t)}, pool.Config{MaxOpen: 1, Logger: log.logger(0)})
		synctest.Wait()
		for range 2 {
			acquire(t, p).Discard(nil)
			synctest.Wait()
		}
		p.Reset()
		require.NoError(t, p.Close())
		log.want(t, "failed to track", "record the end", "record the end", "forget failures")
	})
}
