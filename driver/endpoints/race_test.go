package endpoints_test

import (
	"context"
	"errors"
	"net"
	"runtime"
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

var errScripted = errors.New("scripted error")

// The first of two endpoints has a fault. The first Connect takes up to its head start,
// and the second, when the fault is known, no time: field failures 72 and 73.
func TestAFirstEndpointWithAFaultCostsNoMoreThanItsHeadStart(t *testing.T) {
	for _, tc := range []struct {
		name   string
		fault  drivertest.Step
		took   time.Duration
		status endpoints.Status
	}{
		{"hangs", drivertest.Hang, time.Second, endpoints.Down},
		{"refuses", drivertest.Fail(errScripted), 0, endpoints.Down},
		{"wrong password", drivertest.Fail(driver.Permanent(errScripted)), 0, endpoints.Refused},
		{"full", drivertest.Fail(driver.Full(errScripted, 0)), 0, endpoints.Full},
		{"throttled", drivertest.Fail(driver.Throttled(errScripted, time.Hour)), 0, endpoints.Down},
		{"panics", func(context.Context, *drivertest.FakeConn) error { panic(errScripted) }, 0, endpoints.Down},
		{"exits", func(context.Context, *drivertest.FakeConn) error { runtime.Goexit(); return nil }, 0, endpoints.Down},
		{"panics in its error", drivertest.Fail(panicky{}), 0, endpoints.Down},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			f := newFarm(t, "a:1", "b:1")
			c := f.new(endpoints.Set{})
			f.all(tc.fault, "a:1")
			addr, took := connect(t, f, c)
			assert.Equal(t, "b:1", addr)
			assert.Equal(t, tc.took, took)
			assert.Equal(t, tc.status, c.State()[0].Status)
			addr, took = connect(t, f, c)
			assert.Equal(t, "b:1", addr)
			assert.Zero(t, took, "the fault is known")
			assert.Equal(t, []int{1, 2}, f.connects())
		})
	}
}

type panicky struct{}

func (panicky) Error() string { panic(errScripted) }

func TestAnEndpointThatHasAnsweredBeforeHasAShorterHeadStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1")
		c := f.new(endpoints.Set{})
		for _, usual := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond} {
			f.servers["a:1"].Always(drivertest.Connect, drivertest.Delay(usual))
			advance(time.Minute)
			addr, _ := connect(t, f, c)
			require.Equal(t, "a:1", addr)
			f.servers["a:1"].Always(drivertest.Connect, drivertest.Hang)
			addr, took := connect(t, f, c)
			assert.Equal(t, "b:1", addr)
			assert.Equal(t, max(250*time.Millisecond, 4*usual), took)
		}
	})
}

// Share bounds the head start where the deadline is near.
func TestNoEndpointAloneHasMoreThanItsShareOfTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1", "c:1")
		f.all(drivertest.Hang, "a:1", "b:1")
		c := f.new(endpoints.Set{Share: 0.5})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		conn, err := c.Connect(ctx)
		require.NoError(t, err)
		defer conn.Close()
		assert.Equal(t, 750*time.Millisecond, time.Since(began), "half of it, and half of the rest")
	})
}

// The Connect of a pool has more time than the caller that waits for it: field failure
// 72 again.
func TestACallerInAHurryIsServedThoughTheFirstEndpointHangs(t *testing.T) {
	for _, tc := range []struct {
		name           string
		answered       time.Duration // how long the last Connect took, if there was one
		deadline, took time.Duration
	}{
		{"a quarter of the time", 0, 800 * time.Millisecond, 200 * time.Millisecond},
		{"at least 100 ms", 0, 150 * time.Millisecond, 100 * time.Millisecond},
		{"no longer than for a patient caller", 0, 20 * time.Second, time.Second},
		{"twice the usual time of the endpoint", 150 * time.Millisecond, 500 * time.Millisecond, 300 * time.Millisecond},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			f := newFarm(t, "a:1", "b:1")
			p := openPool(t, f.new(endpoints.Set{}), pool.Config{MaxOpen: 4})
			if tc.answered > 0 {
				f.all(drivertest.Delay(tc.answered), "a:1")
				fill(t, p, 1)
				p.ResetIf(func(*conn) bool { return true })
			}
			f.all(drivertest.Hang, "a:1")
			ctx, cancel := context.WithTimeout(t.Context(), tc.deadline)
			defer cancel()
			began := time.Now()
			l, err := p.Acquire(ctx)
			require.NoError(t, err)
			defer l.Release()
			assert.Equal(t, "b:1", l.Conn().addr)
			assert.Equal(t, tc.took, time.Since(began))
		})
	}
}

// A caller that has time waits longer for the preferred endpoint.
func TestAPatientCallerGivesTheFirstEndpointItsWholeHeadStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1")
		f.all(drivertest.Delay(900*time.Millisecond), "a:1")
		p := openPool(t, f.new(endpoints.Set{}), pool.Config{MaxOpen: 4, AcquireTimeout: -1})
		require.NoError(t, p.Warm(t.Context(), 1))
		l, err := p.Acquire(t.Context())
		require.NoError(t, err)
		defer l.Release()
		l, err = p.Acquire(t.Context())
		require.NoError(t, err)
		defer l.Release()
		assert.Equal(t, []int{2, 0}, f.connects())
	})
}

func TestManyEndpointsThatHangDoNotKeepTheLastFromItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1", "c:1", "d:1", "e:1", "f:1", "g:1")
		f.all(drivertest.Hang, f.addrs()[:6]...)
		c := f.new(endpoints.Set{})
		stop := make(chan struct{})
		go func() { // checks that no more than two are tried at once
			defer close(stop)
			for range 100 {
				advance(50 * time.Millisecond)
				trying := 0
				for _, s := range f.servers {
					trying += s.Counts().Connecting
				}
				assert.LessOrEqual(t, trying, 2)
			}
		}()
		addr, took := connect(t, f, c)
		assert.Equal(t, "g:1", addr)
		assert.Equal(t, 6*time.Second, took, "exactly the sum of the head starts")
		<-stop
	})
}

func TestADriverThatIgnoresItsContextDoesNotKeepTheNextFromItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1", "c:1", "d:1")
		over := make(chan struct{})
		defer close(over)
		f.all(drivertest.StallUntil(over), f.addrs()[:3]...)
		addr, took := connect(t, f, f.new(endpoints.Set{}))
		assert.Equal(t, "d:1", addr)
		assert.Equal(t, 3*time.Second+3*100*time.Millisecond, took, "Connect waits a little for canceled tries to end")
	})
}

// Rule 1 of package pool holds for each server. All servers together may have one more
// connection for each Connect in progress.
func TestServersCountNoMoreThanMaxOpenWhileConnectsTryTwoOfThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1", "c:1")
		f.all(drivertest.Delay(1200*time.Millisecond), f.addrs()...)
		p := openPool(t, f.new(endpoints.Set{}), pool.Config{MaxOpen: 4, MaxUses: 1})
		for range 8 {
			go func() {
				for p.Do(context.Background(), func(context.Context, *conn) error { return nil }) == nil {
				}
			}()
		}
		most := 0
		for range 6000 {
			advance(10 * time.Millisecond)
			total := 0
			for _, s := range f.servers {
				total += s.Counts().Open + s.Counts().Connecting
			}
			most = max(most, total)
			assert.LessOrEqual(t, total, 4+p.Stats().Connecting)
		}
		assert.Greater(t, most, 4)
		for addr, s := range f.servers {
			assert.LessOrEqual(t, s.Counts().Peak, 4, addr)
		}
		require.NoError(t, p.Close())
		synctest.Wait()
	})
}

func TestTheLoserOfARaceIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1")
		c := f.new(endpoints.Set{})
		connected := make(chan struct{})
		f.servers["a:1"].Next(drivertest.Connect, 1, drivertest.StallUntil(connected)) // ignores its context
		addr, took := connect(t, f, c)
		assert.Equal(t, "b:1", addr)
		assert.Equal(t, time.Second+100*time.Millisecond, took, "Connect waits a little for the loser")
		close(connected)
		assert.Equal(t, []int{0, 1}, f.open())
		assert.Equal(t, "up up", states(c), "it works, though it is slow")
		assert.Equal(t, 0, c.State()[0].Open)
		f.wantLog(`"endpoint is down" "endpoint"="a:1" "was"="untried" "error"="no connection within 1s"`, `"endpoint is up" "endpoint"="b:1"`,
			`"endpoint is up" "endpoint"="a:1" "was"="down"`)
	})
}

// A connection may be ready at the very moment when the deadline passes.
func TestAConnectionThatComesAtTheDeadlineIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1")
		f.all(drivertest.Delay(10*time.Second), "a:1")
		c := f.new(endpoints.Set{})
		for range 200 {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			conn, err := c.Connect(ctx)
			cancel()
			if err == nil {
				conn.Close()
			}
			require.Equal(t, []int{0}, f.open())
		}
	})
}

func TestACanceledConnectSaysNothingAboutItsEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1")
		f.all(drivertest.Hang, "a:1", "b:1")
		c := f.new(endpoints.Set{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		time.AfterFunc(time.Millisecond, cancel)
		_, err := c.Connect(ctx)
		require.ErrorIs(t, err, context.Canceled)
		synctest.Wait()
		assert.Equal(t, "untried untried", states(c))
		assert.Equal(t, []int{1, 0}, f.connects())

		_, took, err := tryConnect(f, c)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 10*time.Second, took)
		assert.ErrorContains(t, err, "a:1: no connection within 10s; b:1: no connection within 9s: context deadline exceeded")
		assert.Equal(t, "down down", states(c))
	})
}

// oddConn panics when asked for its address. It can't be a key of a map either: its
// type is comparable, but its value is not.
type oddConn struct {
	*drivertest.FakeConn
	key any
}

func (oddConn) RemoteAddr() net.Addr { panic(errScripted) }

func TestAConnectionThatPanicsWhenAskedForItsPeerIsStillUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t)
		fake := drivertest.NewFake(t)
		fake.Wrap = func(c *drivertest.FakeConn) driver.Conn { return oddConn{c, []int{}} }
		var n names
		n.set("db.test", "10.0.0.1")
		c := f.new(endpoints.Set{
			Addrs: []string{"db.test:1"}, Resolver: &n,
			Connector: func(string) (driver.Connector, error) { return fake, nil },
		})
		conn, err := c.Connect(t.Context())
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		c.Ended(conn, false)
		assert.Equal(t, "up", states(c))
		assert.Zero(t, c.State()[0].Open)
	})
}

func TestAShareOfOneWithoutADeadlineIsAHeadStartLikeAnyOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1")
		f.all(drivertest.Delay(100*time.Millisecond), "a:1")
		c := f.new(endpoints.Set{Share: 1})
		made, err := c.Connect(t.Context())
		require.NoError(t, err)
		defer made.Close()
		assert.Equal(t, []int{1, 0}, f.connects())
	})
}

func TestAConnectThatTakesExactlyItsHeadStartSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1")
		f.all(drivertest.Delay(time.Second), "a:1")
		f.all(drivertest.Hang, "b:1")
		for range 200 {
			c := f.new(endpoints.Set{})
			connect(t, f, c)
			require.Equal(t, endpoints.Up, c.State()[0].Status)
		}
	})
}
