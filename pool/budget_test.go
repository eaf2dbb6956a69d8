package pool

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/drivertest"
)

// forgetBudgets forgets, until t ends, the kinds of budgets that are registered.
func forgetBudgets(t *testing.T) {
	budgets.mu.Lock()
	defer budgets.mu.Unlock()
	open, gates := budgets.open, budgets.gates
	budgets.open, budgets.gates = map[string]func(string) (Gate, error){}, map[string]*budget{}
	t.Cleanup(func() {
		budgets.mu.Lock()
		defer budgets.mu.Unlock()
		budgets.open, budgets.gates = open, gates
	})
}

func TestPoolsWithOneBudgetDSNShareItsGate(t *testing.T) {
	forgetBudgets(t)
	opened := 0
	RegisterBudget("ledger", func(dsn string) (Gate, error) {
		opened++
		if dsn == "ledger://u:s3cr3t@bad/b" {
			return nil, errors.New("refused for u:s3cr3t")
		}
		return NewGate(1), nil
	})
	assert.Panics(t, func() { RegisterBudget("ledger", nil) })
	cut := func(budget string) (Gate, error) {
		var c Config
		rest, err := c.CutDSN("tcp://db.example:99/x?pool_budget=" + budget + "&nodelay=true")
		assert.Equal(t, "tcp://db.example:99/x?nodelay=true", rest)
		return c.Gate, err
	}
	a, err := cut("ledger://here/b%3Flimit=3")
	require.NoError(t, err)
	b, err := cut("ledger://here/b%3Flimit=3")
	require.NoError(t, err)
	c, err := cut("ledger://here/c")
	require.NoError(t, err)
	assert.Same(t, a, b)
	assert.NotSame(t, a, c)
	assert.Equal(t, 2, opened)

	for budget, want := range map[string]string{
		"ledger://u:s3cr3t@bad/b": "pool: pool_budget: ",
		"s3cr3t":                  "pool: pool_budget: no scheme",
		"lager://u:s3cr3t@x/b":    "pool: pool_budget: nothing is registered for its scheme (registered: ledger); import the package of the store",
	} {
		_, err := cut(budget)
		assert.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "s3cr3t")
	}
}

// closingGate is a gate that counts its Closes.
type closingGate struct {
	*LocalGate
	closed *int
}

func (g closingGate) Close() error {
	*g.closed++
	return errors.New("refused")
}

func TestTheLastPoolOfABudgetClosesItsGate(t *testing.T) {
	forgetBudgets(t)
	opened, closed := 0, 0
	RegisterBudget("closing", func(string) (Gate, error) {
		opened++
		return closingGate{NewGate(1), &closed}, nil
	})
	var cfg Config
	_, err := cfg.CutDSN("tcp://h?pool_budget=closing://here/b")
	require.NoError(t, err)
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", cfg.Gate, cfg.Gate, cfg.Gate), "here")
	for round := range 2 { // a Config may be used again
		f := drivertest.NewFake(t)
		a, err := New[*drivertest.FakeConn](f, cfg)
		require.NoError(t, err)
		b, err := New[*drivertest.FakeConn](f, cfg)
		require.NoError(t, err)
		l, err := a.Acquire(t.Context())
		require.NoError(t, err)
		assert.Contains(t, a.Snapshot().Gate, "1 of 1 connection,")
		require.NoError(t, a.Close())
		require.NoError(t, a.Close())
		assert.Equal(t, []int{round + 1, round}, []int{opened, closed}, "the other pool uses it")
		l.Release()
		require.NoError(t, a.Shutdown(t.Context()))
		assert.EqualError(t, b.Close(), `pool "*drivertest.Fake": refused`)
		assert.Equal(t, []int{round + 1, round + 1}, []int{opened, closed})
		assert.Equal(t, "the budget is not in use", a.Snapshot().Gate)
	}
}

func TestABudgetThatNoPoolUsesIsClosed(t *testing.T) {
	forgetBudgets(t)
	opened, closed := 0, 0
	RegisterBudget("Unused", func(string) (Gate, error) {
		opened++
		return closingGate{NewGate(1), &closed}, nil
	})
	const dsn = "tcp://h?pool_budget=unused://here/b"
	for name, open := range map[string]func() error{
		"a parameter is wrong": func() error {
			_, err := new(Config).CutDSN(dsn + "&pool_max_open=x")
			return err
		},
		"no connector": func() error {
			var cfg Config
			_, err := cfg.CutDSN(dsn)
			assert.NoError(t, err)
			_, err = New[*drivertest.FakeConn](nil, cfg)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				assert.Error(t, open())
				synctest.Wait()
				assert.NotZero(t, opened)
				assert.Equal(t, opened, closed)
			})
		})
	}
}

// brokenGate is a gate whose Enter and TryEnter call enter.
type brokenGate struct {
	closingGate
	enter func() Permit
}

func (g brokenGate) Enter(context.Context, Member) (Permit, error) { return g.enter(), nil }
func (g brokenGate) TryEnter(Member) (Permit, bool)                { return g.enter(), true }

// brokenPermit is a permit that panics in Leave.
type brokenPermit struct{ Permit }

func (brokenPermit) Lost() <-chan struct{} { return nil }
func (brokenPermit) Recalled(Worth) bool   { return false }
func (brokenPermit) Leave()                { panic("broken") }

func TestABudgetIsClosedEvenIfItsGateIsBroken(t *testing.T) {
	for name, tt := range map[string]struct {
		enter func() Permit
		want  string // part of the error of Acquire; empty = it succeeds
	}{
		"no permit":        {func() Permit { return nil }, "the gate: pool: Enter returned neither a permit nor an error"},
		"a panic":          {func() Permit { panic("broken") }, "the gate: pool: panic: broken"},
		"Goexit":           {func() Permit { runtime.Goexit(); return nil }, "the gate: "},
		"a panic in Leave": {func() Permit { return brokenPermit{} }, ""},
	} {
		for minIdle := range 2 { // 1 = TryEnter is called too
			t.Run(fmt.Sprint(name, ", MinIdle ", minIdle), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					closed := 0
					b := &budget{open: func() (Gate, error) { return brokenGate{closingGate{NewGate(1), &closed}, tt.enter}, nil }}
					p, err := New[*drivertest.FakeConn](drivertest.NewFake(t), Config{Gate: b, MinIdle: minIdle})
					require.NoError(t, err)
					l, err := p.Acquire(t.Context())
					if tt.want != "" {
						assert.ErrorContains(t, err, tt.want)
					}
					l.Discard(nil)
					p.Close()
					synctest.Wait()
					assert.Equal(t, 1, closed)
				})
			})
		}
	}
}

func TestALeaseKeepsTheGateOfABudgetOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := 0
		b := &budget{open: func() (Gate, error) { return closingGate{NewGate(1), &closed}, nil }}
		p, err := New[*drivertest.FakeConn](drivertest.NewFake(t), Config{Gate: b})
		require.NoError(t, err)
		l, err := p.Acquire(t.Context())
		require.NoError(t, err)
		_, ok := b.TryEnter(p)
		assert.False(t, ok, "it is full")
		require.NoError(t, p.Close())
		synctest.Wait()
		assert.Zero(t, closed)
		l.Release()
		synctest.Wait()
		assert.Equal(t, 1, closed)
		permit, ok := b.TryEnter(p) // a gate that wraps this one may still call it
		assert.True(t, ok)
		permit.Leave()
		synctest.Wait()
		assert.Equal(t, 2, closed)
	})
}

// strictClosingGate is a strict gate that refuses to hand out connections once closed.
type strictClosingGate struct{ closingGate }

func (g strictClosingGate) Strict() func() error {
	return func() error {
		if *g.closed > 0 {
			return errors.New("closed")
		}
		return nil
	}
}

func TestTheStrictnessOfABudgetIsThatOfItsOpenGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed []*int
		b := &budget{open: func() (Gate, error) {
			closed = append(closed, new(int))
			return strictClosingGate{closingGate{NewGate(1), closed[len(closed)-1]}}, nil
		}}
		check := b.Strict() // as for a gate that wraps this one and does not keep it open
		require.NotNil(t, check)
		f := drivertest.NewFake(t)
		p, err := New[*drivertest.FakeConn](f, Config{Gate: wrapped{b}})
		require.NoError(t, err)
		defer p.Close()
		for range 2 {
			l, err := p.Acquire(t.Context())
			require.NoError(t, err)
			assert.NoError(t, check())
			l.Discard(nil)
			synctest.Wait()
			assert.Equal(t, 1, *closed[len(closed)-1])
		}
	})
}

// wrapped is a Gate around another, like that of package keyed.
type wrapped struct{ *budget }

func TestAPoolThatFailsToOpenClosesTheGateOfItsBudget(t *testing.T) {
	forgetBudgets(t)
	opened, closed := 0, make(chan struct{}, 3)
	RegisterBudget("failing", func(string) (Gate, error) {
		opened++
		return signalingGate{NewGate(1), closed}, nil
	})
	drivertest.Register(t, "budgettest", drivertest.NewFake(t))
	for i, dsn := range []string{
		"budgettest://h:1?pool_max_open=-1",
		"budgettest://h:1?pool_max_open=x",
	} {
		_, err := Open[*drivertest.FakeConn]("budgettest", fmt.Sprint(dsn, "&pool_budget=failing://here/", i), Config{})
		require.Error(t, err, dsn)
		<-closed
	}
	assert.Equal(t, 2, opened)
}

// signalingGate is a gate that signals its Closes.
type signalingGate struct {
	*LocalGate
	closed chan<- struct{}
}

func (g signalingGate) Close() error {
	g.closed <- struct{}{}
	return nil
}
