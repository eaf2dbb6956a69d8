package keyed_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/keyed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type conn = drivertest.FakeConn

// servers has a Fake for each key.
type servers struct {
	t  testing.TB
	mu sync.Mutex // guards of
	of map[string]*drivertest.Fake
}

func (s *servers) fake(key string) *drivertest.Fake {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string]*drivertest.Fake{}
	}
	if s.of[key] == nil {
		s.of[key] = drivertest.NewFake(s.t)
	}
	return s.of[key]
}

func (s *servers) connector(key string) (driver.Connector, error) { return s.fake(key), nil }

// open returns a Pool that is closed when the test ends.
func open(t testing.TB, cfg keyed.Config[string]) (*servers, *keyed.Pool[string, *conn]) {
	s := &servers{t: t}
	p, err := keyed.Open[string, *conn](s.connector, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return s, p
}

func acquire(t testing.TB, p *keyed.Pool[string, *conn], key string) pool.Lease[*conn] {
	l, err := p.Acquire(t.Context(), key)
	require.NoError(t, err)
	return l
}

func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// stall is a step that takes d even in Close, which would end a drivertest.Delay.
func stall(d time.Duration) drivertest.Step {
	return func(context.Context, *conn) error {
		<-time.After(d)
		return nil
	}
}

func TestEachKeyHasItsOwnConnectionsAndAllHaveOneLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := open(t, keyed.Config[string]{MaxOpen: 2})
		ada, eve := acquire(t, p, "ada"), acquire(t, p, "eve")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := p.Acquire(ctx, "bob")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, `pool "bob": no connection`)
		ada.Release()
		acquire(t, p, "bob").Release()
		assert.Empty(t, s.fake("ada").Conns(), "its idle connection made room")
		eve.Release()
		stats := p.Stats()
		assert.Equal(t, 3, stats.Keys)
		assert.Equal(t, 2, stats.Idle)
		assert.EqualValues(t, 3, stats.Acquires)
	})
}

func TestTheFailureOfOneKeyStaysWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := open(t, keyed.Config[string]{MaxOpen: 2})
		s.fake("ada").Always(drivertest.Connect, drivertest.Fail(driver.Permanent(errors.New("wrong password"))))
		_, err := p.Acquire(t.Context(), "ada")
		assert.True(t, driver.IsPermanent(err))
		began := time.Now()
		acquire(t, p, "eve").Release()
		assert.Zero(t, time.Since(began))
	})
}

func TestAnUnusedKeyIsForgottenAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := open(t, keyed.Config[string]{MaxOpen: 5, IdleAfter: time.Minute})
		l := acquire(t, p, "ada")
		acquire(t, p, "eve").Release()
		advance(59 * time.Second)
		assert.Equal(t, 2, p.Len())
		advance(32 * time.Second)
		assert.Equal(t, 1, p.Len(), "ada is in use")
		assert.Empty(t, s.fake("eve").Conns())
		l.Release()
		advance(91 * time.Second)
		assert.Zero(t, p.Len())
		acquire(t, p, "ada").Release()
		advance(91 * time.Second)
		assert.Zero(t, p.Len(), "the sweeps begin again")
	})
}

func TestCallersDoNotNoticeThatTheirKeyIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := open(t, keyed.Config[string]{MaxOpen: 5, PerKey: func(string) pool.Config { return pool.Config{MaxOpen: 1} }})
		l := acquire(t, p, "ada")
		done := make(chan error)
		go func() {
			done <- p.Do(t.Context(), "ada", func(context.Context, *conn) error { return nil })
		}()
		synctest.Wait()
		p.Forget("ada")
		synctest.Wait()
		assert.Equal(t, 1, l.Conn().ID, "leases go on")
		l.Release()
		require.NoError(t, <-done, "a waiter goes on in the next pool of the key")
		p.Forget("nobody")
	})
}

func TestMaxKeysForgetsAKeyThatIsNotInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := open(t, keyed.Config[string]{MaxOpen: 10, MaxKeys: 3})
		l := acquire(t, p, "used")
		for i := range 20 {
			acquire(t, p, fmt.Sprint(i)).Release()
			synctest.Wait()
			assert.LessOrEqual(t, p.Len(), 3)
		}
		keys := map[string]bool{}
		for key := range p.All() {
			keys[key] = true
		}
		assert.True(t, keys["used"])
		assert.True(t, keys["19"])
		l.Release()
	})
}

func TestSurplusKeysInUseAreForgottenAfterTheirUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := open(t, keyed.Config[string]{MaxOpen: 10, MaxKeys: 3, IdleAfter: -1})
		var leases []pool.Lease[*conn]
		for i := range 10 {
			leases = append(leases, acquire(t, p, fmt.Sprint(i)))
		}
		assert.Equal(t, 10, p.Len())
		for _, l := range leases {
			l.Release()
		}
		acquire(t, p, "more").Release()
		synctest.Wait()
		assert.Equal(t, 3, p.Len())
	})
}

func TestAKeyThatIsNotEqualToItselfIsRefused(t *testing.T) {
	p, err := keyed.Open[float64, *plain](func(float64) (driver.Connector, error) { return plainConnector{}, nil }, keyed.Config[float64]{MaxOpen: 1})
	require.NoError(t, err)
	defer p.Close()
	_, err = p.Acquire(t.Context(), math.NaN())
	assert.EqualError(t, err, "keyed: NaN: the key is not equal to itself")
	assert.Zero(t, p.Len())
}

// Many goroutines open, forget and evict keys until Close. Nobody sees a closed pool
// before that, and nothing is left after it.
func TestCloseWhileKeysComeAndGo(t *testing.T) {
	for range 50 {
		p, err := keyed.Open[int, *plain](func(int) (driver.Connector, error) { return plainConnector{}, nil },
			keyed.Config[int]{MaxOpen: 3, MaxKeys: 5, IdleAfter: time.Millisecond})
		require.NoError(t, err)
		var closed atomic.Bool
		var callers sync.WaitGroup
		for i := range 4 {
			callers.Go(func() {
				for n := i; ; n++ {
					l, err := p.Acquire(t.Context(), n%17)
					if err != nil {
						var e *pool.AcquireError
						assert.ErrorAs(t, err, &e)
						assert.ErrorIs(t, err, pool.ErrClosed)
						assert.True(t, closed.Load(), err)
						return
					}
					if n%5 == 0 {
						p.Forget(n % 17)
					}
					l.Release()
				}
			})
		}
		<-time.After(2 * time.Millisecond)
		closed.Store(true)
		assert.NoError(t, p.Close())
		assert.Zero(t, p.Len())
		callers.Wait()
		assert.NoError(t, p.Close())
	}
}

func TestAKeyThatCantBeOpenedIsNotKept(t *testing.T) {
	fails := errors.New("no such account")
	p, err := keyed.Open[int, *conn](func(key int) (driver.Connector, error) {
		if key == 1 {
			return nil, fails
		}
		panic("no connector")
	}, keyed.Config[int]{MaxOpen: 1, Name: func(key int) string { return "account" }})
	require.NoError(t, err)
	defer p.Close()
	for range 2 {
		_, err = p.Acquire(t.Context(), 1)
		assert.ErrorIs(t, err, fails)
		assert.EqualError(t, err, "keyed: account: no such account")
		assert.Zero(t, p.Len())
	}
	assert.Panics(t, func() { p.Acquire(t.Context(), 2) })
	assert.Zero(t, p.Len())
}

// It would limit nothing.
func TestAGateOfOneKeyIsRefused(t *testing.T) {
	_, p := open(t, keyed.Config[string]{MaxOpen: 2, PerKey: func(string) pool.Config { return pool.Config{Gate: pool.NewGate(1)} }})
	_, err := p.Acquire(t.Context(), "ada")
	assert.EqualError(t, err, "keyed: ada: PerKey sets a Gate; want none, because the Gate or MaxOpen of keyed.Config limits all keys")
}

func TestShutdownEndsAllKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := open(t, keyed.Config[string]{MaxOpen: 10})
		ada := acquire(t, p, "ada")
		acquire(t, p, "eve").Release()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, p.Shutdown(ctx), context.DeadlineExceeded)
		assert.True(t, ada.Conn().IsClosed())
		ada.Release()
		_, err := p.Acquire(t.Context(), "eve")
		assert.ErrorIs(t, err, pool.ErrClosed)
		assert.Empty(t, s.fake("ada").Conns())
		assert.Zero(t, p.Len())
	})
}

func TestTheStackOfALeaseBeginsWithItsHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := open(t, keyed.Config[string]{MaxOpen: 2, PerKey: func(string) pool.Config { return pool.Config{LeakAfter: time.Second} }})
		defer acquire(t, p, "a").Release()
		<-time.After(2 * time.Second)
		defer acquire(t, p, "a").Release()
		for _, one := range p.All() {
			assert.Regexp(t, `^\S+/keyed_test\.acquire\n`, one.Holders()[1].Stack)
		}
	})
}

func TestWrongSettingsAreNamed(t *testing.T) {
	none := func(string) (driver.Connector, error) { return nil, nil }
	for _, tc := range []struct {
		want      string
		connector func(string) (driver.Connector, error)
		cfg       keyed.Config[string]
	}{
		{"keyed: the connector function is nil", nil, keyed.Config[string]{MaxOpen: 1}},
		{"keyed: MaxOpen is 0; want 1 or more, or a Gate", none, keyed.Config[string]{}},
		{"keyed: MaxOpen is 3; want 0 with a Gate, which is the limit", none, keyed.Config[string]{MaxOpen: 3, Gate: pool.NewGate(1)}},
		{"keyed: MaxKeys is -1; want 0 or more (0 means no limit)", none, keyed.Config[string]{MaxOpen: 1, MaxKeys: -1}},
	} {
		_, err := keyed.Open[string, *conn](tc.connector, tc.cfg)
		assert.EqualError(t, err, tc.want)
	}
}

func TestAWarmKeyAllocatesNothing(t *testing.T) {
	p, err := keyed.Open[string, *plain](connectPlain, keyed.Config[string]{MaxOpen: 1})
	require.NoError(t, err)
	defer p.Close()
	ctx, keys := t.Context(), []string{"ada@example.org"}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		l, err := p.Acquire(ctx, keys[0])
		if err != nil {
			t.Error(err)
		}
		l.Release()
	}))
}

func TestAKeyThatComesBackCountsTheConnectionsOfItsLastPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := open(t, keyed.Config[string]{MaxOpen: 10, PerKey: func(string) pool.Config { return pool.Config{MaxOpen: 2, AcquireTimeout: time.Minute} }})
		ada := s.fake("ada")
		ada.Always(drivertest.Close, stall(10*time.Millisecond))
		old := []pool.Lease[*conn]{acquire(t, p, "ada"), acquire(t, p, "ada")}
		p.Forget("ada")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := p.Acquire(ctx, "ada")
		assert.ErrorContains(t, err, "waiting for room: the key has 2 open connections, including those from before it was forgotten")
		acquire(t, p, "eve").Release() // other keys do not wait
		p.Forget("ada")

		for i, l := range old {
			began := time.Now()
			go func() {
				<-time.After(time.Millisecond)
				l.Release()
			}()
			l := acquire(t, p, "ada")
			assert.Equal(t, 11*time.Millisecond, time.Since(began))
			defer l.Release()
			assert.Equal(t, 3+i, l.Conn().ID)
		}
		assert.Equal(t, 2, ada.Counts().Peak)
	})
}

func TestAKeyThatComesBackDoesNotWaitForACloseThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := open(t, keyed.Config[string]{MaxOpen: 10, PerKey: func(string) pool.Config { return pool.Config{MaxOpen: 1} }})
		s.fake("ada").Always(drivertest.Close, stall(time.Minute))
		acquire(t, p, "ada").Release()
		p.Forget("ada")
		began := time.Now()
		l := acquire(t, p, "ada")
		assert.LessOrEqual(t, time.Since(began), 6*time.Second)
		l.Release()
		p.Forget("ada")
		advance(2 * time.Minute)
	})
}
