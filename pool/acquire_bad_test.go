package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// The caller's context ends while the connection for it turns out to be dead.
// That is why it gets none; the dead connection is no concern of the caller's.
func TestCanceledCallerIsNotToldOfADeadConnection(t *testing.T) {
	f, p := openFake(t, pool.Config{})
	fill(t, p, 1)
	ctx, cancel := context.WithCancel(t.Context())
	f.Next(drivertest.ResetSession, 1, func(context.Context, *conn) error {
		cancel()
		return driver.ErrBadConn
	})
	_, err := p.Acquire(ctx)
	wantAcquireError(t, err, context.Canceled)
	assert.NotErrorIs(t, err, driver.ErrBadConn)
}

// A permanent error is older than its pause when the only connection is found
// dead. The caller who waits for the check gets the attempt that is due, not
// the old error.
func TestFailedCheckDoesNotBringBackAnOldPermanentError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2})
		l := acquire(t, p)
		f.Next(drivertest.Connect, 1, drivertest.Fail(driver.Permanent(errScripted)))
		start(t.Context(), p).wantError(t, errScripted)
		l.Release()
		require.NoError(t, p.Resize(1)) // so that the attempt has to follow the check
		advance(2 * time.Minute)
		f.KillAll()
		start(t.Context(), p).wantLease(t)
	})
}

// The same while the attempt that is due is under way.
func TestFailedCheckDoesNotHideTheConnectUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2})
		l := acquire(t, p)
		f.Next(drivertest.Connect, 1, drivertest.Fail(driver.Permanent(errScripted)))
		start(t.Context(), p).wantError(t, errScripted)
		l.Release()
		advance(2 * time.Minute)
		f.KillAll()
		f.Next(drivertest.Connect, 1, drivertest.Delay(time.Second))
		c := start(t.Context(), p)
		c.wantWaiting(t)
		advance(time.Second)
		c.wantLease(t)
	})
}

// FailFast: the caller was to wait for a check, not for the backoff after it.
func TestFailedCheckFailsFastInTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, FailFast: true, Backoff: pool.Backoff{Initial: 5 * time.Second}})
		l := acquire(t, p)
		f.Always(drivertest.Connect, drivertest.Fail(errScripted))
		start(t.Context(), p).wantError(t, errScripted)
		l.Release()
		advance(2 * time.Second)
		f.KillAll()
		start(t.Context(), p).wantError(t, errScripted)
	})
}

// A waiter is spared the error of a failed Connect because a check may yet
// serve it. The check passes, but the connection is to be closed by then.
func TestCheckedConnectionThatIsClosedLeavesNoWaiterBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, Backoff: pool.Backoff{Initial: 5 * time.Second}})
		fill(t, p, 1)
		advance(2 * time.Second)
		f.Always(drivertest.Ping, drivertest.Delay(300*time.Millisecond))
		f.Always(drivertest.Connect, drivertest.Fail(errScripted))
		first := start(t.Context(), p)
		p.Reset()
		start(t.Context(), p).wantError(t, errScripted) // that of a Connect of its own
		first.wantWaiting(t)
		advance(300 * time.Millisecond)
		first.wantError(t, errScripted)
	})
}

// The password is wrong, but that is not why this caller got nothing.
func TestHookThatFailsIsNotBlamedOnTheLastConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail error
		f, p := openFake(t, pool.Config{MaxOpen: 2, OnAcquire: func(context.Context, driver.Conn) error { return fail }})
		l := acquire(t, p)
		f.Always(drivertest.Connect, drivertest.Fail(driver.Permanent(driver.ErrBadConn)))
		start(t.Context(), p).wantError(t, driver.ErrBadConn)
		l.Release()
		fail = errScripted
		_, err := p.Acquire(t.Context())
		wantAcquireError(t, err, errScripted)
		assert.False(t, driver.IsPermanent(err))
	})
}

// FailFast is about the backoff, for which nobody waits whose turn comes with
// a release.
func TestFailFastLetsCallersWaitForARelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 3, FailFast: true, Backoff: pool.Backoff{Initial: time.Minute, Max: time.Minute}})
		leases := acquireN(t, p, 2)
		f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
		start(t.Context(), p).wantError(t, errScripted)
		start(t.Context(), p).wantError(t, errScripted)
		require.NoError(t, p.Resize(2))
		c := start(t.Context(), p)
		c.wantWaiting(t)
		releaseAll(leases)
		c.wantLease(t).Release()
	})
}

