package pool_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

func TestAGateWithALowerLimitTakesIdleConnectionsThenThoseReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, gate := drivertest.NewFake(t), pool.NewGate(4)
		p := open[*conn](t, f, pool.Config{Gate: gate})
		held := acquireN(t, p, 3)
		fill(t, p, 1)
		assert.Equal(t, pool.GateStats{Limit: 4, Used: 4, Pools: 1}, gate.Stats())
		gate.Resize(1)
		synctest.Wait()
		assert.Equal(t, 3, p.Stats().Open)
		assert.EqualValues(t, 1, p.Stats().Closed.Yielded)
		releaseAll(held)
		synctest.Wait()
		assert.Equal(t, 1, p.Stats().Idle)
		gate.Resize(0)
		synctest.Wait()
		assert.Equal(t, pool.GateStats{}, gate.Stats())
		assert.Panics(t, func() { gate.Resize(-1) })
	})
}

func TestAGateWithAHigherLimitServesThoseThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := pool.NewGate(1)
		gate.Resize(0)
		changes := 0
		gate.Changed = func() { changes++ }
		_, p := openFake(t, pool.Config{Gate: gate})
		callers := startN(t.Context(), p, 3)
		synctest.Wait()
		assert.Equal(t, 3, changes)
		assert.Equal(t, 3, gate.Stats().Waiting)
		gate.Resize(3)
		for _, c := range callers {
			c.wantLease(t).Discard(nil)
		}
		synctest.Wait()
		assert.Equal(t, 6, changes)
	})
}

func TestAPermitCountsForTheGraceOfItsGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := pool.NewGate(1)
		gate.Grace = time.Second // longer than recallPatience
		_, a := openFake(t, pool.Config{Name: "a", Gate: gate})
		_, b := openFake(t, pool.Config{Name: "b", Gate: gate})
		acquire(t, a).Release()
		began := time.Now()
		acquire(t, b).Release()
		assert.Equal(t, time.Second, time.Since(began))
	})
}

func TestAPermitInItsGraceIsOnItsWayBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := pool.NewGate(2)
		gate.Grace = time.Second
		_, a := openFake(t, pool.Config{Name: "a", Gate: gate})
		_, b := openFake(t, pool.Config{Name: "b", Gate: gate})
		fill(t, a, 2)
		advance(time.Second)
		acquire(t, b).Release()
		assert.EqualValues(t, 1, a.Stats().Closed.Yielded, "no second permit is recalled while the first is in its Grace")
	})
}
