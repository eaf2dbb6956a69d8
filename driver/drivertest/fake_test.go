package drivertest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
)

var errScripted = errors.New("scripted")

// connect returns a connection of f as a C.
func connect[C driver.Conn](t *testing.T, f *drivertest.Fake) C {
	t.Helper()
	c, err := f.Connect(t.Context())
	require.NoError(t, err)
	return c.(C)
}

func TestFakeLeftAloneIsHealthy(t *testing.T) {
	f := drivertest.NewFake(t)
	c := connect[*drivertest.FakeConn](t, f)
	assert.NoError(t, c.Use())
	assert.True(t, c.IsValid())
	assert.NoError(t, c.Ping(t.Context()))
	assert.NoError(t, c.ResetSession(t.Context()))
	assert.Equal(t, 1, c.ID)
	assert.Equal(t, 4, c.Uses())
	assert.Equal(t, []*drivertest.FakeConn{c}, f.Conns())
	assert.NoError(t, c.Close())
	assert.False(t, c.IsValid())
	assert.Empty(t, f.Conns())
	assert.Equal(t, drivertest.Counts{Connects: 1, Connected: 1, Peak: 1, Pings: 1, Resets: 1, Closes: 1}, f.Counts())
}

func TestFakeIsADriverForAnyDSN(t *testing.T) {
	f := drivertest.NewFake(t)
	f.Advised = driver.Advice{Name: "fake", MaxOpen: 3}
	connector, err := f.OpenConnector("fake://a")
	require.NoError(t, err)
	assert.Same(t, f, connector)
	assert.Equal(t, f.Advised, connector.(driver.Advisor).Advice())

	c, err := f.Open("fake://user:secret@b")
	require.NoError(t, err)
	require.NoError(t, c.Close())
	assert.Equal(t, []string{"fake://a", "fake://user:secret@b"}, f.DSNs())
	assert.NotContains(t, f.String(), "secret")
}

func TestNextStepsComeBeforeAlways(t *testing.T) {
	f := drivertest.NewFake(t)
	errThen := errors.New("then")
	f.Always(drivertest.Connect, drivertest.Fail(errThen))
	f.Next(drivertest.Connect, 2, drivertest.Fail(errScripted))
	f.Next(drivertest.Connect, 1, drivertest.Fail(driver.Permanent(errScripted)))

	var got []error
	for range 5 {
		_, err := f.Connect(t.Context())
		got = append(got, err)
	}
	assert.ErrorIs(t, got[0], errScripted)
	assert.ErrorIs(t, got[1], errScripted)
	assert.True(t, driver.IsPermanent(got[2]))
	assert.ErrorIs(t, got[3], errThen)
	assert.ErrorIs(t, got[4], errThen)

	f.Always(drivertest.Connect, nil)
	assert.Equal(t, 6, connect[*drivertest.FakeConn](t, f).ID)
	assert.Equal(t, 1, f.Counts().Connected)
	assert.Len(t, f.ConnectTimes(), 6)
}

func TestHangingConnectEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Always(drivertest.Connect, drivertest.Hang)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		_, err := f.Connect(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Minute, time.Since(start))
		assert.Equal(t, drivertest.Counts{Connects: 1, Peak: 1}, f.Counts())
		assert.Equal(t, []time.Time{start}, f.ConnectTimes())
	})
}

func TestConnectDoesNotBeginAfterItsContextEnded(t *testing.T) {
	f := drivertest.NewFake(t)
	f.Always(drivertest.Connect, drivertest.Panic("begun"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.Connect(ctx)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestGateReleasesConnectsOneByOneOrAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		gate := make(chan struct{})
		f.Always(drivertest.Connect, drivertest.HangUntil(gate))
		for range 3 {
			go f.Connect(t.Context())
		}
		synctest.Wait()
		assert.Equal(t, drivertest.Counts{Connects: 3, Connecting: 3, Peak: 3}, f.Counts())
		assert.Empty(t, f.Conns())
		gate <- struct{}{}
		synctest.Wait()
		assert.Len(t, f.Conns(), 1)
		close(gate)
		synctest.Wait()
		assert.Equal(t, drivertest.Counts{Connects: 3, Connected: 3, Open: 3, Peak: 3}, f.Counts())
	})
}

func TestStallIgnoresContextAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		c := connect[*drivertest.FakeConn](t, f)
		gate := make(chan struct{})
		f.Next(drivertest.Ping, 1, drivertest.StallUntil(gate))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Ping(ctx) }()
		synctest.Wait()
		cancel()
		c.Close()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("Ping() = %v before the gate opened", err)
		default:
		}
		close(gate)
		assert.ErrorIs(t, <-done, net.ErrClosed)
	})
}

func TestDelayedPingTakesThatLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		c := connect[*drivertest.FakeConn](t, f)
		f.Always(drivertest.Ping, drivertest.Delay(3*time.Second))
		start := time.Now()
		assert.NoError(t, c.Ping(t.Context()))
		assert.Equal(t, 3*time.Second, time.Since(start))
		assert.True(t, c.IsValid())

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, c.Ping(ctx), context.DeadlineExceeded)
		assert.False(t, c.IsValid())
	})
}

func TestKilledConnectionLooksValidUntilItIsUsed(t *testing.T) {
	f := drivertest.NewFake(t)
	c := connect[*drivertest.FakeConn](t, f)
	c.Kill()
	c.Kill()
	assert.True(t, c.IsValid())
	assert.ErrorIs(t, c.ResetSession(t.Context()), driver.ErrBadConn)
	assert.True(t, c.IsValid())
	assert.ErrorIs(t, c.Use(), io.EOF)
	assert.False(t, c.IsValid())
	assert.ErrorIs(t, c.Ping(t.Context()), io.EOF)
	assert.Equal(t, 1, f.Counts().Open, "the server counts it until it is closed")
	require.NoError(t, c.Close())
}

func TestOutageKillsAllAndFailsConnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		c := connect[*drivertest.FakeConn](t, f)
		gate := make(chan struct{})
		f.Next(drivertest.Connect, 1, drivertest.StallUntil(gate))
		half := make(chan error)
		go func() {
			_, err := f.Connect(t.Context())
			half <- err
		}()
		synctest.Wait()

		f.Down(errScripted)
		close(gate)
		assert.ErrorIs(t, <-half, io.EOF, "a Connect in progress died too")
		assert.ErrorIs(t, c.Use(), io.EOF)
		_, err := f.Connect(t.Context())
		assert.ErrorIs(t, err, errScripted)

		f.Up()
		assert.NoError(t, connect[*drivertest.FakeConn](t, f).Use())
	})
}

func TestRoomCountsConnectingOpenAndClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Room(2, time.Minute)
		open := connect[*drivertest.FakeConn](t, f)
		gate := make(chan struct{})
		f.Next(drivertest.Connect, 1, drivertest.HangUntil(gate))
		connected := make(chan error, 1)
		go func() {
			_, err := f.Connect(t.Context())
			connected <- err
		}()
		synctest.Wait()
		wantFull := func(when string) {
			t.Helper()
			c, err := f.Connect(t.Context())
			assert.Nil(t, c, when)
			assert.True(t, driver.IsFull(err), "%s: %v", when, err)
			after, _ := driver.RetryAfter(err)
			assert.Equal(t, time.Minute, after, when)
		}
		wantFull("one is connecting")
		wantFull("refused ones don't count")
		close(gate)
		require.NoError(t, <-connected)
		wantFull("both are open")

		closing := make(chan struct{})
		f.Next(drivertest.Close, 1, drivertest.StallUntil(closing))
		go open.Close()
		synctest.Wait()
		wantFull("one is closing")
		close(closing)
		synctest.Wait()
		connect[*drivertest.FakeConn](t, f)
		assert.Equal(t, drivertest.Counts{Connects: 7, Connected: 3, Open: 2, Peak: 3, Closes: 1}, f.Counts())
	})
}

func TestRoomChangesAtAnyTime(t *testing.T) {
	f := drivertest.NewFake(t)
	c := connect[*drivertest.FakeConn](t, f)
	f.Room(0, 0)
	_, err := f.Connect(t.Context())
	assert.EqualError(t, err, "drivertest: connect: the server has no room for more than 0 connections")
	assert.NoError(t, c.Use(), "open connections stay")
	f.Room(2, 0)
	connect[*drivertest.FakeConn](t, f)
	f.Room(-1, 0)
	connect[*drivertest.FakeConn](t, f)
	assert.Equal(t, 3, f.Counts().Open)
}

func TestTheScriptDelaysARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Room(1, 0)
		c := connect[*drivertest.FakeConn](t, f)
		f.Next(drivertest.Connect, 1, drivertest.Delay(time.Second))
		f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
		f.Next(drivertest.Connect, 1, drivertest.Panic("script"))
		start := time.Now()
		refused := make(chan error, 1)
		go func() {
			_, err := f.Connect(t.Context())
			refused <- err
		}()
		synctest.Wait()
		require.NoError(t, c.Close())
		_, err := f.Connect(t.Context())
		assert.ErrorIs(t, err, errScripted)
		assert.PanicsWithValue(t, "script", func() { f.Connect(t.Context()) })
		connect[*drivertest.FakeConn](t, f) // there is room while another is still being refused
		assert.True(t, driver.IsFull(<-refused))
		assert.Equal(t, time.Second, time.Since(start))

		f.Next(drivertest.Connect, 1, drivertest.Panic("script"))
		assert.PanicsWithValue(t, "script", func() { f.Connect(t.Context()) })
		_, err = f.Connect(t.Context())
		assert.True(t, driver.IsFull(err), "even after a Connect that was to be refused has panicked")
	})
}

func TestCloseAndKillUnblockAHangingUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Always(drivertest.Use, drivertest.Hang)
		a, b := connect[*drivertest.FakeConn](t, f), connect[*drivertest.FakeConn](t, f)
		done := make(chan error)
		go func() { done <- a.Use() }()
		synctest.Wait()
		a.Close()
		assert.ErrorIs(t, <-done, net.ErrClosed)
		go func() { done <- b.Use() }()
		synctest.Wait()
		b.Kill()
		assert.ErrorIs(t, <-done, io.EOF)
	})
}

func TestUseErrorBreaksTheConnectionOnlyIfBad(t *testing.T) {
	f := drivertest.NewFake(t)
	c := connect[*drivertest.FakeConn](t, f)
	f.Next(drivertest.Use, 1, drivertest.Fail(errScripted))
	assert.ErrorIs(t, c.Use(), errScripted)
	assert.True(t, c.IsValid())
	f.Next(drivertest.Use, 1, drivertest.Fail(io.ErrUnexpectedEOF))
	assert.ErrorIs(t, c.Use(), io.ErrUnexpectedEOF)
	assert.False(t, c.IsValid())
	assert.ErrorIs(t, c.ResetSession(t.Context()), driver.ErrBadConn)
}

func TestSentAndReceivedCountRoundTripsSinceTheReset(t *testing.T) {
	f := drivertest.NewFake(t)
	c := connect[*drivertest.FakeConn](t, f)
	var received driver.Receiver = c
	assert.Zero(t, received.Received())
	require.NoError(t, c.Use())
	require.NoError(t, c.Ping(t.Context()))
	assert.True(t, c.IsValid())
	f.Next(drivertest.Use, 1, drivertest.Fail(errScripted))
	require.Error(t, c.Use())
	assert.EqualValues(t, 2, received.Received(), "the answers")
	assert.EqualValues(t, 3, c.Sent(), "the requests")
	f.Next(drivertest.Use, 1, drivertest.Fail(driver.ErrBadConn))
	require.Error(t, c.Use())
	assert.EqualValues(t, 3, c.Sent(), "the requests that were sent")
	c = connect[*drivertest.FakeConn](t, f)
	require.NoError(t, c.Use())
	require.NoError(t, c.ResetSession(t.Context()))
	assert.Zero(t, c.Sent()+c.Received())
	c.Kill()
	require.Error(t, c.Use())
	require.NoError(t, c.Close())
	assert.Zero(t, c.Sent()+c.Received())
}

func TestResetAndValidAndCloseAreScripted(t *testing.T) {
	f := drivertest.NewFake(t)
	c := connect[*drivertest.FakeConn](t, f)
	for _, op := range []drivertest.Op{drivertest.ResetSession, drivertest.IsValid, drivertest.Close} {
		f.Next(op, 1, drivertest.Fail(errScripted))
	}
	assert.ErrorIs(t, c.ResetSession(t.Context()), errScripted)
	assert.NoError(t, c.ResetSession(t.Context()))
	assert.False(t, c.IsValid())
	assert.True(t, c.IsValid())
	assert.ErrorIs(t, c.Close(), errScripted)
	assert.Zero(t, f.Counts().Open)
}

func TestServerCountsAClosingConnectionUntilCloseReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		c := connect[*drivertest.FakeConn](t, f)
		gate := make(chan struct{})
		f.Always(drivertest.Close, drivertest.StallUntil(gate))
		go c.Close()
		synctest.Wait()
		assert.True(t, c.IsClosed())
		connect[*drivertest.FakeConn](t, f)
		assert.Equal(t, drivertest.Counts{Connects: 2, Connected: 2, Open: 2, Peak: 2, Closes: 1}, f.Counts())
		close(gate)
		synctest.Wait()
		assert.Equal(t, 1, f.Counts().Open)
	})
}

func TestPanicAndGoexitKeepTheCountsRight(t *testing.T) {
	f := drivertest.NewFake(t)
	c := connect[*drivertest.FakeConn](t, f)
	for _, op := range []drivertest.Op{
		drivertest.Connect, drivertest.Ping, drivertest.ResetSession, drivertest.IsValid, drivertest.Use, drivertest.Close,
	} {
		f.Next(op, 1, drivertest.Panic(op.String()))
	}
	assert.PanicsWithValue(t, "Connect", func() { f.Connect(t.Context()) })
	assert.PanicsWithValue(t, "Ping", func() { c.Ping(t.Context()) })
	assert.PanicsWithValue(t, "ResetSession", func() { c.ResetSession(t.Context()) })
	assert.PanicsWithValue(t, "IsValid", func() { c.IsValid() })
	assert.PanicsWithValue(t, "Use", func() { c.Use() })
	assert.PanicsWithValue(t, "Close", func() { c.Close() })

	f.Next(drivertest.Connect, 1, drivertest.Goexit)
	var wg sync.WaitGroup
	wg.Go(func() { f.Connect(context.Background()) })
	wg.Wait()
	assert.Equal(t, drivertest.Counts{Connects: 3, Connected: 1, Peak: 2, Pings: 1, Resets: 1, Closes: 1}, f.Counts())
}

func TestWrapMakesTheConnectionsOfTheTest(t *testing.T) {
	type mailbox struct{ *drivertest.FakeConn }
	f := drivertest.NewFake(t)
	f.Wrap = func(c *drivertest.FakeConn) driver.Conn { return mailbox{c} }
	c := connect[mailbox](t, f)
	assert.NoError(t, c.Use())
	assert.Same(t, f.Conns()[0], c.FakeConn)
}

func TestBareConnectionsHaveNoOptionalInterface(t *testing.T) {
	f := drivertest.NewFake(t)
	f.Wrap = drivertest.Bare
	var c driver.Conn = connect[*drivertest.BareConn](t, f)
	_, pings := c.(driver.Pinger)
	_, resets := c.(driver.SessionResetter)
	_, validates := c.(driver.Validator)
	_, binds := c.(driver.Binder)
	_, receives := c.(driver.Receiver)
	assert.False(t, pings || resets || validates || binds || receives)
	bare := c.(*drivertest.BareConn)
	assert.NoError(t, bare.Use())
	assert.NoError(t, bare.Close())
	assert.True(t, bare.FakeConn().IsClosed())
}

func TestBoundConnectionObeysAContextUntilUnbind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Wrap = drivertest.Bound
		c := connect[*drivertest.BoundConn](t, f)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()

		unbind := c.Bind(ctx)
		unbind()
		<-ctx.Done()
		assert.NoError(t, c.Use())

		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		f.Always(drivertest.Use, drivertest.Hang)
		defer c.Bind(ctx)()
		assert.ErrorIs(t, c.Use(), context.DeadlineExceeded)
		assert.False(t, c.IsValid())
	})
}

func TestBindsNest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Wrap = drivertest.Bound
		c := connect[*drivertest.BoundConn](t, f)
		outer, cancelOuter := context.WithCancel(t.Context())
		defer cancelOuter()
		defer c.Bind(outer)()
		inner, cancelInner := context.WithCancel(context.Background())
		unbind := c.Bind(inner)
		unbind()
		cancelInner()
		assert.NoError(t, c.Use(), "after the inner unbind")

		f.Always(drivertest.Use, drivertest.Hang)
		defer c.Bind(context.Background())()
		time.AfterFunc(time.Second, cancelOuter)
		assert.ErrorIs(t, c.Use(), context.Canceled, "the outer Bind counts inside the inner one")
	})
}

func TestMisuseIsReported(t *testing.T) {
	for name, tt := range map[string]struct {
		misuse func(*drivertest.Fake, *drivertest.BoundConn)
		want   string
	}{
		"use after Close": {func(_ *drivertest.Fake, c *drivertest.BoundConn) {
			c.Close()
			c.Use()
		}, "connection 1: Use after Close"},
		"ping after Close": {func(_ *drivertest.Fake, c *drivertest.BoundConn) {
			c.Close()
			c.Ping(context.Background())
		}, "connection 1: Ping after Close"},
		"second Close": {func(_ *drivertest.Fake, c *drivertest.BoundConn) {
			c.Close()
			c.Close()
		}, "connection 1: second Close"},
		"two users": {func(f *drivertest.Fake, c *drivertest.BoundConn) {
			f.Next(drivertest.Use, 1, func(ctx context.Context, c *drivertest.FakeConn) error { return c.Ping(ctx) })
			c.Use()
		}, "connection 1: Ping while another call is in progress"},
		"bound when reset": {func(_ *drivertest.Fake, c *drivertest.BoundConn) {
			c.Bind(context.Background())
			c.ResetSession(context.Background())
		}, "connection 1: ResetSession without unbind"},
	} {
		t.Run(name, func(t *testing.T) {
			r := record(t, func(t testing.TB) {
				f := drivertest.NewFake(t)
				f.Wrap = drivertest.Bound
				c, err := f.Connect(context.Background())
				require.NoError(t, err)
				tt.misuse(f, c.(*drivertest.BoundConn))
			})
			require.Len(t, r.errors, 1)
			assert.Contains(t, r.errors[0], tt.want)
			assert.Contains(t, r.errors[0], "fake_test.go", "the stack of the caller")
		})
	}
}

func TestFakeIsSafeForConcurrentUse(t *testing.T) {
	f := drivertest.NewFake(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 50 {
				f.Next(drivertest.Ping, 1, drivertest.Fail(errScripted))
				c, err := f.Connect(t.Context())
				if err != nil {
					continue
				}
				c.(*drivertest.FakeConn).Ping(t.Context())
				if i%10 == 0 {
					f.KillAll()
				}
				c.(*drivertest.FakeConn).Use()
				c.Close()
				f.Counts()
				runtime.Gosched()
			}
		})
	}
	wg.Wait()
	n := f.Counts()
	assert.Equal(t, n.Connected, n.Closes)
	assert.Zero(t, n.Open)
	assert.LessOrEqual(t, n.Peak, 8)
}
