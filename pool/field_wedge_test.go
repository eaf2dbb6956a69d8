package pool_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// How pools get stuck, or hand out what nobody can use. Slots that get lost
// and wake-ups that get lost have their tests with rules 3 and 4.

func TestWaiterIsNotStrandedByAFailedConnect(t *testing.T) {
	bubble(t, "that replaces a dead connection", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1, AcquireTimeout: time.Hour})
		l := acquire(t, p)
		callers := startN(t.Context(), p, 3)
		f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
		l.Conn().Kill()
		l.Discard(l.Conn().Use())
		for _, c := range callers {
			c.wantError(t, errScripted) // all were there when it began
		}
		start(t.Context(), p).wantWaiting(t)
		advance(150 * time.Millisecond)
		assert.Equal(t, 1, p.Stats().Leased)
	})

	bubble(t, "that a caller who left had begun", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1, AcquireTimeout: time.Hour})
		gate := make(chan struct{})
		f.Next(drivertest.Connect, 1, func(context.Context, *conn) error { <-gate; return errScripted })
		ctx, cancel := context.WithCancel(t.Context())
		gone, c := start(ctx, p), start(t.Context(), p)
		cancel()
		gone.wantError(t, context.Canceled)
		close(gate)
		c.wantWaiting(t)
		advance(150 * time.Millisecond)
		c.wantLease(t).Release()
	})

	bubble(t, "of the background", func(t *testing.T) {
		f := drivertest.NewFake(t)
		gate := make(chan struct{})
		f.Next(drivertest.Connect, 1, func(context.Context, *conn) error { <-gate; return errScripted })
		p := open[*conn](t, f, pool.Config{MaxOpen: 1, MinIdle: 1, AcquireTimeout: time.Hour})
		c := start(t.Context(), p)
		close(gate)
		c.wantWaiting(t)
		advance(150 * time.Millisecond)
		c.wantLease(t).Release()
	})

	bubble(t, "after Reset", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, AcquireTimeout: time.Hour})
		leases := acquireN(t, p, 2)
		c := start(t.Context(), p)
		f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
		p.Reset()
		releaseAll(leases)
		c.wantError(t, errScripted)
		c = start(t.Context(), p)
		advance(150 * time.Millisecond)
		c.wantLease(t).Release()
	})
}

// One of database/sql's waiters takes the others with it.
func TestOneHungConnectBlocksNobodyElse(t *testing.T) {
	for name, hang := range map[string]drivertest.Step{"obeys its context": drivertest.Hang, "obeys nobody": stall(time.Hour)} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 6})
			f.Next(drivertest.Connect, 1, hang)
			callers := startN(t.Context(), p, 5)
			for _, c := range callers[:4] {
				defer c.wantLease(t).Release()
			}
			// The last one is left with the hung connect, until it fails.
			callers[4].wantWaiting(t)
			advance(10*time.Second + 300*time.Millisecond)
			callers[4].wantLease(t).Release()
			assert.Equal(t, 6, f.Counts().Connects)
			advance(time.Hour)
		})
	}
}

func TestAnswerOfACutShortRequestDoesNotReachTheNextHolder(t *testing.T) {
	bubble(t, "timeout in the middle", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := p.Do(ctx, func(ctx context.Context, c *conn) error {
			<-ctx.Done() // the request is sent, the answer is still to come
			return fmt.Errorf("waiting for the answer: %w", ctx.Err())
		})
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		l := acquire(t, p)
		assert.Equal(t, 2, l.Conn().ID)
		l.Release()
		assert.Equal(t, 1, f.Counts().Closes)
	})

	bubble(t, "late cancel", func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Wrap = drivertest.Bound
		p := open[*drivertest.BoundConn](t, f, pool.Config{MaxOpen: 1})
		ctx, cancel := context.WithCancel(t.Context())
		use := func(_ context.Context, c *drivertest.BoundConn) error { return c.Use() }
		require.NoError(t, p.Do(ctx, use))
		f.Next(drivertest.Use, 1, func(context.Context, *conn) error { cancel(); return nil })
		assert.NoError(t, p.Do(t.Context(), use), "the context of the last holder ends this one's request")
		assert.Equal(t, 1, f.Counts().Connects)
	})
}

func TestPanicFreesTheSlotAndClosesTheConnection(t *testing.T) {
	bubble(t, "once", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1})
		assert.Equal(t, "user", apart(func() {
			p.Do(t.Context(), func(context.Context, *conn) error { panic("user") })
		}))
		l := start(t.Context(), p).wantLease(t)
		assert.Equal(t, 2, l.Conn().ID)
		l.Release()
		assert.Equal(t, 1, f.Counts().Closes)
	})

	bubble(t, "with its reason", func(t *testing.T) {
		var why error
		_, p := openFake(t, pool.Config{OnClose: func(_ driver.Conn, reason error) { why = reason }})
		apart(func() {
			p.Do(t.Context(), func(context.Context, *conn) error { panic("user") })
		})
		synctest.Wait()
		assert.ErrorIs(t, why, pool.ErrUnfinished)
	})

	bubble(t, "of Connect tells its stack", func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		f.Next(drivertest.Connect, 1, drivertest.Panic(io.ErrUnexpectedEOF))
		_, err := p.Acquire(t.Context())
		wantAcquireError(t, err, io.ErrUnexpectedEOF)
		var e *pool.PanicError
		require.ErrorAs(t, err, &e)
		assert.Contains(t, string(e.Stack), "drivertest.(*Fake).Connect")
		assert.ErrorContains(t, err, "pool: panic: unexpected EOF")
	})
}
