package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

func TestResetClosesIdleConnectionsNowAndLeasedOnesAtTheirRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var why reasons
		f, p := openFake(t, pool.Config{MaxOpen: 4, OnClose: why.add})
		leases := acquireN(t, p, 4)
		releaseAll(leases[2:])
		p.Reset()
		synctest.Wait()
		assert.Equal(t, 2, f.Counts().Open)
		for _, l := range leases[:2] {
			assert.NoError(t, l.Conn().Use(), "the holder may finish")
			l.Release()
		}
		why.want(t, 4, pool.ErrReset)
		assert.Equal(t, int64(4), p.Stats().Closed.Reset)
		wantAllSlots(t, f, p, 4)
	})
}

// A Connect from before Reset may have used the old password or address. Its
// result does not count, and its waiter gets a new connection.
func TestResetReplacesConnectsInProgress(t *testing.T) {
	after := func(err error) drivertest.Step {
		return func(context.Context, *conn) error { <-time.After(time.Second); return err }
	}
	for name, step := range map[string]drivertest.Step{
		"that hang":             drivertest.Hang,
		"that succeed later":    after(nil),
		"that fail permanently": after(driver.Permanent(errScripted)),
	} {
		bubble(t, name, func(t *testing.T) {
			var log logLines
			f, p := openFake(t, pool.Config{MaxOpen: 3, MaxConnecting: 2, Logger: log.logger(0)})
			f.Next(drivertest.Connect, 2, step)
			callers := startN(t.Context(), p, 3)
			p.Reset()
			advance(time.Second)
			var ids []int
			for _, c := range callers {
				ids = append(ids, c.wantLease(t).Conn().ID)
				defer c.lease.Release()
			}
			assert.ElementsMatch(t, []int{3, 4, 5}, ids)
			log.want(t) // logs no failure
		})
	}
}

// The success of a Connect from before Reset says nothing about the server after it.
func TestLateSuccessFromBeforeResetDoesNotEndTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 3, Backoff: pool.Backoff{Initial: 5 * time.Second, Max: 5 * time.Second, Jitter: -1}})
		old := make(chan struct{})
		f.Next(drivertest.Connect, 1, drivertest.StallUntil(old))
		c := start(t.Context(), p)
		p.Reset()
		c.wantLease(t)

		f.Always(drivertest.Connect, drivertest.Fail(errScripted))
		c = start(t.Context(), p)
		advance(3500 * time.Millisecond) // after that, waiters no longer count on the lease
		c.wantError(t, errScripted)
		connects := f.Counts().Connects
		close(old)
		synctest.Wait()
		start(t.Context(), p).wantWaiting(t)
		assert.Equal(t, connects, f.Counts().Connects)
	})
}

func TestResetIfEvictsTheConnectionsThatMatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var why reasons
		f, p := openFake(t, pool.Config{MaxOpen: 4, OnClose: why.add})
		leases := acquireN(t, p, 4)
		releaseAll(leases[2:])
		var asked int
		n := p.ResetIf(func(c *conn) bool {
			asked++
			_ = p.Stats() // would hang if a lock were held
			return c.ID == 1 || c.ID == 3
		})
		assert.Equal(t, []int{2, 4}, []int{n, asked})
		synctest.Wait()
		assert.Equal(t, 3, f.Counts().Open, "the idle connection is closed now")
		releaseAll(leases[:2])
		synctest.Wait()
		assert.Equal(t, 2, f.Counts().Open, "the leased connection is closed at its release")
		assert.ErrorIs(t, why.m[1], pool.ErrReset)
		assert.ErrorIs(t, why.m[3], pool.ErrReset)
		assert.Equal(t, int64(2), p.Stats().Closed.Reset)
		wantAllSlots(t, f, p, 4)
	})
}

// While match runs for a connection, that connection may end and another may take its
// place.
func TestResetIfLeavesTheSuccessorOfAMatchAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1})
		fill(t, p, 1)
		n := p.ResetIf(func(*conn) bool {
			acquire(t, p).Discard(nil)
			acquire(t, p).Release()
			return true
		})
		synctest.Wait()
		assert.Equal(t, []int{0, 1}, []int{n, f.Counts().Open})
	})
}
