package pool_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/pool"
)

// toil makes n callers use p in a loop until d has passed. Each holds a lease for
// hold and then ends it with end. A caller that gets an error pauses for hold. toil
// returns the number of calls and the errors of Acquire.
func toil[C any](p *pool.Pool[C], n int, d, hold time.Duration, end func(pool.Lease[C])) (calls int, errs []error) {
	var mu sync.Mutex
	var callers sync.WaitGroup
	began := time.Now()
	for range n {
		callers.Go(func() {
			for time.Since(began) < d {
				l, err := p.Acquire(context.Background())
				sleep(hold)
				if err == nil {
					end(l)
				}
				mu.Lock()
				calls++
				if err != nil {
					errs = append(errs, err)
				}
				mu.Unlock()
			}
		})
	}
	callers.Wait()
	return calls, errs
}

// toiling runs toil in the background. wait waits for its end and returns its
// result.
func toiling[C any](t testing.TB, p *pool.Pool[C], n int, d, hold time.Duration, end func(pool.Lease[C])) (wait func() (int, []error)) {
	var calls int
	var errs []error
	done := make(chan struct{})
	go func() {
		defer close(done)
		calls, errs = toil(p, n, d, hold, end)
	}()
	t.Cleanup(func() { <-done })
	return func() (int, []error) {
		<-done
		return calls, errs
	}
}

// release is Lease.Release as a function.
func release[C any](l pool.Lease[C]) { l.Release() }

// wantNoErrors fails t if any of the calls failed.
func wantNoErrors(t testing.TB, calls int, errs []error) {
	t.Helper()
	if len(errs) > 0 {
		assert.Fail(t, "calls failed", "%d of %d, the first: %v", len(errs), calls, errs[0])
	}
}

// backoffSteps returns how many attempts after the first the default Backoff without
// jitter allows in an outage that lasts d.
func backoffSteps(d time.Duration) (n int) {
	step := 100 * time.Millisecond
	for d >= step {
		d -= step
		step = min(step*16/10, 5*time.Second)
		n++
	}
	return n
}
