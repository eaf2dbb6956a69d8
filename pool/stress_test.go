package pool_test

import (
	"context"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// stressTime is how long each stress test runs: HOTLINE_STRESS, a duration, or half
// a second. Run them also with -race and with GOMAXPROCS above the number of cores:
//
//	HOTLINE_STRESS=2m GOMAXPROCS=4 go test -race -run Stress ./pool
func stressTime(t *testing.T) time.Duration {
	value, ok := os.LookupEnv("HOTLINE_STRESS")
	if !ok {
		return 500 * time.Millisecond
	}
	d, err := time.ParseDuration(value)
	require.NoError(t, err, "HOTLINE_STRESS")
	return d
}

// stressPatience is how long a waiter may wait in a stress test. If one waits longer,
// the fault is in the pool and not a slow machine.
const stressPatience = 10 * time.Second

// stressConn is a connection with a field for the name of its holder. The field is
// deliberately not atomic: if the pool fails to separate two holders, they race on it.
type stressConn struct {
	*drivertest.BareConn
	owner int
}

// fullStressConn is a stressConn with all optional interfaces.
type fullStressConn struct {
	*drivertest.FakeConn
	owner int
}

func (c *stressConn) holder() *int     { return &c.owner }
func (c *fullStressConn) holder() *int { return &c.owner }

// stressed has the methods of a connection that the stress test uses.
type stressed interface {
	user
	holder() *int
}

// Many callers hold connections very briefly and end their leases in every way. The
// server kills connections and refuses new ones. The pool is reset and resized, and its
// checks, keepalives and lifetimes last a few milliseconds. No connection may have two
// holders, no caller may wait forever, and no slot may be missing at the end.
func TestStressOneHolderAndNoSlotLost(t *testing.T) {
	t.Run("connections=bare", func(t *testing.T) {
		testStress(t, func(c *drivertest.FakeConn) driver.Conn {
			return &stressConn{BareConn: drivertest.Bare(c).(*drivertest.BareConn)}
		})
	})
	t.Run("connections=full", func(t *testing.T) {
		testStress(t, func(c *drivertest.FakeConn) driver.Conn { return &fullStressConn{FakeConn: c} })
	})
}

func testStress(t *testing.T, wrap func(*drivertest.FakeConn) driver.Conn) {
	const maxOpen, workers = 4, 10
	f := drivertest.NewFake(t)
	f.Wrap = wrap
	p := open[stressed](t, f, pool.Config{
		MaxOpen: maxOpen, MinIdle: 1, MaxConnecting: 2, AcquireTimeout: stressPatience,
		ValidateAfter: 10 * time.Millisecond, KeepAlive: 5 * time.Millisecond,
		MaxIdleTime: 15 * time.Millisecond, MaxLifetime: 30 * time.Millisecond,
		Backoff: pool.Backoff{Initial: time.Millisecond, Max: 4 * time.Millisecond},
	})
	ctx, cancel := context.WithTimeout(t.Context(), stressTime(t))
	defer cancel()
	var acquired atomic.Int64
	var all sync.WaitGroup
	for id := range workers {
		all.Go(func() { stressWorker(ctx, t, p, id+1, &acquired) })
	}
	all.Go(func() { stressTrouble(ctx, t, f, p, maxOpen) })
	all.Wait()

	require.NoError(t, p.Resize(maxOpen))
	leases := acquireN(t, p, maxOpen)
	_, ok := try(p)
	assert.False(t, ok, "one slot too many")
	releaseAll(leases)
	s := p.Stats()
	assert.Equal(t, acquired.Load()+maxOpen, s.Acquires)
	assert.LessOrEqual(t, f.Counts().Peak, maxOpen)
	require.NoError(t, p.Close())
	assert.Zero(t, f.Counts().Open)
	t.Logf("%+v", s)
}

// stressWorker acquires and ends leases until ctx ends.
func stressWorker(ctx context.Context, t *testing.T, p *pool.Pool[stressed], id int, acquired *atomic.Int64) {
	for n := 0; ctx.Err() == nil; n++ {
		if n%200 == 0 {
			<-time.After(rand.N(40 * time.Millisecond)) // lets connections become idle
		}
		l, ok := stressAcquire(t, p)
		if !ok {
			continue
		}
		acquired.Add(1)
		c := l.Conn()
		*c.holder() = id
		err := c.Use()
		for range rand.IntN(3) {
			runtime.Gosched()
		}
		if *c.holder() != id {
			t.Errorf("the connection of %d is now %d's", id, *c.holder())
		}
		stressEnd(t, l, err)
	}
}

// stressAcquire acquires in a random way, and reports whether it got a connection.
func stressAcquire(t *testing.T, p *pool.Pool[stressed]) (pool.Lease[stressed], bool) {
	ctx := context.Background()
	switch rand.IntN(10) {
	case 0:
		return try(p)
	case 1, 2, 3:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, rand.N(100*time.Microsecond))
		defer cancel()
	}
	l, err := p.Acquire(ctx)
	if err != nil {
		assert.NotErrorIs(t, err, pool.ErrTimeout, "a waiter was forgotten")
		assert.NotErrorIs(t, err, driver.ErrBadConn, "a dead connection surfaced")
	}
	return l, err == nil
}

// stressEnd ends a lease in a random way.
func stressEnd(t *testing.T, l pool.Lease[stressed], err error) {
	switch way := rand.IntN(2000); {
	case err != nil:
		assert.ErrorIs(t, err, io.EOF, "Use of a leased connection")
		l.Discard(err)
	case way == 0:
		l.Discard(nil)
	case way == 1:
		assert.NoError(t, l.Conn().Close()) // first, so that the server no longer counts it when the slot is free
		l.Hijack()
	case way < 20:
		l.End(errUnknown)
	default:
		l.Release()
	}
	l.Release() // a second time, which does nothing
	l.Discard(io.EOF)
}

// stressTrouble makes trouble for the pool until ctx ends, and then lets it recover.
func stressTrouble(ctx context.Context, t *testing.T, f *drivertest.Fake, p *pool.Pool[stressed], maxOpen int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		switch rand.IntN(100) {
		case 0:
			f.KillAll()
		case 1, 2, 3:
			if conns := f.Conns(); len(conns) > 0 {
				conns[rand.IntN(len(conns))].Kill()
			}
		case 4, 5:
			f.Always(drivertest.Connect, drivertest.Fail(errScripted))
		case 6, 7, 8, 9, 10, 11:
			f.Always(drivertest.Connect, nil)
		case 12:
			p.Reset()
		case 13, 14, 15:
			assert.NoError(t, p.Resize(1+rand.IntN(maxOpen)))
		}
	}
	f.Always(drivertest.Connect, nil)
}

// A few callers want one connection at the same time. Each comes once, and no others
// follow. If the pool overlooks one of them, nothing wakes it later, not even the
// keeper.
func TestStressNoWakeUpIsLost(t *testing.T) {
	const callers = 3
	f := drivertest.NewFake(t)
	f.Wrap = drivertest.Bare
	p := open[*drivertest.BareConn](t, f, pool.Config{
		MaxOpen: 1, AcquireTimeout: stressPatience, ValidateAfter: -1, MaxIdleTime: -1, MaxLifetime: -1,
	})
	acquire(t, p).Release()
	end := time.Now().Add(stressTime(t))
	var meet barrier
	var rounds int
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for meet.wait(callers, func() bool { rounds++; return time.Now().Before(end) && !t.Failed() }) {
				acquireOnce(t, p, i == 0 && rounds%4 == 0)
			}
		})
	}
	all.Wait()
	s := p.Stats()
	assert.Equal(t, 1, s.Idle)
	t.Logf("%d rounds, %d callers waited, %d of them left", rounds, s.Waits, s.Canceled)
}

// acquireOnce leases the connection for a moment. leaves means that the caller gives up
// almost at once.
func acquireOnce(t *testing.T, p *pool.Pool[*drivertest.BareConn], leaves bool) {
	ctx := context.Background()
	if leaves {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, rand.N(20*time.Microsecond))
		defer cancel()
	}
	spin(rand.IntN(500))
	l, err := p.Acquire(ctx)
	if err != nil {
		assert.NotErrorIs(t, err, pool.ErrTimeout, "a waiter was forgotten")
		return
	}
	if rand.IntN(4) == 0 {
		runtime.Gosched() // lets the others run even on one processor
	}
	spin(rand.IntN(500))
	l.Release()
}

// spin takes about n nanoseconds without yielding the processor.
func spin(n int) {
	for range n {
		spun.Load()
	}
}

var spun atomic.Int64

// barrier lets goroutines start at the same time, more precisely than by waking them.
type barrier struct{ arrived, passed atomic.Int64 }

// wait returns in all n goroutines as soon as the last of them has called it. It returns
// the result of next, which that last goroutine calls.
func (b *barrier) wait(n int64, next func() bool) bool {
	passed := b.passed.Load()
	if b.arrived.Add(1) == n {
		b.arrived.Store(0)
		if !next() {
			passed = -2 // for all later calls
		}
		b.passed.Store(passed + 1)
	}
	for b.passed.Load() == passed {
		runtime.Gosched()
	}
	return b.passed.Load() >= 0
}
