package conn_test

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
)

func TestBoundIOEndsWithItsContext(t *testing.T) {
	for _, op := range []string{"read", "write"} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := open(t)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				defer c.Bind(ctx)()
				start := time.Now()
				do := c.Read
				if op == "write" {
					do = c.Write
				}
				_, err := do(make([]byte, 1<<20))
				assert.Equal(t, time.Second, time.Since(start))
				e := wantError(t, err, op, context.DeadlineExceeded)
				assert.True(t, e.Timeout())
				assert.True(t, driver.IsBad(err))
				wantDead(t, c, context.DeadlineExceeded)
				wantError(t, c.Err(), "bind", context.DeadlineExceeded)
			})
		})
	}
}

func TestBoundIOReportsTheCauseOfTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := open(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		defer c.Bind(ctx)()
		enough := errors.New("enough")
		time.AfterFunc(time.Second, func() { cancel(enough) })
		err := read(c)
		wantError(t, err, "read", enough)
		assert.ErrorIs(t, err, context.Canceled)
		assert.True(t, driver.SafeToRetry(err))
	})
}

func TestCancelBeatsDeadlinesSetLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer c.Bind(ctx)()
		require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
		cancel()
		synctest.Wait()
		for _, set := range []func(time.Time) error{c.SetDeadline, c.SetReadDeadline, c.SetWriteDeadline} {
			wantError(t, set(time.Now().Add(time.Hour)), "set", context.Canceled)
		}
		start := time.Now()
		wantError(t, read(c), "read", context.Canceled)
		assert.Zero(t, time.Since(start))
		wantBadConn(t, c.ResetSession(t.Context()))
		wantError(t, read(c), "read", context.Canceled)
	})
}

func TestDeadlinesWorkWhileBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := open(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
		unbind := c.Bind(ctx)
		wantError(t, read(c), "read", os.ErrDeadlineExceeded)
		unbind()
		wantError(t, read(c), "read", os.ErrDeadlineExceeded)
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		wantOpen(t, c)
	})
}

func TestCancelAfterUnbindDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		c.Bind(ctx)()
		cancel()
		synctest.Wait()
		wantOpen(t, c)
		write(t, s, "x")
		wantRead(t, c, "x")
	})
}

func TestUnbindTwiceLeavesTheNextBindAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := open(t)
		first, cancelFirst := context.WithCancel(t.Context())
		unbind := c.Bind(first)
		unbind()
		second, cancelSecond := context.WithCancel(t.Context())
		defer c.Bind(second)()
		unbind()
		cancelFirst()
		synctest.Wait()
		assert.True(t, c.IsValid())
		cancelSecond()
		wantError(t, read(c), "read", context.Canceled)
	})
}

func TestBindToAnEndedContextCancelsAtOnce(t *testing.T) {
	c, _ := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	unbind := c.Bind(ctx)
	wantError(t, c.Err(), "bind", context.Canceled)
	unbind()
	_, err := io.WriteString(c, "x")
	wantError(t, err, "write", context.Canceled)
	assert.True(t, driver.SafeToRetry(err))
}

func TestCancelReachesAFailedConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := open(t)
		require.NoError(t, s.CloseWrite())
		assert.Equal(t, io.EOF, read(c))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		defer c.Bind(ctx)()
		_, err := c.Write(make([]byte, 1<<20))
		wantError(t, err, "write", context.DeadlineExceeded)
		wantError(t, c.Err(), "read", io.EOF)
	})
}

func TestBindToAContextThatCannotEndIsFree(t *testing.T) {
	c, _ := open(t)
	assert.Zero(t, testing.AllocsPerRun(100, func() { c.Bind(context.Background())() }))
}

// Pool.Do binds its context, and a method called in it binds another.
func TestBindsNest(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(outer, inner context.CancelFunc)
		dead bool
	}{
		"outer ends under the inner": {func(outer, _ context.CancelFunc) { outer() }, true},
		"inner ends":                 {func(_, inner context.CancelFunc) { inner() }, true},
		"neither ends":               {func(_, _ context.CancelFunc) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := open(t)
				outer, cancelOuter := context.WithCancel(t.Context())
				defer cancelOuter()
				inner, cancelInner := context.WithCancel(context.Background())
				defer cancelInner()
				defer c.Bind(outer)()
				unbind := c.Bind(inner)
				test.end(cancelOuter, cancelInner)
				synctest.Wait()
				assert.Equal(t, !test.dead, c.IsValid())
				unbind()
				cancelInner()
				synctest.Wait()
				assert.Equal(t, !test.dead, c.IsValid(), "after its unbind")
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		c, _ := open(t)
		outer, cancel := context.WithCancel(t.Context())
		defer c.Bind(outer)()
		inner, cancelInner := context.WithCancel(context.Background())
		defer cancelInner()
		c.Bind(inner)()
		cancel()
		synctest.Wait()
		wantError(t, read(c), "read", context.Canceled)
	})
}
