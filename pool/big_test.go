package pool_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
)

// bigBatch is how many operations are measured together.
const bigBatch = 64

// bigOps are operations whose cost must not depend on the size of the pool.
// open returns a function that does bigBatch of them. That function returns how long
// they took, without setup and cleanup.
var bigOps = []struct {
	name       string
	open       func(tb testing.TB, size int) (batch func() time.Duration)
	small, big int
}{
	{"try", allInUse(pool.Config{}, tryBig), 100, 50_000},
	{"reject", allInUse(pool.Config{MaxWaiters: -1}, acquireBig), 100, 50_000},
	{"grow", openGrowing, 100, 50_000},
	{"handover", openHandover, 100, 50_000},
	{"wait", openContended, 100, 50_000},
	{"release-after-peak", openAfterPeak, 1, 5_000},
	{"close", openClosing, 500, 10_000},
}

// openLeased returns a pool with n connections in use, and their leases.
func openLeased(tb testing.TB, cfg pool.Config, n int) (*pool.Pool[*plainConn], []pool.Lease[*plainConn]) {
	p, err := pool.New[*plainConn](plainConnector{}, cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, p.Close()) })
	leases := make([]pool.Lease[*plainConn], n)
	takeAll(tb, p, leases)
	return p, leases
}

// takeAll fills leases by calling Acquire.
func takeAll(tb testing.TB, p *pool.Pool[*plainConn], leases []pool.Lease[*plainConn]) {
	ctx := context.Background()
	for i := range leases {
		var err error
		if leases[i], err = p.Acquire(ctx); err != nil {
			tb.Fatal(err)
		}
	}
}

// await blocks until background work of the pool has made ok return true.
func await(p *pool.Pool[*plainConn], ok func(pool.Stats) bool) {
	for !ok(p.Stats()) {
		runtime.Gosched()
	}
}

// allInUse measures a call that fails because all connections are in use.
func allInUse(cfg pool.Config, call func(*pool.Pool[*plainConn]) error) func(testing.TB, int) func() time.Duration {
	return func(tb testing.TB, size int) func() time.Duration {
		cfg.MaxOpen = size
		p, _ := openLeased(tb, cfg, size)
		return func() time.Duration {
			began := time.Now()
			for range bigBatch {
				if call(p) == nil {
					tb.Error("the call got a connection")
				}
			}
			return time.Since(began)
		}
	}
}

func tryBig(p *pool.Pool[*plainConn]) error { _, err := p.TryAcquire(); return err }

func acquireBig(p *pool.Pool[*plainConn]) error {
	_, err := p.Acquire(context.Background())
	return err
}

// openContended measures Acquire and Release by two callers that want the same
// connection, so that each waits for the other. All other connections are in use.
func openContended(tb testing.TB, size int) func() time.Duration {
	p, leases := openLeased(tb, pool.Config{MaxOpen: size}, size)
	leases[size-1].Release()
	return func() time.Duration {
		var callers sync.WaitGroup
		began := time.Now()
		for range 2 {
			callers.Go(func() {
				for range bigBatch / 2 {
					var one [1]pool.Lease[*plainConn]
					takeAll(tb, p, one[:])
					runtime.Gosched() // lets the other join the queue
					one[0].Release()
				}
			})
		}
		callers.Wait()
		return time.Since(began)
	}
}

// openGrowing measures Acquire when all connections are in use but MaxOpen is not
// reached.
func openGrowing(tb testing.TB, size int) func() time.Duration {
	p, _ := openLeased(tb, pool.Config{MaxOpen: size + bigBatch}, size)
	leases := make([]pool.Lease[*plainConn], bigBatch)
	return func() time.Duration {
		began := time.Now()
		takeAll(tb, p, leases)
		took := time.Since(began)
		for _, l := range leases {
			l.Discard(nil)
		}
		await(p, func(s pool.Stats) bool { return s.Closing == 0 && s.Leased == size })
		return took
	}
}

// openHandover measures Release while callers wait, until they are served.
func openHandover(tb testing.TB, size int) func() time.Duration {
	p, leases := openLeased(tb, pool.Config{MaxOpen: size}, size)
	return func() time.Duration {
		got := make([]pool.Lease[*plainConn], bigBatch)
		var callers sync.WaitGroup
		for i := range got {
			callers.Go(func() { takeAll(tb, p, got[i:i+1]) })
		}
		await(p, func(s pool.Stats) bool { return s.Waiting == bigBatch })
		began := time.Now()
		for i := range got { // skips the first connections, which the pool finds first
			leases[size-1-i].Release()
		}
		callers.Wait()
		took := time.Since(began)
		copy(leases[size-bigBatch:], got)
		return took
	}
}

// openAfterPeak measures Acquire and Release after MaxIdle has closed most connections
// of a peak.
func openAfterPeak(tb testing.TB, peak int) func() time.Duration {
	p, leases := openLeased(tb, pool.Config{MaxOpen: 10_000, MaxIdle: 2}, peak)
	releaseAll(leases)
	await(p, func(s pool.Stats) bool { return s.Closing == 0 })
	return func() time.Duration {
		one := leases[:1]
		began := time.Now()
		for range bigBatch {
			takeAll(tb, p, one)
			one[0].Release()
		}
		return time.Since(began)
	}
}

// checkableConn is a connection that can be checked.
type checkableConn struct{ plainConn }

func (*checkableConn) Ping(context.Context) error { return nil }

type checkableConnector struct{}

func (checkableConnector) Connect(context.Context) (driver.Conn, error) { return &checkableConn{}, nil }

// closed is how many connections a batch of openClosing closes, in one pool or in many.
// It is the same at each size, so that the garbage collector and other work on the
// machine slow down all sizes equally.
const closed = 10_000

// openClosing measures Close, scaled to bigBatch connections. It takes so long that other
// work on the machine would interrupt it, so it counts the time on the processors.
func openClosing(tb testing.TB, size int) func() time.Duration {
	return func() time.Duration {
		pools := make([]*pool.Pool[*checkableConn], closed/size)
		for i := range pools {
			pools[i] = openDoubtful(tb, size)
		}
		began := cpuTime()
		for _, p := range pools {
			require.NoError(tb, p.Close())
		}
		return (cpuTime() - began) * bigBatch / closed
	}
}

// openDoubtful returns a pool whose connections are idle and need a check because
// one has died.
func openDoubtful(tb testing.TB, size int) *pool.Pool[*checkableConn] {
	p, err := pool.New[*checkableConn](checkableConnector{}, pool.Config{MaxOpen: size})
	require.NoError(tb, err)
	require.NoError(tb, p.Warm(context.Background(), size))
	l, err := p.TryAcquire()
	require.NoError(tb, err)
	l.Discard(driver.ErrBadConn)
	return p
}

// An operation costs the same however many connections the pool has. A big pool may
// cost up to three times as much, because more memory means more cache misses.
func TestCostDoesNotGrowWithThePool(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("measures time")
	}
	for _, op := range bigOps {
		t.Run(op.name, func(t *testing.T) {
			small, big := op.open(t, op.small), op.open(t, op.big)
			// Other work on the machine slows down some runs, but not the best of
			// many short ones.
			best := func(batch func() time.Duration, d *time.Duration) { *d = min(*d, batch()) }
			short, long := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
			for round := 0; round < 8 || float64(long) > 3*float64(short) && round < 60; round++ {
				best(small, &short)
				best(big, &long)
			}
			ratio := float64(long) / float64(short)
			per := fmt.Sprintf("%v at size %d, %v at size %d", short/bigBatch, op.small, long/bigBatch, op.big)
			t.Logf("%.1f times: %s", ratio, per)
			assert.LessOrEqual(t, ratio, 3.0, per)
		})
	}
}
