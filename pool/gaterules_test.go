package pool_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

func TestEachWaiterAtTheGateGetsAnIdleConnectionOfOnePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, pools := behindGate(t, 3, 2, pool.Config{})
		f.Always(drivertest.Close, stall(10*time.Millisecond))
		fill(t, pools[0], 3)
		callers := startN(t.Context(), pools[1], 3)
		advance(10 * time.Millisecond)
		assert.Equal(t, 3, pools[1].Stats().Leased)
		for _, c := range callers {
			c.wantLease(t).Release()
		}
		assert.EqualValues(t, 3, pools[0].Stats().Closed.Yielded)
	})
}

func TestAnIdleConnectionThatIsUsedWhileOthersYieldComesToTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var recalled []int // the permits that were asked
		var p *pool.Pool[*conn]
		var l pool.Lease[*conn]
		permits := 0
		gate := &brokenGate{enter: func() (pool.Permit, error) {
			permits++
			n := permits
			return &brokenPermit{recalled: func() bool {
				recalled = append(recalled, n)
				if len(recalled) == 3 { // Yield asks the first permit while a caller gets the second connection
					l, _ = try(p)
				}
				return len(recalled) >= 3
			}}, nil
		}}
		_, p = openFake(t, pool.Config{Gate: gate})
		fill(t, p, 2)
		assert.Equal(t, 1, p.Yield(2))
		l.Release()
		synctest.Wait()
		assert.Len(t, recalled, 4)
		assert.Zero(t, p.Stats().Open)
	})
}

func TestAnIdleConnectionThatTheGateLeavesIsStillCheckedBeforeItsUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{Gate: &brokenGate{enter: func() (pool.Permit, error) { return &brokenPermit{}, nil }}})
		fill(t, p, 1)
		advance(10 * time.Second)
		assert.Zero(t, p.Yield(1))
		acquire(t, p).Release()
		assert.EqualValues(t, 1, p.Stats().Pings)
	})
}

func TestAPoolWithoutAGateYieldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{})
		fill(t, p, 2)
		assert.Zero(t, p.Yield(1))
		assert.Equal(t, 2, p.Stats().Idle)
	})
}

func TestAnAttemptAtTheGateEndsWhenItsCallerIsServed(t *testing.T) {
	for name, minIdle := range map[string]int{"without MinIdle": 0, "MinIdle takes nothing": 1} {
		bubble(t, name, func(t *testing.T) {
			_, pools := behindGate(t, 2, 2, pool.Config{MinIdle: minIdle, ValidateAfter: -1})
			advance(time.Second)
			mine, other := acquire(t, pools[0]), acquire(t, pools[1])
			c := start(t.Context(), pools[0])
			c.wantWaiting(t)
			assert.Equal(t, 1, pools[0].Stats().Gated)
			mine.Release()
			defer c.wantLease(t).Release()
			synctest.Wait()
			assert.Zero(t, pools[0].Stats().Gated)
			other.Release()
			advance(time.Second)
			assert.Equal(t, 1, pools[1].Stats().Idle, "no other pool needs it more")
		})
	}
}

func TestResizeEndsTheAttemptsAtTheGateThatHaveNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pools := behindGate(t, 2, 2, pool.Config{AcquireTimeout: -1})
		held := acquireN(t, pools[0], 2)
		ctx, cancel := context.WithCancel(t.Context())
		callers := startN(ctx, pools[1], 3)
		assert.Equal(t, 3, pools[1].Stats().Gated)
		require.NoError(t, pools[1].Resize(1))
		synctest.Wait()
		assert.Equal(t, 1, pools[1].Stats().Gated)
		require.NoError(t, pools[1].Resize(0))
		synctest.Wait()
		assert.Zero(t, pools[1].Stats().Gated)
		releaseAll(held)
		assert.Equal(t, 2, pools[0].Stats().Idle)
		require.NoError(t, pools[1].Resize(1))
		for _, c := range callers {
			synctest.Wait()
			c.wantLease(t).Release()
		}
		cancel()
	})
}

func TestAConnectionThatHangsInCloseDoesNotBlockThoseThatCouldYield(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := drivertest.NewFake(t)
		slow.Always(drivertest.Close, stall(time.Minute))
		gate := pool.NewGate(2)
		a := open[*conn](t, slow, pool.Config{Name: "a", Gate: gate})
		_, b := openFake(t, pool.Config{Name: "b", Gate: gate})
		_, c := openFake(t, pool.Config{Name: "c", Gate: gate})
		acquire(t, a).Release()
		acquire(t, b).Release()
		began := time.Now()
		acquire(t, c).Release()
		assert.LessOrEqual(t, time.Since(began), time.Second)
		assert.Equal(t, "gate: 2 of 2 connections, 2 pools, 0 connects waiting", gate.String())
		advance(10 * time.Second)
		assert.Equal(t, pool.Gauges{MaxOpen: 10, Limit: 10}, a.Stats().Gauges, "Close has taken more than 5 seconds")
		assert.Equal(t, "gate: 2 of 2 connections, 2 pools, 0 connects waiting", gate.String(), "the server still counts it")
		advance(time.Minute)
		assert.Equal(t, "gate: 1 of 2 connections, 1 pool, 0 connects waiting", gate.String())
	})
}

func TestAHijackedConnectionHasItsPermitUntilItsHolderHasClosedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, pools := behindGate(t, 1, 2, pool.Config{})
		c, closed := acquire(t, pools[0]).Hijack()
		require.NoError(t, pools[0].Close())
		waits := start(t.Context(), pools[1])
		waits.wantWaiting(t)
		require.NoError(t, c.Close())
		waits.wantWaiting(t)
		closed()
		closed()
		waits.wantLease(t).Release()
		assert.Equal(t, 1, f.Counts().Peak)
		start(t.Context(), pools[1]).wantLease(t).Release()
	})
}

func TestOneStarvedPoolCostsOthersOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, pools := behindGate(t, 10, 2, pool.Config{MaxOpen: 20, AcquireTimeout: -1})
		f.Always(drivertest.Close, stall(time.Millisecond))
		ctx, cancel := context.WithCancel(t.Context())
		held := acquireN(t, pools[0], 10)
		rich := startN(ctx, pools[0], 10)
		poor := start(ctx, pools[1])
		releaseAll(held) // all of them, while the first is being closed
		advance(2 * time.Millisecond)
		poor.wantLease(t).Release()
		assert.EqualValues(t, 1, pools[0].Stats().Closed.Yielded)
		for _, c := range rich {
			if c.returned() {
				c.lease.Release()
			}
		}
		cancel()
		synctest.Wait()
	})
}

// brokenGate is a Gate made of functions.
type brokenGate struct {
	enter    func() (pool.Permit, error)
	tryEnter func() (pool.Permit, bool)
}

func (g *brokenGate) Enter(context.Context, pool.Member) (pool.Permit, error) { return g.enter() }
func (g *brokenGate) TryEnter(pool.Member) (pool.Permit, bool)                { return g.tryEnter() }

// brokenPermit is a Permit made of functions. If one is nil, its method works.
type brokenPermit struct {
	left     atomic.Int32
	leave    func()
	recalled func() bool
	lost     func() <-chan struct{}
}

func (p *brokenPermit) Leave() {
	p.left.Add(1)
	if p.leave != nil {
		p.leave()
	}
}
func (p *brokenPermit) Recalled(pool.Worth) bool { return p.recalled != nil && p.recalled() }
func (p *brokenPermit) Lost() <-chan struct{} {
	if p.lost == nil {
		return nil
	}
	return p.lost()
}

func TestAGateThatFailsCostsNoSlotAndNoPermit(t *testing.T) {
	for name, enter := range map[string]func() (pool.Permit, error){
		"error":   func() (pool.Permit, error) { return nil, errScripted },
		"panic":   func() (pool.Permit, error) { panic(errScripted) },
		"exit":    func() (pool.Permit, error) { runtime.Goexit(); return nil, nil },
		"nothing": func() (pool.Permit, error) { return nil, nil },
		"the permit panics in Lost": func() (pool.Permit, error) {
			return &brokenPermit{lost: func() <-chan struct{} { panic(errScripted) }}, nil
		},
		"the permit exits in Lost": func() (pool.Permit, error) {
			return &brokenPermit{lost: func() <-chan struct{} { runtime.Goexit(); return nil }}, nil
		},
		"the permit is lost at once, and exits in Leave": func() (pool.Permit, error) {
			lost := make(chan struct{})
			close(lost)
			return &brokenPermit{lost: func() <-chan struct{} { return lost }, leave: runtime.Goexit}, nil
		},
	} {
		bubble(t, name, func(t *testing.T) {
			broken := true
			calls := 0
			var permit pool.Permit
			gate := &brokenGate{enter: func() (pool.Permit, error) {
				calls++
				if !broken {
					return &brokenPermit{}, nil
				}
				var err error
				permit, err = enter()
				return permit, err
			}}
			f, p := openFake(t, pool.Config{MaxOpen: 2, Gate: gate})
			_, err := p.Acquire(t.Context())
			wantAcquireError(t, err, nil)
			assert.ErrorContains(t, err, "the gate: ")
			if name == "nothing" {
				assert.ErrorContains(t, err, "the gate: pool: Enter returned neither a permit nor an error")
			}
			assert.Zero(t, f.Counts().Connects)
			if permit != nil {
				assert.EqualValues(t, 1, permit.(*brokenPermit).left.Load())
			}
			advance(time.Minute)
			assert.Less(t, calls, 3, "no caller waits")
			broken = false
			wantServes(t, p, 2)
		})
	}
}

func TestAPermitThatPanicsCostsNoSlot(t *testing.T) {
	for name, permit := range map[string]func() *brokenPermit{
		"Recalled": func() *brokenPermit { return &brokenPermit{recalled: func() bool { panic(errScripted) }} },
		"Leave":    func() *brokenPermit { return &brokenPermit{leave: func() { panic(errScripted) }} },
		"exit in Leave": func() *brokenPermit {
			return &brokenPermit{leave: runtime.Goexit}
		},
	} {
		bubble(t, name, func(t *testing.T) {
			_, p := openFake(t, pool.Config{MaxOpen: 1, Gate: &brokenGate{enter: func() (pool.Permit, error) { return permit(), nil }}})
			acquire(t, p).Discard(nil)
			synctest.Wait()
			c := start(t.Context(), p)
			c.wantLease(t).Release()
			synctest.Wait()
			wantServes(t, p, 1)
		})
	}
}

func TestALostPermitEndsThePingOfItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := make(chan struct{})
		gate := &brokenGate{enter: func() (pool.Permit, error) {
			return &brokenPermit{lost: func() <-chan struct{} { return lost }}, nil
		}}
		var why reasons
		f, p := openFake(t, pool.Config{MaxOpen: 2, Gate: gate, KeepAlive: 10 * time.Second, PingTimeout: time.Minute, OnClose: why.add})
		fill(t, p, 2)
		f.Next(drivertest.Ping, 1, drivertest.Hang)
		advance(11 * time.Second)
		close(lost)
		synctest.Wait()
		assert.Zero(t, f.Counts().Open)
		why.want(t, 2, pool.ErrPermitLost)
		assert.Zero(t, p.Stats().PingFailures, "it says nothing about the server")
	})
}

func TestAPermitThatExitsInLeaveAfterAFailedConnectCostsNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		permit := &brokenPermit{leave: runtime.Goexit}
		f, p := openFake(t, pool.Config{MaxOpen: 1, Gate: &brokenGate{enter: func() (pool.Permit, error) { return permit, nil }}})
		f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
		start(t.Context(), p).wantError(t, errScripted)
		assert.EqualValues(t, 1, permit.left.Load())
		advance(time.Second)
		wantServes(t, p, 1)
	})
}

func TestALostPermitClosesItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := make(chan struct{})
		var permits []*brokenPermit
		gate := &brokenGate{enter: func() (pool.Permit, error) {
			ch := lost
			permits = append(permits, &brokenPermit{lost: func() <-chan struct{} { return ch }})
			return permits[len(permits)-1], nil
		}}
		var why reasons
		_, p := openFake(t, pool.Config{MaxOpen: 2, Gate: gate, OnClose: why.add})
		idle, leased := acquire(t, p), acquire(t, p)
		idle.Release()
		close(lost)
		synctest.Wait()
		assert.Equal(t, 1, p.Stats().Open)
		leased.Release()
		synctest.Wait()
		assert.Zero(t, p.Stats().Open)
		why.want(t, 2, pool.ErrPermitLost)
		start(t.Context(), p).wantError(t, pool.ErrPermitLost)
		advance(time.Minute)
		assert.Len(t, permits, 3, "no caller waits")
		lost = make(chan struct{})
		acquire(t, p).Release()
		for _, permit := range permits[:3] {
			assert.EqualValues(t, 1, permit.left.Load())
		}
	})
}
