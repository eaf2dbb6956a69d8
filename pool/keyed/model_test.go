package keyed_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/keyed"
)

// machine is a Pool with 3 keys, a limit of 2 connections over all keys, and a limit of 1
// or 2 for each key. The test runs random actions on it in a bubble, and lets everything
// come to rest after each. Its exported methods are the actions, and Check, which runs
// after each action.
//
// For a longer run: go test ./pool/keyed -run RandomActions -rapid.checks=100000
type machine struct {
	fakes   [3]drivertest.Fake // the servers of the keys
	maxOpen int                // of a key
	hijacks int                // hijacked connections, which do not count against maxOpen
	pool    *keyed.Pool[int, *conn]
	gate    *pool.LocalGate
	callers []*caller // of Acquire
	leases  []*caller // callers that have a lease
}

// caller is a goroutine in Acquire, or its result.
type caller struct {
	key    int
	cancel context.CancelFunc
	done   chan struct{} // closed when Acquire has returned
	lease  pool.Lease[*conn]
	err    error
}

func TestRandomActionsKeepTheLimitAndServeAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			m := &machine{gate: pool.NewGate(2), maxOpen: rapid.IntRange(1, 2).Draw(t, "MaxOpen")}
			minIdle := rapid.IntRange(0, 1).Draw(t, "MinIdle")
			closing := rapid.SampledFrom([]time.Duration{0, 10 * time.Millisecond}).Draw(t, "Close takes")
			for i := range m.fakes {
				m.fakes[i].Always(drivertest.Close, stall(closing))
			}
			var err error
			m.pool, err = keyed.Open[int, *conn](func(key int) (driver.Connector, error) { return &m.fakes[key], nil }, keyed.Config[int]{
				Gate: m.gate, MaxKeys: rapid.IntRange(0, 2).Draw(t, "MaxKeys"), IdleAfter: time.Minute,
				PerKey: func(int) pool.Config {
					return pool.Config{MaxOpen: m.maxOpen, MinIdle: minIdle, AcquireTimeout: time.Hour}
				},
			})
			require.NoError(t, err)
			defer m.abandon()
			t.Repeat(rapid.StateMachineActions(m))
			m.finish(t)
		})
	})
}

func (m *machine) Acquire(t *rapid.T) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &caller{key: rapid.IntRange(0, 2).Draw(t, "key"), cancel: cancel, done: make(chan struct{})}
	m.callers = append(m.callers, c)
	go func() {
		defer close(c.done)
		c.lease, c.err = m.pool.Acquire(ctx, c.key)
	}()
}

// take takes a random element from list.
func take[E any](t *rapid.T, list *[]E) E {
	if len(*list) == 0 {
		t.Skip("no lease")
	}
	i := rapid.IntRange(0, len(*list)-1).Draw(t, "which")
	one := (*list)[i]
	*list = append((*list)[:i:i], (*list)[i+1:]...)
	return one
}

func (m *machine) Release(t *rapid.T) { take(t, &m.leases).lease.Release() }
func (m *machine) Discard(t *rapid.T) { take(t, &m.leases).lease.Discard(nil) }
func (m *machine) Hijack(t *rapid.T) {
	m.hijacks++
	c, closed := take(t, &m.leases).lease.Hijack()
	c.Close()
	closed()
}
func (m *machine) Cancel(t *rapid.T) {
	if len(m.callers) > 0 {
		m.callers[rapid.IntRange(0, len(m.callers)-1).Draw(t, "caller")].cancel()
	}
}
func (m *machine) Forget(t *rapid.T) { m.pool.Forget(rapid.IntRange(0, 2).Draw(t, "key")) }
func (m *machine) Reset(*rapid.T)    { m.pool.Reset() }
func (m *machine) Kill(t *rapid.T)   { m.fakes[rapid.IntRange(0, 2).Draw(t, "key")].KillAll() }
func (m *machine) Wait(t *rapid.T) {
	<-time.After(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 2 * time.Minute}).Draw(t, "time"))
}

// Check verifies what must be true between the actions.
func (m *machine) Check(t *rapid.T) {
	<-time.After(20 * time.Millisecond) // for Closes
	m.settle(t)
	if m.somebodyWaitsInVain() {
		<-time.After(6 * time.Second) // the backoff, if connections were killed before their first use
		m.settle(t)
	}
	counted := 0
	for i := range m.fakes {
		n := m.fakes[i].Counts()
		assert.LessOrEqual(t, n.Peak, m.maxOpen+m.hijacks)
		counted += n.Open + n.Connecting
	}
	assert.LessOrEqual(t, counted, 2)
	assert.Equal(t, counted, held(m.gate), "permits in use")
	s := m.pool.Stats()
	assert.False(t, m.somebodyWaitsInVain(), "a caller waits although there is room or an idle connection: %+v", s.Gauges)
	if len(m.callers) == 0 {
		assert.Zero(t, s.Gated)
	}
}

// somebodyWaitsInVain reports whether a caller waits although its key, and all keys
// together, may lease one more connection.
func (m *machine) somebodyWaitsInVain() bool {
	return len(m.leases) < 2 && slices.ContainsFunc(m.callers, func(c *caller) bool {
		n := 0
		for _, l := range m.leases {
			if l.key == c.key {
				n++
			}
		}
		return n < m.maxOpen
	})
}

// settle finds out which callers have returned.
func (m *machine) settle(t *rapid.T) {
	synctest.Wait()
	waiting := m.callers[:0]
	for _, c := range m.callers {
		select {
		case <-c.done:
			if c.err == nil {
				m.leases = append(m.leases, c)
			} else {
				assert.True(t, errors.Is(c.err, context.Canceled), "%v", c.err)
			}
			c.cancel()
		default:
			waiting = append(waiting, c)
		}
	}
	m.callers = waiting
}

// finish ends everything, and checks that nothing is left.
func (m *machine) finish(t *rapid.T) {
	for len(m.leases)+len(m.callers) > 0 {
		for _, l := range m.leases {
			l.lease.Release()
		}
		m.leases = nil
		m.Check(t)
	}
	<-time.After(5 * time.Minute)
	assert.Zero(t, m.pool.Len())
	assert.Zero(t, held(m.gate))
	for i := range m.fakes {
		assert.Zero(t, m.fakes[i].Counts().Open)
	}
	assert.NoError(t, m.pool.Close())
}

// abandon cleans up after a failure, so that the bubble can end.
func (m *machine) abandon() {
	for _, c := range m.callers {
		c.cancel()
		<-c.done
		m.leases = append(m.leases, c)
	}
	for _, l := range m.leases {
		l.lease.Release()
	}
	m.pool.Close()
}
