package pool_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// The model test does random actions on a pool in a bubble, one after another, and
// waits until all is quiet after each. machine has the actions, and the facts needed to
// check the pool after each: which callers wait, which hold a lease, and how connecting
// went. model_check_test.go has the checks.
//
// For a longer run: go test ./pool -run RandomActions -rapid.checks=100000
func TestRandomActionsKeepThePromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			m := newMachine(t)
			defer m.abandon()
			t.Repeat(rapid.StateMachineActions(m))
			m.finish(t)
		})
	})
}

// user has the methods of a connection that the model test uses. Connections with all
// optional interfaces have them, and so do connections with none, which take the fast
// path.
type user interface {
	driver.Conn
	Use() error
}

// machine is a pool under test, and what the test knows about it. Its exported methods
// are the actions, and Check, which runs after each.
type machine struct {
	fake *drivertest.Fake
	pool *pool.Pool[user]
	cfg  pool.Config
	bare bool // the connections have no optional interface

	leases  []pool.Lease[user] // leases that have not ended
	since   map[pool.Lease[user]]time.Time
	ended   []pool.Lease[user]
	callers []*queued // callers of Acquire not known to have returned, oldest first
	gate    chan struct{}
	closed  bool
	killed  bool // the server has killed a connection

	acquired, timeouts, rejected, failed, hijacked, useless int64

	watch watch
}

// queued is a caller of Acquire.
type queued struct {
	*caller[user]
	cancel   context.CancelFunc
	canceled bool
	tick     int // tick of the action that started it
	joined   int // tick of the first action whose Connects begin after it has joined the queue
	since    time.Time
}

func newMachine(t *rapid.T) *machine {
	m := &machine{fake: &drivertest.Fake{}, gate: make(chan struct{}), since: map[pool.Lease[user]]time.Time{}, bare: rapid.Bool().Draw(t, "bare")}
	m.fake.Wrap = func(c *drivertest.FakeConn) driver.Conn {
		if m.bare {
			return drivertest.Bare(c)
		}
		return &watchedConn{c, &m.watch}
	}
	m.cfg = drawConfig(t)
	if rapid.Bool().Draw(t, "OnAcquire") {
		m.cfg.OnAcquire = m.watch.onAcquire
	}
	m.watch.next() // ticks start at 1
	m.watch.setLimit(m.cfg.MaxOpen)
	m.scriptConnect(nil)
	p, err := pool.New[user](&watchedConnector{m.fake, &m.watch}, m.cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.pool = p
	return m
}

// drawConfig returns random settings, small enough for a few actions to reach the limits.
func drawConfig(t *rapid.T) pool.Config {
	duration := func(name string, of ...time.Duration) time.Duration { return rapid.SampledFrom(of).Draw(t, name) }
	maxOpen := rapid.IntRange(1, 4).Draw(t, "MaxOpen")
	minIdle := rapid.IntRange(0, maxOpen).Draw(t, "MinIdle")
	return pool.Config{
		MaxOpen:        maxOpen,
		MinIdle:        minIdle,
		MaxIdle:        rapid.IntRange(minIdle, maxOpen).Draw(t, "MaxIdle"),
		MaxWaiters:     rapid.SampledFrom([]int{0, 0, 2}).Draw(t, "MaxWaiters"),
		AcquireTimeout: duration("AcquireTimeout", -1, 2*time.Second, 30*time.Second),
		MaxConnecting:  rapid.IntRange(0, 2).Draw(t, "MaxConnecting"),
		ValidateAfter:  duration("ValidateAfter", -1, time.Millisecond, time.Second),
		KeepAlive:      duration("KeepAlive", -1, 3*time.Second),
		MaxIdleTime:    duration("MaxIdleTime", -1, 5*time.Second),
		MaxLifetime:    duration("MaxLifetime", -1, 10*time.Second),
		MaxUses:        rapid.SampledFrom([]int{0, 0, 3}).Draw(t, "MaxUses"),
		FailFast:       rapid.Bool().Draw(t, "FailFast"),
	}
}

// Acquire starts a caller.
func (m *machine) Acquire(*rapid.T) { m.acquire() }

func (m *machine) acquire() {
	ctx, cancel := context.WithCancel(context.Background())
	q := &queued{caller: &caller[user]{done: make(chan struct{})}, cancel: cancel, tick: m.watch.tick, joined: m.watch.tick, since: time.Now()}
	m.callers = append(m.callers, q)
	go func() {
		defer close(q.done)
		q.lease, q.err = m.pool.Acquire(ctx)
	}()
}

// Cancel ends the context of a caller.
func (m *machine) Cancel(t *rapid.T) {
	if len(m.callers) == 0 {
		t.Skip()
	}
	q := m.callers[rapid.IntRange(0, len(m.callers)-1).Draw(t, "caller")]
	q.canceled = true
	q.cancel()
}

// Try calls TryAcquire, which must succeed if the fast path alone decides.
func (m *machine) Try(t *rapid.T) {
	before := m.pool.Stats()
	l, ok := try(m.pool)
	if ok {
		m.hold(l)
	} else if m.bare && before.Idle > 0 && before.Waiting == 0 && m.cfg.OnAcquire == nil {
		t.Fatalf("TryAcquire() failed although a connection is idle: %+v", before)
	}
}

func (m *machine) hold(l pool.Lease[user]) {
	m.acquired++
	m.leases = append(m.leases, l)
	m.since[l] = time.Now()
}

// pick removes one of the current leases and returns it.
func (m *machine) pick(t *rapid.T) pool.Lease[user] {
	if len(m.leases) == 0 {
		t.Skip()
	}
	i := rapid.IntRange(0, len(m.leases)-1).Draw(t, "lease")
	l := m.leases[i]
	m.leases = slices.Delete(m.leases, i, i+1)
	m.ended = append(m.ended, l)
	return l
}

func (m *machine) Use(t *rapid.T) {
	l := m.pick(t)
	if err := l.Conn().Use(); err != nil {
		if !errors.Is(err, io.EOF) {
			t.Fatalf("Use() = %v on a leased connection", err)
		}
		l.Discard(err)
		return
	}
	l.Release()
}

func (m *machine) Release(t *rapid.T) { m.pick(t).Release() }

func (m *machine) Discard(t *rapid.T) {
	m.pick(t).Discard(rapid.SampledFrom([]error{nil, errScripted, io.EOF}).Draw(t, "reason"))
}

// Fail ends a lease after an unknown error.
func (m *machine) Fail(t *rapid.T) { m.pick(t).End(errUnknown) }

// Hijack closes the connection first, so that the server never counts it in addition
// to those in the pool.
func (m *machine) Hijack(t *rapid.T) {
	l := m.pick(t)
	m.hijacked++
	if err := l.Conn().Close(); err != nil {
		t.Fatal(err)
	}
	l.Hijack()
}

// Misuse uses an ended lease, which must have no effect.
func (m *machine) Misuse(t *rapid.T) {
	if len(m.ended) == 0 {
		t.Skip()
	}
	l := m.ended[rapid.IntRange(0, len(m.ended)-1).Draw(t, "ended lease")]
	l.Release()
	l.Discard(io.EOF)
	assert.Panics(t, func() { l.Hijack() })
	assert.Panics(t, func() { l.Conn() })
}

// Burst ends all leases at once, while some callers leave and others arrive.
func (m *machine) Burst(t *rapid.T) {
	for _, q := range m.callers {
		if rapid.Bool().Draw(t, "leaves") {
			q.canceled = true
			go q.cancel()
		}
	}
	for _, l := range m.leases {
		go l.Release()
	}
	old := len(m.callers)
	for range len(m.leases) + rapid.IntRange(0, 2).Draw(t, "more") {
		m.acquire()
	}
	for _, q := range m.callers[old:] {
		q.joined++ // Connects of this action may begin before it joins
	}
	m.ended = append(m.ended, m.leases...)
	m.leases = nil
}

func (m *machine) Kill(t *rapid.T) {
	conns := m.fake.Conns()
	if len(conns) == 0 {
		t.Skip()
	}
	conns[rapid.IntRange(0, len(conns)-1).Draw(t, "connection")].Kill()
	m.killed = true
}

func (m *machine) KillAll(*rapid.T) {
	m.fake.KillAll()
	m.killed = true
}

// Connects changes the outcome of Connect from now on.
func (m *machine) Connects(t *rapid.T) {
	switch rapid.SampledFrom([]string{"succeed", "fail", "fail for good", "are throttled", "find the server full", "are slow", "hang", "stall"}).Draw(t, "connects") {
	case "succeed":
		m.scriptConnect(nil)
	case "fail":
		m.scriptConnect(drivertest.Fail(errScripted))
	case "fail for good":
		m.scriptConnect(drivertest.Fail(driver.Permanent(errScripted)))
	case "are throttled":
		m.scriptConnect(drivertest.Fail(driver.Throttled(errScripted, throttle)))
	case "find the server full":
		m.scriptConnect(drivertest.Fail(driver.Full(errScripted, 0)))
	case "are slow":
		m.scriptConnect(drivertest.Delay(time.Second))
	case "hang":
		m.scriptConnect(drivertest.Hang)
	case "stall":
		m.scriptConnect(drivertest.StallUntil(m.gate))
	}
}

// Pings changes the outcome of Ping from now on.
func (m *machine) Pings(t *rapid.T) {
	m.fake.Always(drivertest.Ping, rapid.SampledFrom([]drivertest.Step{
		nil, drivertest.Fail(errScripted), drivertest.Delay(300 * time.Millisecond), drivertest.Hang,
	}).Draw(t, "pings"))
}

// Closes changes how long Close takes from now on.
func (m *machine) Closes(t *rapid.T) {
	took := rapid.SampledFrom([]time.Duration{0, 2 * time.Second}).Draw(t, "closes take")
	m.fake.Always(drivertest.Close, func(context.Context, *drivertest.FakeConn) error {
		sleep(took)
		return nil
	})
}

// Refuse makes OnAcquire reject one connection.
func (m *machine) Refuse(t *rapid.T) {
	if m.cfg.OnAcquire == nil {
		t.Skip()
	}
	m.watch.refuse(rapid.SampledFrom([]error{errRefused, driver.ErrBadConn}).Draw(t, "with"))
}

func (m *machine) Advance(t *rapid.T) {
	advance(rapid.SampledFrom([]time.Duration{
		time.Millisecond, 50 * time.Millisecond, 400 * time.Millisecond, 2 * time.Second, 11 * time.Second, 70 * time.Second,
	}).Draw(t, "by"))
}

func (m *machine) Reset(*rapid.T) {
	m.watch.reset()
	m.pool.Reset()
}

func (m *machine) Resize(t *rapid.T) {
	m.resize(t, rapid.IntRange(0, 5).Draw(t, "to"))
}

// Close closes the pool, with or without its leases, one time in ten.
func (m *machine) Close(t *rapid.T) {
	switch rapid.IntRange(0, 19).Draw(t, "Close") {
	default:
		t.Skip()
	case 0:
		m.heal()
		m.closed = true
		assert.NoError(t, m.pool.Close())
	case 1:
		m.heal()
		m.settle(t) // now all leases are known
		m.closed = true
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		m.pool.Shutdown(ended)
		m.leases = nil
	}
}

func (m *machine) resize(t *rapid.T, n int) {
	m.watch.setLimit(n)
	if err := m.pool.Resize(n); err != nil {
		t.Fatal(err)
	}
}

// heal makes the server work again.
func (m *machine) heal() {
	m.scriptConnect(nil)
	m.fake.Always(drivertest.Ping, nil)
	m.fake.Always(drivertest.Close, nil)
	m.watch.refuse(nil)
	close(m.gate)
	m.gate = make(chan struct{})
	synctest.Wait()
}

// abandon ends everything, so that a failed run leaves no goroutine behind.
func (m *machine) abandon() {
	m.heal()
	for _, q := range m.callers {
		q.cancel()
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	m.pool.Shutdown(ended)
}

// scriptConnect makes Connect do step, and checks the limit in each Connect.
func (m *machine) scriptConnect(step drivertest.Step) {
	m.fake.Always(drivertest.Connect, func(ctx context.Context, c *drivertest.FakeConn) error {
		m.watch.checkLimit(m.fake.Counts())
		if step == nil {
			return nil
		}
		return step(ctx, c)
	})
}
