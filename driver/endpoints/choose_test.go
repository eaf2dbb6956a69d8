package endpoints_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/driver/endpoints"
	"github.com/hotline-go/hotline/pool"
)

// evenly fails t unless all shares are within 10% of their mean.
func evenly(t testing.TB, shares []int) {
	t.Helper()
	sum := 0
	for _, n := range shares {
		sum += n
	}
	mean := float64(sum) / float64(len(shares))
	for _, n := range shares {
		assert.InDelta(t, mean, n, mean/10, "%v", shares)
	}
}

// Field failure 75: the neighbor of a dead host gets all of its connections.
func TestLeastOpenSharesEvenlyAfterAStartAFailureAndARecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1", "c:1")
		p := openPool(t, f.new(endpoints.Set{Order: endpoints.LeastOpen}), pool.Config{MaxOpen: 60, MaxLifetime: 10 * time.Minute, MaxIdleTime: -1})
		f.all(drivertest.Delay(10*time.Millisecond), f.addrs()...)
		fill(t, p, 60)
		evenly(t, f.open())

		f.all(drivertest.Fail(errScripted), "a:1")
		f.servers["a:1"].KillAll()
		n := p.ResetIf(func(c *conn) bool { return c.Use() != nil })
		assert.Equal(t, 20, n)
		fill(t, p, 60)
		open := f.open()
		assert.Zero(t, open[0])
		evenly(t, open[1:])

		f.all(drivertest.Delay(10*time.Millisecond), "a:1")
		most := 0
		for range 13 * 60 {
			advance(time.Second)
			most = max(most, f.servers["a:1"].Counts().Connecting)
		}
		evenly(t, f.open())
		assert.LessOrEqual(t, most, 8, "no connect storm on the server that is back")

		for range 10_000 / 20 {
			leases := make([]pool.Lease[*conn], 20)
			for i := range leases {
				var err error
				leases[i], err = p.Acquire(t.Context())
				require.NoError(t, err)
			}
			for _, l := range leases {
				l.Discard(nil)
			}
			synctest.Wait()
			fill(t, p, 60)
			evenly(t, f.open())
		}
	})
}

func TestRandomSharesEvenly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1", "c:1")
		c := f.new(endpoints.Set{Order: endpoints.Random})
		for range 10_000 {
			made, err := c.Connect(t.Context())
			require.NoError(t, err)
			made.Close()
		}
		evenly(t, f.connects())
	})
}

// Connects that run at the same time take each other into account.
func TestLeastOpenCountsConnectsInProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1", "c:1")
		c := f.new(endpoints.Set{Order: endpoints.LeastOpen})
		for range 30 {
			go c.Connect(t.Context())
		}
		assert.Equal(t, []int{10, 10, 10}, f.connects())
	})
}

func TestInOrderGoesBackToTheFirstWithinOneLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1")
		p := openPool(t, f.new(endpoints.Set{}), pool.Config{MaxOpen: 20, MaxLifetime: 10 * time.Minute, MaxIdleTime: -1})
		fill(t, p, 20)
		assert.Equal(t, []int{20, 0}, f.open())

		f.all(drivertest.Fail(errScripted), "a:1")
		f.servers["a:1"].KillAll()
		p.Reset()
		fill(t, p, 1) // one Connect, because several may log in any order
		fill(t, p, 20)
		assert.Equal(t, []int{0, 20}, f.open())
		f.wantLog(`"endpoint is up" "endpoint"="a:1"`, `"endpoint is down" "endpoint"="a:1" "was"="up" "error"="drivertest: connect: scripted error"`, `"endpoint is up" "endpoint"="b:1" "was"="untried" "set"="fake a:1,b:1"`)

		advance(5 * time.Minute)
		f.all(nil, "a:1")
		least := 20
		for range 7 * 60 {
			advance(time.Second)
			open := f.open()
			least = min(least, open[0]+open[1])
		}
		assert.Equal(t, []int{20, 0}, f.open())
		assert.GreaterOrEqual(t, least, 10, "no more than half are replaced at once")
	})
}

func TestAnEndpointThatIsDownIsTriedByOneConnectAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1")
		f.all(drivertest.Hang, "a:1")
		c := f.new(endpoints.Set{})
		connect(t, f, c)
		tries := f.servers["a:1"].Counts().Connects
		for range 5 * 60 * 10 {
			for range 5 {
				go func() {
					if made, err := c.Connect(t.Context()); assert.NoError(t, err) {
						made.Close()
					}
				}()
			}
			advance(100 * time.Millisecond)
			assert.LessOrEqual(t, f.servers["a:1"].Counts().Connecting, 1)
		}
		advance(time.Minute)
		tries = f.servers["a:1"].Counts().Connects - tries
		assert.InDelta(t, 30, tries, 10, "one every 10 s, and a few more at the beginning")
	})
}

// Rejected passwords don't lock the account, whether one endpoint rejects them or all
// do.
func TestAPermanentErrorRestsForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1")
		f.all(drivertest.Fail(driver.Permanent(errScripted)), "a:1")
		f.all(drivertest.Fail(errScripted), "b:1")
		c := f.new(endpoints.Set{})
		for range 59 {
			_, _, err := tryConnect(f, c)
			require.ErrorContains(t, err, "a:1: drivertest: connect: scripted error")
			assert.False(t, driver.IsPermanent(err), "b:1 may come back")
			advance(time.Second)
		}
		assert.Equal(t, []int{1, 59}, f.connects())
		advance(2 * time.Second)
		_, _, _ = tryConnect(f, c)
		assert.Equal(t, []int{2, 60}, f.connects())

		f.all(drivertest.Fail(driver.Permanent(errScripted)), "b:1")
		_, _, err := tryConnect(f, c)
		assert.True(t, driver.IsPermanent(err), "both errors are permanent: %v", err)
		assert.Equal(t, []int{2, 61}, f.connects())
	})
}

// Also if nothing better is left for the others.
func TestOneConnectTriesAnEndpointThatRefusedAMinuteAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1")
		f.all(func(context.Context, *drivertest.FakeConn) error {
			<-time.After(time.Second / 10)
			return driver.Permanent(errScripted)
		}, "a:1")
		f.all(drivertest.Fail(errScripted), "b:1")
		c := f.new(endpoints.Set{})
		_, _, err := tryConnect(f, c)
		require.Error(t, err)
		advance(time.Minute)
		for range 8 {
			go tryConnect(f, c)
		}
		advance(time.Second)
		assert.Equal(t, 2, f.connects()[0])
	})
}

// Connects that were in progress then must not make it try again sooner.
func TestAnotherFailureDoesNotEndTheMinuteAfterAPermanentError(t *testing.T) {
	for name, hangs := range map[string]time.Duration{"a Connect that exceeds its head start": time.Minute, "a Connect that fails": 700 * time.Millisecond} {
		bubble(t, name, func(t *testing.T) {
			f := newFarm(t, "a:1", "b:1")
			after := func(d time.Duration, err error) drivertest.Step {
				return func(ctx context.Context, _ *drivertest.FakeConn) error {
					select {
					case <-time.After(d):
						return err
					case <-ctx.Done():
						return ctx.Err()
					}
				}
			}
			f.all(after(hangs, errScripted), "a:1")
			f.servers["a:1"].Next(drivertest.Connect, 1, after(time.Second/2, driver.Permanent(errScripted)))
			c := f.new(endpoints.Set{})
			go tryConnect(f, c)
			synctest.Wait()
			go tryConnect(f, c)
			advance(5 * time.Second)
			require.Equal(t, []int{2, 2}, f.connects())
			assert.Equal(t, "refused up", states(c))
			connect(t, f, c)
			assert.Equal(t, []int{2, 3}, f.connects())
			advance(time.Minute)
			connect(t, f, c)
			assert.Equal(t, 3, f.connects()[0])
		})
	}
}

// After new credentials, or the repair of a server, endpoints are tried at once.
func TestAResetOfThePoolEndsAllRests(t *testing.T) {
	for name, step := range map[string]drivertest.Step{
		"down":      drivertest.Fail(errScripted),
		"permanent": drivertest.Fail(driver.Permanent(errScripted)),
		"throttled": drivertest.Fail(driver.Throttled(errScripted, time.Hour)),
	} {
		bubble(t, name, func(t *testing.T) {
			f := newFarm(t, "a:1", "b:1")
			f.all(step, "a:1")
			c := f.new(endpoints.Set{})
			p := openPool(t, c, pool.Config{MaxOpen: 4})
			for range 5 { // each failure makes the rest longer
				advance(20 * time.Second)
				p.ResetIf(func(*conn) bool { return true })
				fill(t, p, 4)
			}
			f.all(nil, "a:1")
			p.Reset()
			assert.Zero(t, c.State()[0].RestEnds)
			fill(t, p, 4)
			assert.Equal(t, []int{4, 0}, f.open())
		})
	}
}

// That Connect may have used the old password.
func TestAConnectThatBeganBeforeForgetShowsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1")
		f.servers["a:1"].Next(drivertest.Connect, 1, func(context.Context, *drivertest.FakeConn) error {
			<-time.After(time.Second / 2)
			return driver.Permanent(errScripted)
		})
		c := f.new(endpoints.Set{})
		go tryConnect(f, c)
		advance(time.Second / 10)
		c.Forget()
		advance(time.Second)
		assert.Equal(t, []int{1, 1}, f.connects())
		addr, _ := connect(t, f, c)
		assert.Equal(t, "a:1", addr)
	})
}

// A holder keeps a connection from before the reset, and finds that it is dead. The
// server may be well again.
func TestAConnectionFromBeforeAResetShowsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1")
		f.servers["a:1"].Always(drivertest.Use, drivertest.Fail(io.EOF))
		c := f.new(endpoints.Set{})
		p := openPool(t, c, pool.Config{MaxOpen: 4})
		use := func(_ context.Context, c *conn) error { return c.Use() }
		old, err := p.Acquire(t.Context())
		require.NoError(t, err)
		require.Error(t, p.Do(t.Context(), use))
		advance(0)
		require.Equal(t, "down untried", states(c))

		f.servers["a:1"].Always(drivertest.Use, nil)
		advance(time.Second)
		p.Reset()
		advance(time.Second)
		old.Discard(io.EOF)
		advance(0)
		require.NoError(t, p.Do(t.Context(), use))
		assert.Equal(t, "up untried", states(c))
	})
}

// Field failure 76: all look bad, and none is tried.
func TestEndpointsThatAllLookBadAreTriedAllTheSame(t *testing.T) {
	for name, step := range map[string]drivertest.Step{
		"down":      drivertest.Fail(errScripted),
		"permanent": drivertest.Fail(driver.Permanent(errScripted)),
		"throttled": drivertest.Fail(driver.Throttled(errScripted, time.Hour)),
		"full":      drivertest.Fail(driver.Full(errScripted, time.Hour)),
	} {
		bubble(t, name, func(t *testing.T) {
			f := newFarm(t, "a:1", "b:1", "c:1")
			f.all(step, f.addrs()...)
			c := f.new(endpoints.Set{})
			for range 10 {
				_, _, err := tryConnect(f, c)
				require.ErrorIs(t, err, errScripted)
			}
			f.all(nil, "c:1")
			addr, took := connect(t, f, c)
			assert.Equal(t, "c:1", addr)
			assert.Zero(t, took)
		})
	}
}

func TestTheEndpointWhoseRestEndsFirstIsTriedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1", "c:1")
		f.all(drivertest.Fail(errScripted), "a:1", "c:1")
		c := f.new(endpoints.Set{})
		for range 60 {
			connect(t, f, c)
			advance(time.Second)
		}
		connect(t, f, c) // a:1 rests for seconds more
		f.all(drivertest.Fail(errScripted), "b:1")
		for range 5 {
			_, _, err := tryConnect(f, c)
			assert.Regexp(t, "b:1: .*; a:1: |c:1: .*; b:1: .*; a:1: ", err.Error())
		}
	})
}

// Field failure 74: one bad host delays the callers of all.
func TestOneEndpointThatHangsDoesNotSlowThePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1", "c:1")
		p := openPool(t, f.new(endpoints.Set{Order: endpoints.LeastOpen}), pool.Config{MaxOpen: 10})
		fill(t, p, 6)
		f.all(drivertest.Hang, "b:1")
		f.servers["b:1"].KillAll()
		var slowest time.Duration
		for range 600 {
			began := time.Now()
			require.ErrorIs(t, p.Do(t.Context(), func(context.Context, *conn) error { return driver.ErrBadConn }), driver.ErrBadConn)
			slowest = max(slowest, time.Since(began))
			advance(100 * time.Millisecond)
		}
		assert.LessOrEqual(t, slowest, 300*time.Millisecond)
	})
}

// Field failure 77: the pool keeps its connections to a primary that was demoted.
func TestWantMovesThePoolToTheServerThatHasTheRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1")
		primary := "a:1"
		isPrimary := func(_ context.Context, c driver.Conn) error {
			if c.(*conn).addr != primary {
				return driver.Permanent(errors.New("read-only\n"))
			}
			return nil
		}
		c := f.new(endpoints.Set{Want: isPrimary})
		p := openPool(t, c, pool.Config{MaxOpen: 10, MaxLifetime: 10 * time.Minute, MaxIdleTime: -1})
		fill(t, p, 10)
		assert.Equal(t, []int{10, 0}, f.open())
		primary = "b:1"
		for range 20 * 60 {
			advance(time.Second)
			assert.GreaterOrEqual(t, p.Stats().Open, 5)
		}
		assert.Equal(t, []int{0, 10}, f.open(), "after one lifetime")
		assert.Equal(t, "unfit up", states(c))

		primary = ""
		_, _, err := tryConnect(f, c)
		assert.ErrorContains(t, err, `a:1: not wanted: read-only\n`)
		assert.False(t, driver.IsPermanent(err), "roles change")
		assert.Equal(t, []int{0, 10}, f.open(), "rejected connections are closed")
	})
}

// A proxy without a server behind it accepts connections and closes them. Each such
// connection costs a caller an error, so there must be few.
func TestAnEndpointWhoseConnectionsAreUselessIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1")
		f.servers["a:1"].Always(drivertest.Use, drivertest.Fail(io.EOF))
		c := f.new(endpoints.Set{})
		p := openPool(t, c, pool.Config{MaxOpen: 4, MaxUses: 1})
		failed := 0
		for range 5 * 60 * 10 {
			if p.Do(t.Context(), func(_ context.Context, c *conn) error { return c.Use() }) != nil {
				failed++
			}
			advance(100 * time.Millisecond)
		}
		assert.Less(t, failed, 40, "of 3000 calls in 5 minutes")
		assert.ErrorContains(t, c.State()[0].Err, "dead at its first use")

		f.servers["a:1"].Always(drivertest.Use, nil)
		advance(2 * time.Minute)
		for range 10 {
			require.NoError(t, p.Do(t.Context(), func(_ context.Context, c *conn) error { return c.Use() }))
		}
		assert.Equal(t, "up up", states(c))
	})
}

// When a server restarts, all Connects in progress fail. That counts as one failure.
func TestConnectsThatFailTogetherAreOneFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1")
		restarted := make(chan struct{})
		f.all(func(context.Context, *drivertest.FakeConn) error { <-restarted; return errScripted }, "a:1")
		c := f.new(endpoints.Set{})
		for range 8 {
			go tryConnect(f, c)
		}
		advance(10 * time.Millisecond)
		close(restarted)
		assert.Equal(t, []int{8, 8}, f.connects())
		f.all(nil, "a:1")
		advance(200 * time.Millisecond)
		addr, _ := connect(t, f, c)
		assert.Equal(t, "a:1", addr)
	})
}

// A connection may be useless by chance, for example because the server was restarted
// just then. The endpoint stays in use, with one Connect at a time.
func TestOneUselessConnectionDoesNotKeepAnEndpointFromItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1")
		c := f.new(endpoints.Set{})
		p := openPool(t, c, pool.Config{MaxOpen: 4, MaxUses: 1})
		use := func() {
			_ = p.Do(t.Context(), func(_ context.Context, c *conn) error { return c.Use() })
		}
		f.servers["a:1"].Next(drivertest.Use, 1, drivertest.Fail(io.EOF))
		for range 59 * 4 {
			use()
			advance(time.Second / 4)
		}
		assert.Equal(t, endpoints.Down, c.State()[0].Status)
		assert.Greater(t, f.connects()[0], 200, "%v", f.connects())
		advance(time.Minute)
		use()
		assert.Equal(t, endpoints.Up, c.State()[0].Status)
	})
}
