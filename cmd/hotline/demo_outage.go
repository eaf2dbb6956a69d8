package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hotline-go/hotline/internal/testserver"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/retry"
)

// outage is a crash and restart of a server under load.
type outage struct {
	name    string
	server  *testserver.Server
	pool    *pool.Pool[pinger] // with MinIdle equal to MaxOpen
	request request
	bar     *progress

	start    time.Time
	retries  atomic.Int64
	returned atomic.Int64 // when the server came back, in ns since start; 0 before that
	answered atomic.Int64 // when the first request after that was answered, in ns since start; 0 before that

	result outageResult
}

// outageResult is the result of an outage.
type outageResult struct {
	load        *tally
	retries     int64         // attempts that failed and were repeated
	down        time.Duration // from the crash to the restart
	firstAnswer time.Duration // from the restart to the first successful request
	allBack     time.Duration // from the restart until all connections were logged in
}

// play loads the server for d. Meanwhile it kills the server, leaves it down for a fifth
// of d, and restarts it. On a busy machine that may take longer than d; the load lasts
// until then.
func (o *outage) play(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o.start = time.Now()
	loaded, over := make(chan *tally), make(chan struct{})
	go func() { // ends with the load
		patient := load{o.askUntilAnswered, demoClients, demoTimeout}
		loaded <- patient.runUntil(ctx, d, over)
	}()
	err := o.crash(ctx, d/5)
	close(over)
	if err != nil {
		cancel()
	}
	o.result.load = <-loaded
	o.result.retries = o.retries.Load()
	o.result.firstAnswer = time.Duration(max(o.answered.Load()-o.returned.Load(), 0))
	return err
}

// crash waits for d, takes the server down for d, and waits until the pool has all its
// connections again.
func (o *outage) crash(ctx context.Context, d time.Duration) error {
	wait(ctx, d)
	o.bar.stage(o.name + ": the server has crashed")
	killed := time.Now()
	o.server.Kill()
	wait(ctx, d)
	if err := o.server.Restart(); err != nil {
		return err
	}
	back := time.Now()
	o.returned.Store(int64(back.Sub(o.start)))
	o.bar.stage(o.name + ": the server is back")
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	err := o.pool.Ready(ctx)
	o.result.down, o.result.allBack = back.Sub(killed), time.Since(back)
	return err
}

// askUntilAnswered repeats a request until it succeeds or ctx ends. Sending a PING or
// a FETCH twice does no harm, hence retry.Always. The pool itself pauses long enough
// between connects, so short waits suffice here.
func (o *outage) askUntilAnswered(ctx context.Context) (get, use time.Duration, err error) {
	policy := retry.Policy{
		MaxAttempts: -1,
		Interval:    10 * time.Millisecond,
		MaxInterval: 100 * time.Millisecond,
		RetryIf:     retry.Always,
		OnRetry:     func(context.Context, retry.Failure) { o.retries.Add(1) },
	}
	once := viaPool(o.pool.Acquire, o.request)
	err = policy.Do(ctx, func(ctx context.Context) (err error) {
		get, use, err = once(ctx)
		return err
	})
	if err == nil && o.returned.Load() != 0 && o.answered.Load() == 0 {
		o.answered.CompareAndSwap(0, int64(time.Since(o.start)))
	}
	return get, use, err
}
