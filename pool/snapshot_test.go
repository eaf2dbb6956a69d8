package pool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"reflect"
	"strings"
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

// wantState fails t unless p is in the given state, for the given reason.
func wantState(t *testing.T, p *pool.Pool[*conn], state pool.State, why string) {
	t.Helper()
	synctest.Wait()
	s := p.Snapshot()
	assert.Equal(t, state.String()+": "+why, s.State.String()+": "+s.Why)
}

func TestStateSaysWhyConnectingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, Backoff: pool.Backoff{Initial: 4 * time.Second, Jitter: -1}, LeakAfter: -1})
		wantState(t, p, pool.Healthy, "")
		f.Down(errors.New("connection\nrefused"))
		start(t.Context(), p).wantError(t, nil)
		wantState(t, p, pool.Down, `connecting fails (for 0s): drivertest: connect: connection\nrefused; next attempt in 4s`)
		waiting := start(t.Context(), p)
		advance(2500 * time.Millisecond)
		wantState(t, p, pool.Down, `connecting fails (for 2.5s): drivertest: connect: connection\nrefused; next attempt in 1.5s`)
		f.Always(drivertest.Connect, drivertest.Delay(2*time.Second))
		advance(2 * time.Second)
		s := p.Snapshot()
		assert.Positive(t, s.NextConnect)
		advance(2 * time.Second)
		l := waiting.wantLease(t)
		wantState(t, p, pool.Healthy, "")
		s = p.Snapshot()
		assert.Equal(t, `drivertest: connect: connection\nrefused`, s.LastError, "the last error is kept when all is well")
		assert.Equal(t, 6500*time.Millisecond, s.At.Sub(s.LastErrorAt))

		f.Always(drivertest.Connect, drivertest.Fail(driver.Permanent(errScripted)))
		ctx, cancel := context.WithCancel(t.Context())
		start(ctx, p).wantWaiting(t)
		wantState(t, p, pool.Degraded, "connecting fails (for 0s): drivertest: connect: scripted error; next attempt in 1m0s; 1 connection remains")
		cancel()
		l.Discard(nil)
		advance(2 * time.Minute)
		f.Always(drivertest.Connect, drivertest.Hang)
		waiting = start(t.Context(), p)
		wantState(t, p, pool.Down, "connecting fails (for 2m0s): drivertest: connect: scripted error; next attempt in 1m0s")
		require.NoError(t, p.Close())
		waiting.wantError(t, pool.ErrClosed)
	})
}

func TestStateSaysWhatCallersWaitFor(t *testing.T) {
	bubble(t, "the release of the only connection", func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 1})
		lease := acquireN(t, p, 1)[0]
		waiting := start(t.Context(), p)
		advance(2 * time.Second)
		wantState(t, p, pool.Degraded, "1 caller waits, the oldest for 2s: the only connection is in use")
		lease.Release()
		waiting.wantLease(t).Release()
	})
	bubble(t, "a release", func(t *testing.T) {
		_, p := openFake(t, pool.Config{MaxOpen: 2, LeakAfter: 30 * time.Second})
		leases := acquireN(t, p, 2)
		advance(10 * time.Second)
		first := start(t.Context(), p)
		advance(500 * time.Millisecond)
		rest := startN(t.Context(), p, 2)
		wantState(t, p, pool.Healthy, "")
		advance(1570 * time.Millisecond)
		wantState(t, p, pool.Degraded, "3 callers wait, the oldest for 2.1s: all 2 connections are in use")
		assert.Equal(t, 2070*time.Millisecond, p.Snapshot().OldestWait)
		leases[0].Release()
		first.wantLease(t).Release()
		rest.wantServed(t)
		assert.Zero(t, p.Snapshot().OldestWait)
		advance(30 * time.Second)
		wantState(t, p, pool.Degraded, "1 lease may be leaked: older than 30s")
		leases[1].Release()
		wantState(t, p, pool.Healthy, "")
	})

	bubble(t, "a Connect", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1})
		f.Always(drivertest.Connect, drivertest.Delay(5*time.Second))
		c := start(t.Context(), p)
		advance(2 * time.Second)
		wantState(t, p, pool.Degraded, "1 caller waits, the oldest for 2s: 1 connect is in progress")
		advance(3 * time.Second)
		f.Next(drivertest.Close, 1, stall(4*time.Second))
		c.wantLease(t).Discard(nil)
		c = start(t.Context(), p)
		advance(3 * time.Second)
		wantState(t, p, pool.Degraded, "1 caller waits, the oldest for 3s: 1 connection is being closed")
		advance(10 * time.Second)
		c.wantLease(t).Release()
	})

	bubble(t, "the gate", func(t *testing.T) {
		_, pools := behindGate(t, 1, 2, pool.Config{})
		l := acquire(t, pools[0])
		c := start(t.Context(), pools[1])
		advance(2 * time.Second)
		gate := pools[1].Snapshot().Gate
		assert.NotEmpty(t, gate)
		wantState(t, pools[1], pool.Degraded, "1 caller waits, the oldest for 2s: no room at the gate: "+gate)
		l.Release()
		c.wantLease(t).Release()
	})

	bubble(t, "a full server", func(t *testing.T) {
		f, p := openFull(t, pool.Config{AcquireTimeout: -1}, time.Minute)
		advance(10 * time.Second)
		leases := acquireN(t, p, 4)
		c := start(t.Context(), p)
		wantState(t, p, pool.Degraded, "the server is full: it takes 4 of 10 connections")
		advance(2 * time.Second)
		wantState(t, p, pool.Degraded, "the server is full: it takes 4 of 10 connections; 1 caller waits, the oldest for 2s: all 4 connections are in use")
		leases[0].Discard(nil)
		leases[0] = c.wantLease(t) // from a Connect that succeeds
		advance(time.Second)
		f.Room(0, time.Minute)
		for _, l := range leases {
			l.Discard(nil)
		}
		synctest.Wait()
		s := p.Snapshot()
		assert.Equal(t, pool.Down, s.State)
		assert.Contains(t, s.Why, "the server is full (for 3s): ")
	})

	bubble(t, "Resize", func(t *testing.T) {
		_, p := openFake(t, pool.Config{})
		l := acquire(t, p)
		require.NoError(t, p.Resize(0))
		wantState(t, p, pool.Suspended, "Resize(0)")
		require.NoError(t, p.Close())
		wantState(t, p, pool.Closed, "closed; 1 connection is still in use")
		l.Release()
		wantState(t, p, pool.Closed, "closed")
	})
}

// addressed is a connection with a remote address.
type addressed struct {
	*conn
	peer func() net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.peer() }

// The row of a connection says what it is doing, and for how long.
func TestSnapshotHasARowForEachConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Wrap = func(c *conn) driver.Conn {
			return addressed{c, func() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, byte(c.ID)), Port: 993} }}
		}
		p := open[addressed](t, f, pool.Config{MaxOpen: 6, LeakAfter: time.Minute})
		leases := acquireN(t, p, 3)
		advance(time.Minute)
		leases[1].Release()
		leases = append(leases, acquire(t, p))
		leases[2].Release()
		advance(10 * time.Second) // after that, the third connection needs a check
		f.Next(drivertest.Ping, 1, drivertest.Delay(time.Second/2))
		checked := start(t.Context(), p)
		f.Always(drivertest.Connect, drivertest.Delay(3*time.Second))
		f.Always(drivertest.Close, stall(time.Second))
		leases[3].Discard(nil)
		waiting := start(t.Context(), p)
		advance(time.Second / 4)

		var rows []string
		for _, c := range p.Snapshot().Conns {
			rows = append(rows, fmt.Sprintf("%s %v for %v, %d uses, %s, %v", c.State, c.Age.Round(time.Second), c.For.Round(time.Second), c.Uses, c.Peer, c.Suspect))
		}
		assert.ElementsMatch(t, []string{
			"leased 1m10s for 1m10s, 1 uses, 10.0.0.1:993, true",
			"closing 1m10s for 0s, 2 uses, 10.0.0.2:993, false",
			"checking 1m10s for 0s, 1 uses, 10.0.0.3:993, false",
			"connecting 0s for 0s, 0 uses, , false",
		}, rows)
		advance(5 * time.Second)
		checked.wantLease(t).Release()
		waiting.wantLease(t).Release()
		leases[0].Release()
		advance(2 * time.Second)
		for _, c := range p.Snapshot().Conns {
			assert.Equal(t, "idle", c.State)
			assert.InDelta(t, 2*time.Second, c.For, float64(time.Second))
		}
	})
}

// rudeGate is a gate whose String panics.
type rudeGate struct{ *pool.LocalGate }

func (rudeGate) String() string { panic("rude") }

func TestAGateThatPanicsIsShownAsSuch(t *testing.T) {
	p, err := pool.New[*conn](&drivertest.Fake{}, pool.Config{Gate: rudeGate{pool.NewGate(1)}})
	require.NoError(t, err)
	defer p.Close()
	assert.Contains(t, p.Snapshot().Gate, "PANIC")
}

// A peer's address is truncated and quoted if necessary. A connection without an address
// works like any other.
func TestPeerIsBoundedAndPrintable(t *testing.T) {
	for name, tt := range map[string]struct {
		peer func() net.Addr
		want string
	}{
		"plain":   {func() net.Addr { return &net.UnixAddr{Name: "/run/app.sock"} }, "/run/app.sock"},
		"control": {func() net.Addr { return &net.UnixAddr{Name: "a\x1b[31m\nb"} }, `"a\x1b[31m\nb"`},
		"long":    {func() net.Addr { return &net.UnixAddr{Name: strings.Repeat("x", 5000)} }, `"` + strings.Repeat("x", 200) + `"... (5000 bytes)`},
		"nil":     {func() net.Addr { return nil }, ""},
		"panic":   {func() net.Addr { panic("scripted panic") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := drivertest.NewFake(t)
			f.Wrap = func(c *conn) driver.Conn { return addressed{c, tt.peer} }
			p := open[driver.Conn](t, f, pool.Config{})
			l := acquire(t, p)
			assert.Equal(t, tt.want, p.Holders()[0].Peer)
			assert.Equal(t, tt.want, p.Snapshot().Conns[0].Peer)
			l.Release()
		})
	}
}

func TestSnapshotHasTheLastTenErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1, Backoff: pool.Backoff{Initial: time.Millisecond}})
		events := func() (got []string) {
			synctest.Wait()
			for _, e := range p.Snapshot().Errors {
				got = append(got, e.Event+": "+e.Text)
			}
			return got
		}
		f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
		start(t.Context(), p).wantError(t, errScripted)
		advance(time.Second)
		acquire(t, p).Discard(errors.New("gone\r\n" + strings.Repeat("x", 5000)))
		acquire(t, p).Release()
		advance(10 * time.Second)
		f.Next(drivertest.Ping, 1, drivertest.Fail(errScripted))
		l := acquire(t, p)
		l.Conn().Kill()
		require.Error(t, l.Conn().Use())
		l.Release()
		got := events()
		require.Len(t, got, 4)
		assert.Equal(t, "use: pool: connection is no longer valid", got[0], "newest first")
		assert.Equal(t, "ping: pool: check failed: scripted error", got[1])
		assert.True(t, strings.HasPrefix(got[2], `use: gone\r\nxxx`))
		assert.Less(t, len(got[2]), 1100)
		assert.Equal(t, "connect: drivertest: connect: scripted error", got[3])

		p.Reset()
		f.Next(drivertest.Connect, 1, func(ctx context.Context, _ *conn) error { <-ctx.Done(); return ctx.Err() })
		waiting := start(t.Context(), p)
		p.Reset()
		waiting.wantLease(t).Release()
		assert.Len(t, events(), 4, "connections that the pool ends itself are not errors")

		for i := range 20 {
			acquire(t, p).Discard(fmt.Errorf("number %d", i))
		}
		got = events()
		assert.Len(t, got, 10)
		assert.Equal(t, "use: number 19", got[0])
		assert.Equal(t, "drivertest: connect: scripted error", p.Snapshot().LastError, "although it is no longer among the ten")
	})
}

func TestSnapshotsOfPoolsOfOneNameDifferInID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a := openFake(t, pool.Config{Name: "depot", MinIdle: 2, MaxIdle: 5})
		advance(time.Minute)
		_, b := openFake(t, pool.Config{Name: "depot"})
		sa, sb := a.Snapshot(), b.Snapshot()
		assert.Equal(t, "depot", sa.Pool)
		assert.NotEqual(t, sa.ID, sb.ID)
		assert.Equal(t, time.Minute, sb.Opened.Sub(sa.Opened))
		assert.Equal(t, [4]int{2, 5, 0, -1}, [4]int{sa.MinIdle, sa.MaxIdle, sb.MinIdle, sb.MaxIdle})
		text, err := json.Marshal(sa)
		require.NoError(t, err)
		assert.Contains(t, string(text), `"state":"healthy"`)
	})
}

// The histograms of waits and connects agree with Stats in number and sum.
func TestSnapshotHasTheTimesOfWaitsAndConnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1, MaxWaiters: 1, AcquireTimeout: 3 * time.Second})
		f.Always(drivertest.Connect, drivertest.Delay(time.Second))
		l := start(t.Context(), p)
		advance(time.Second)
		held := l.wantLease(t)
		start(t.Context(), p)
		start(t.Context(), p).wantError(t, pool.ErrTooManyWaiters)
		s := p.Snapshot()
		assert.Equal(t, []int64{2, 1, 1}, []int64{s.Stats.Waits, s.WaitTimes.Count(), s.ConnectTimes.Count()}, "one still waits, and one did not have to")
		advance(3 * time.Second)
		held.Release()
		s = p.Snapshot()
		assert.Equal(t, []int64{2, 2}, []int64{s.Stats.Waits, s.WaitTimes.Count()})
		assert.Equal(t, []time.Duration{4 * time.Second, time.Second}, []time.Duration{s.WaitTimes.Sum, s.ConnectTimes.Sum})
		assert.Equal(t, []time.Duration{s.Stats.WaitTime, s.Stats.ConnectTime}, []time.Duration{s.WaitTimes.Sum, s.ConnectTimes.Sum})
	})
}

// every is a step that returns err in one of n calls, at random.
func every(n int, err error) error {
	if rand.IntN(n) == 0 {
		return err
	}
	return nil
}

// counters returns the numbers of s that must never decrease.
func counters(s pool.Snapshot) (all []int64) {
	s.Stats.Gauges = pool.Gauges{}
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		case reflect.Array:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		default:
			all = append(all, v.Int())
		}
	}
	for _, v := range []any{s.Stats, s.WaitTimes, s.ConnectTimes} {
		walk(reflect.ValueOf(v))
	}
	return all
}

// Under load and with failures, each Snapshot is consistent, and no counter is lower
// than in the previous one.
func TestStressSnapshotsAreConsistent(t *testing.T) {
	f := drivertest.NewFake(t)
	p := open[*conn](t, f, pool.Config{
		MaxOpen: 4, MinIdle: 1, ValidateAfter: 10 * time.Millisecond, KeepAlive: 5 * time.Millisecond, MaxLifetime: 30 * time.Millisecond, MaxUses: 50,
		LeakAfter: time.Millisecond, Backoff: pool.Backoff{Initial: time.Millisecond, Max: 4 * time.Millisecond},
		OnAcquire: func(context.Context, driver.Conn, pool.Info) error { return every(7, driver.ErrBadConn) },
		OnConnect: func(context.Context, driver.Conn) error { return every(5, errScripted) },
		Trace:     pool.Trace{Use: func(pool.UseInfo) {}, UseEvery: 3},
	})
	ctx, cancel := context.WithTimeout(t.Context(), stressTime(t))
	defer cancel()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for ctx.Err() == nil {
				_ = p.Do(ctx, func(_ context.Context, c *conn) error { return errors.Join(c.Use(), every(9, errUnknown)) })
			}
		})
	}
	var last pool.Snapshot
	for n := 0; ctx.Err() == nil; n++ {
		s := p.Snapshot()
		g := s.Stats.Gauges
		require.Equal(t, g.Open, g.Idle+g.Leased, "%+v", g)
		require.Len(t, s.Conns, g.Open+g.Connecting+g.Gated+g.Closing)
		before, now := counters(last), counters(s)
		for i := range before {
			require.GreaterOrEqual(t, now[i], before[i], "counter %d, %+v and then %+v", i, last.Stats, s.Stats)
		}
		last = s
		_ = p.Holders()
		if n%100 == 0 {
			f.KillAll()
		}
	}
	all.Wait()
	assert.Positive(t, last.Stats.Acquires)
}
