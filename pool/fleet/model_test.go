package fleet_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/fleet"
)

// machine is three processes with a limit of 4. The test runs random actions on them. Its
// exported methods are the actions, and Check, which runs after each action.
//
// For a longer run: go test ./pool/fleet -run RandomTrouble -rapid.checks=10000
type machine struct {
	server    *lateServer
	store     *fleet.Memory
	processes []*latePool
	leases    []lateLease
	got       chan lateLease
	ctx       context.Context
	end       context.CancelFunc
}

const machineLimit = 4

// lateServer counts connections, and notices their end late. It does not count the
// connections of a process that is stopped beyond the end of its grant: nobody can close
// those.
type lateServer struct {
	mu    sync.Mutex
	conns map[*lateConn]struct{}
	peak  int
}

// lateConn is a connection of a process.
type lateConn struct {
	process  *latePool
	outlawed bool // its process was stopped beyond its grant; guarded by lateServer.mu
}

// lateLease is a lease of a process, or the zero one if the pool was closed.
type lateLease struct {
	pool.Lease[*lateConn]
	process *latePool
}

const late = grace * 9 / 10

func (c *lateConn) Close() error {
	server := c.process.server
	time.AfterFunc(late, func() {
		server.mu.Lock()
		defer server.mu.Unlock()
		delete(server.conns, c)
	})
	return nil
}

// add adds c unless it is nil. It returns how many connections are open, and the most
// that were.
func (s *lateServer) add(c *lateConn) (open, peak int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c != nil {
		s.conns[c] = struct{}{}
	}
	for c := range s.conns {
		if !c.outlawed && !c.process.overslept() {
			open++
		}
	}
	s.peak = max(s.peak, open)
	return open, s.peak
}

func TestRandomTroubleKeepsTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			m := &machine{server: &lateServer{conns: map[*lateConn]struct{}{}}, store: &fleet.Memory{}, got: make(chan lateLease, 1000)}
			m.ctx, m.end = context.WithCancel(context.Background())
			for range 3 {
				m.processes = append(m.processes, m.start(t))
			}
			<-time.After(2 * ttl)
			t.Repeat(rapid.StateMachineActions(m))
			m.finish(t)
		})
	})
}

// latePool is a process of the machine, and the connector of its pool.
type latePool struct {
	*pool.Pool[*lateConn]
	server *lateServer
	gate   *fleet.Gate
	link   *link
}

func (m *machine) start(t require.TestingT) *latePool {
	way := &link{Store: m.store}
	gate, err := fleet.New(way, fleet.Config{Budget: "depot", Limit: machineLimit, Strict: true})
	require.NoError(t, err)
	process := &latePool{server: m.server, gate: gate, link: way}
	process.Pool, err = pool.New[*lateConn](process, pool.Config{AcquireTimeout: -1, Gate: gate})
	require.NoError(t, err)
	return process
}

func (p *latePool) Connect(ctx context.Context) (driver.Conn, error) {
	if stop := p.link.stop.Load(); stop != nil {
		<-*stop
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	c := &lateConn{process: p}
	p.server.add(c)
	return c, nil
}

// overslept reports whether p is stopped, and its grant is over.
func (p *latePool) overslept() bool {
	return p.link.stop.Load() != nil && !time.Now().Before(p.gate.Deadline())
}

// resume ends a Stop. Before the timers of p fire, a caller may acquire a connection: it
// must not get one that p had when it overslept.
func (p *latePool) resume(m *machine, t require.TestingT) {
	stop := p.link.stop.Load()
	if stop == nil {
		return
	}
	if p.overslept() {
		m.server.mu.Lock()
		for c := range m.server.conns {
			c.outlawed = c.outlawed || c.process == p
		}
		m.server.mu.Unlock()
	}
	p.link.stop.Store(nil)
	if l, err := p.TryAcquire(); err == nil {
		m.leases = append(m.leases, lateLease{l, p})
		m.server.mu.Lock()
		outlawed := l.Conn().outlawed
		m.server.mu.Unlock()
		require.False(t, outlawed, "it is used after the end of the grant")
	}
	p.gate.StartClock()
	close(*stop)
}

func (m *machine) draw(t *rapid.T) (int, *latePool) {
	i := rapid.IntRange(0, len(m.processes)-1).Draw(t, "process")
	return i, m.processes[i]
}

// Acquire starts a caller of one process that waits for a connection.
func (m *machine) Acquire(t *rapid.T) {
	_, p := m.draw(t)
	if p.link.stop.Load() != nil {
		t.Skip("it is stopped")
	}
	m.acquire(p)
}

func (m *machine) acquire(p *latePool) {
	go func() { // ends when the machine does
		l, _ := p.Acquire(m.ctx) // the zero lease if p is closed
		m.got <- lateLease{l, p}
	}()
}

// Release ends a lease.
func (m *machine) Release(t *rapid.T) {
	m.collect()
	if len(m.leases) == 0 {
		t.Skip("nobody has one")
	}
	i := rapid.IntRange(0, len(m.leases)-1).Draw(t, "lease")
	if m.leases[i].process.link.stop.Load() != nil {
		t.Skip("it is stopped")
	}
	m.leases[i].Release()
	m.leases = append(m.leases[:i], m.leases[i+1:]...)
}

func (m *machine) collect() {
	for len(m.got) > 0 {
		m.leases = append(m.leases, <-m.got)
	}
}

// Cut cuts a process off from the store, or connects it again.
func (m *machine) Cut(t *rapid.T) {
	_, p := m.draw(t)
	p.link.cut.Store(!p.link.cut.Load())
}

// Slow makes the store calls of a process slow, sometimes slower than TTL, or ends that.
func (m *machine) Slow(t *rapid.T) {
	_, p := m.draw(t)
	p.link.slow.Store(int64(rapid.SampledFrom([]time.Duration{0, 0, time.Second, 4 * time.Second, 20 * time.Second}).Draw(t, "slow")))
}

// Late makes the writes of a process reach the store after it has given up, or ends that.
func (m *machine) Late(t *rapid.T) {
	_, p := m.draw(t)
	p.link.late.Store(int64(rapid.SampledFrom([]time.Duration{0, time.Millisecond, time.Second, 4 * time.Second, 20 * time.Second}).Draw(t, "late")))
}

// Stop stops a process, so that no timer of its grant fires and its calls wait, or
// resumes it.
func (m *machine) Stop(t *rapid.T) {
	_, p := m.draw(t)
	if p.link.stop.Load() != nil {
		p.resume(m, t)
		return
	}
	stop := make(chan struct{})
	p.link.stop.Store(&stop)
	p.gate.StopClock()
}

// Lose makes the store lose its state.
func (m *machine) Lose(*rapid.T) { m.store.Lose() }

// Restart ends a process, by Close or as if it were killed, and starts another.
func (m *machine) Restart(t *rapid.T) {
	i, p := m.draw(t)
	p.resume(m, t)
	p.link.cut.Store(rapid.Bool().Draw(t, "killed"))
	m.stop(p)
	m.processes[i] = m.start(t)
}

func (m *machine) stop(p *latePool) {
	ctx, cancel := context.WithCancel(m.ctx)
	cancel()
	p.Shutdown(ctx)
	p.gate.Close()
}

// Wait lets time pass.
func (m *machine) Wait(t *rapid.T) {
	<-time.After(rapid.SampledFrom([]time.Duration{time.Millisecond, late, ttl / 3, ttl, 2 * ttl}).Draw(t, "time"))
}

// Check is called after each action.
func (m *machine) Check(t *rapid.T) {
	synctest.Wait()
	_, peak := m.server.add(nil)
	require.LessOrEqual(t, peak, machineLimit)
}

// finish ends all trouble, and checks that the limit is used up and nothing is left.
func (m *machine) finish(t *rapid.T) {
	for _, p := range m.processes {
		p.resume(m, t)
		p.link.cut.Store(false)
		p.link.slow.Store(0)
		p.link.late.Store(0)
		for range machineLimit {
			m.acquire(p)
		}
	}
	<-time.After(4 * ttl)
	open, peak := m.server.add(nil)
	assert.Equal(t, machineLimit, open)
	assert.LessOrEqual(t, peak, machineLimit)
	for _, p := range m.processes {
		m.stop(p)
	}
	m.end()
	synctest.Wait()
	m.collect()
	<-time.After(20 * time.Second) // the slowest call
	open, _ = m.server.add(nil)
	assert.Zero(t, open)
}
