package pool_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// conn is the connection type of most tests.
type conn = drivertest.FakeConn

// errScripted is an error without any class.
var errScripted = errors.New("scripted error")

// open returns a pool of the connections of c, which is closed when t ends.
func open[C any](t testing.TB, c driver.Connector, cfg pool.Config) *pool.Pool[C] {
	t.Helper()
	p, err := pool.New[C](c, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return p
}

// openFake is open with a new Fake.
func openFake(t testing.TB, cfg pool.Config) (*drivertest.Fake, *pool.Pool[*conn]) {
	t.Helper()
	f := drivertest.NewFake(t)
	return f, open[*conn](t, f, cfg)
}

// advance lets d pass in a bubble, and waits until all is quiet.
func advance(d time.Duration) {
	sleep(d)
	synctest.Wait()
}

// sleep waits for d in a bubble. With -race, two goroutines of a bubble that both wait
// for a timer of 0 crash the runtime (seen in Go 1.26).
func sleep(d time.Duration) {
	if d > 0 {
		<-time.After(d)
	}
}

// acquire is an Acquire that must succeed.
func acquire[C any](t testing.TB, p *pool.Pool[C]) pool.Lease[C] {
	t.Helper()
	l, err := p.Acquire(context.Background())
	require.NoError(t, err)
	return l
}

// acquireN acquires n leases and keeps them.
func acquireN[C any](t testing.TB, p *pool.Pool[C], n int) []pool.Lease[C] {
	t.Helper()
	leases := make([]pool.Lease[C], n)
	for i := range leases {
		leases[i] = acquire(t, p)
	}
	return leases
}

// try calls TryAcquire and reports whether it succeeded.
func try[C any](p *pool.Pool[C]) (pool.Lease[C], bool) {
	l, err := p.TryAcquire()
	return l, err == nil
}

// releaseAll releases leases.
func releaseAll[C any](leases []pool.Lease[C]) {
	for _, l := range leases {
		l.Release()
	}
}

// hijack hijacks a connection of a pool without a gate.
func hijack[C any](l pool.Lease[C]) C {
	c, _ := l.Hijack()
	return c
}

// fill makes n connections and leaves them idle.
func fill[C any](t testing.TB, p *pool.Pool[C], n int) {
	t.Helper()
	releaseAll(acquireN(t, p, n))
	require.Equal(t, n, p.Stats().Idle)
}

// caller is a goroutine in Acquire, in a bubble.
type caller[C any] struct {
	done  chan struct{} // closed when Acquire has returned
	lease pool.Lease[C]
	err   error
}

// start starts a caller, and returns once it waits or has returned.
func start[C any](ctx context.Context, p *pool.Pool[C]) *caller[C] {
	c := &caller[C]{done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.lease, c.err = p.Acquire(ctx)
	}()
	synctest.Wait()
	return c
}

// startN starts n callers, one after the other.
func startN[C any](ctx context.Context, p *pool.Pool[C], n int) crowd[C] {
	callers := make(crowd[C], n)
	for i := range callers {
		callers[i] = start(ctx, p)
	}
	return callers
}

// returned waits until all is quiet, and then reports whether Acquire has returned.
func (c *caller[C]) returned() bool {
	synctest.Wait()
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// wantWaiting fails t if Acquire has returned.
func (c *caller[C]) wantWaiting(t testing.TB) {
	t.Helper()
	if c.returned() {
		require.FailNow(t, "Acquire has returned; want it to wait", "error: %v", c.err)
	}
}

// wantLease returns the caller's lease. It fails t if Acquire has not returned one.
func (c *caller[C]) wantLease(t testing.TB) pool.Lease[C] {
	t.Helper()
	require.True(t, c.returned(), "Acquire still waits; want a lease")
	require.NoError(t, c.err)
	return c.lease
}

// wantError fails t unless the caller has by now an *AcquireError that is target.
func (c *caller[C]) wantError(t testing.TB, target error) *pool.AcquireError {
	t.Helper()
	require.True(t, c.returned(), "Acquire still waits; want the error %v", target)
	return wantAcquireError(t, c.err, target)
}

// crowd is a list of callers, oldest first.
type crowd[C any] []*caller[C]

// wantWaiting fails t if any Acquire has returned.
func (all crowd[C]) wantWaiting(t testing.TB) {
	t.Helper()
	for _, c := range all {
		c.wantWaiting(t)
	}
}

// wantServed releases the leases that all of them must get, one after the other.
func (all crowd[C]) wantServed(t testing.TB) {
	t.Helper()
	for _, c := range all {
		c.wantLease(t).Release()
	}
}

// wantError fails t unless all have an *AcquireError that is target.
func (all crowd[C]) wantError(t testing.TB, target error) {
	t.Helper()
	for _, c := range all {
		c.wantError(t, target)
	}
}

// wantAcquireError fails t unless err is an *AcquireError that is target. A nil
// target allows any.
func wantAcquireError(t testing.TB, err, target error) *pool.AcquireError {
	t.Helper()
	if target != nil {
		require.ErrorIs(t, err, target)
	}
	var e *pool.AcquireError
	require.ErrorAs(t, err, &e)
	return e
}

// wantServes fails t unless n Acquires succeed at once, with connections that work,
// and one more must wait. No lease may be held. It runs in a bubble.
func wantServes(t testing.TB, p *pool.Pool[*conn], n int) {
	t.Helper()
	synctest.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	callers := startN(ctx, p, n+1)
	for i, c := range callers[:n] {
		require.True(t, c.returned(), "Acquire %d of %d waits; a slot is lost: %+v", i+1, n, p.Stats())
		assert.NoError(t, c.wantLease(t).Conn().Use())
	}
	callers[n].wantWaiting(t)
	cancel()
	callers[n].wantError(t, context.Canceled)
	for _, c := range callers[:n] {
		c.lease.Release()
	}
}

// wantAllSlots is wantServes, and checks that no connection is left over, neither in
// the pool, which must keep all, nor at the server.
func wantAllSlots(t testing.TB, f *drivertest.Fake, p *pool.Pool[*conn], n int) {
	t.Helper()
	wantServes(t, p, n)
	synctest.Wait()
	s := p.Stats()
	assert.Equal(t, [6]int{n, n, 0, 0, 0, 0}, [6]int{s.Open, s.Idle, s.Leased, s.Connecting, s.Closing, s.Waiting},
		"open, idle, leased, connecting, closing, waiting at rest")
	assert.Equal(t, n, f.Counts().Open)
}

// bubble runs fn as a subtest in its own bubble.
func bubble(t *testing.T, name string, fn func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, fn) })
}

// stall is a step that takes d whatever happens, as in a bad driver.
func stall(d time.Duration) drivertest.Step {
	return func(context.Context, *conn) error {
		sleep(d)
		return nil
	}
}

// load makes n goroutines use connections of p for a number of rounds each, and waits
// for them. They survive panics and Goexit in use and in the pool.
func load(p *pool.Pool[*conn], n, rounds int, use func(ctx context.Context, c *conn) error) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for range rounds {
				apart(func() {
					ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
					defer cancel()
					p.Do(ctx, use)
				})
			}
		})
	}
	wg.Wait()
}

// apart runs fn in a goroutine of its own, where it may panic or exit, and waits for it.
// It returns the value of the panic, if any.
func apart(fn func()) (panicked any) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { panicked = recover() }()
		fn()
	}()
	<-done
	return panicked
}

// watchdog ends the test run with all stacks if t takes too long. A bubble does not
// detect a deadlock on a mutex.
func watchdog(t *testing.T) {
	timer := time.AfterFunc(time.Minute, func() {
		panic(t.Name() + " hangs")
	})
	t.Cleanup(func() { timer.Stop() })
}

// reasons records the reason for each close, by FakeConn.ID. Its method add is for
// Config.OnClose.
type reasons struct {
	mu sync.Mutex
	m  map[int]error
}

func (r *reasons) add(c driver.Conn, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.m == nil {
		r.m = map[int]error{}
	}
	r.m[c.(*conn).ID] = why
}

// want fails t unless exactly the connections 1 to n are closed by now, for a reason
// that is target.
func (r *reasons) want(t testing.TB, n int, target error) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	assert.Len(t, r.m, n)
	for id := range n {
		assert.ErrorIs(t, r.m[id+1], target, "connection %d", id+1)
	}
}
