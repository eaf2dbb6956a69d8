package main

import (
	"context"
	"sync"
	"time"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
)

// request makes one request on c.
type request func(ctx context.Context, c pinger) error

// pingOnce is the request of bench: one ping.
func pingOnce(ctx context.Context, c pinger) error { return c.Ping(ctx) }

// ask gets a connection and makes one request on it. get is how long getting the
// connection took, use how long the request took.
type ask func(ctx context.Context) (get, use time.Duration, err error)

// viaPool makes each request on a connection acquired from a pool.
func viaPool(acquire func(context.Context) (pool.Lease[pinger], error), once request) ask {
	return func(ctx context.Context) (get, use time.Duration, err error) {
		began := time.Now()
		l, err := acquire(ctx)
		if err != nil {
			return 0, 0, err
		}
		acquired := time.Now()
		if err := once(ctx, l.Conn()); err != nil {
			l.Discard(err)
			return 0, 0, err
		}
		use = time.Since(acquired)
		l.Release()
		return acquired.Sub(began), use, nil
	}
}

// viaConnect makes each request on a new connection, with at most limit at once. The wait
// for that limit counts as part of get.
func viaConnect(c driver.Connector, limit int, once request) ask {
	open := make(chan struct{}, limit)
	return func(ctx context.Context) (get, use time.Duration, err error) {
		began := time.Now()
		select {
		case open <- struct{}{}:
			defer func() { <-open }()
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		}
		conn, err := c.Connect(ctx)
		if err != nil {
			return 0, 0, err
		}
		defer conn.Close()
		connected := time.Now()
		if err := once(ctx, conn.(pinger)); err != nil {
			return 0, 0, err
		}
		return connected.Sub(began), time.Since(connected), nil
	}
}

// load is a number of workers. Each makes its next request when the last one is answered.
type load struct {
	ask     ask
	workers int
	grace   time.Duration // how much longer requests in progress at the end may take
}

// afterFailure is how long a worker pauses after a failed request, to spare a server that
// refuses everything.
const afterFailure = 10 * time.Millisecond

// run runs the workers for d, and then waits for the requests in progress. Each worker
// makes at least one request. If ctx is canceled, run ends at once and does not count the
// requests in progress.
func (l *load) run(ctx context.Context, d time.Duration) *tally {
	return l.runUntil(ctx, d, nil)
}

// runUntil is run that goes on until over is closed, if that is later.
func (l *load) runUntil(ctx context.Context, d time.Duration, over <-chan struct{}) *tally {
	began := time.Now()
	end := began.Add(d)
	ctx, cancel := context.WithDeadline(ctx, end.Add(l.grace))
	defer cancel()
	tallies := make([]*tally, l.workers)
	var workers sync.WaitGroup
	for i := range tallies {
		tallies[i] = newTally()
		workers.Go(func() { l.work(ctx, end, over, tallies[i]) }) // ends soon after end and over, or ctx
	}
	workers.Wait()
	sum := newTally()
	sum.elapsed = time.Since(began)
	for _, t := range tallies {
		sum.add(t)
	}
	return sum
}

// work runs one worker.
func (l *load) work(ctx context.Context, end time.Time, over <-chan struct{}, t *tally) {
	for n := 0; ctx.Err() == nil; n++ {
		began := time.Now()
		if n > 0 && !began.Before(end) && isOver(over) {
			return
		}
		get, use, err := l.ask(ctx)
		if ctx.Err() == context.Canceled {
			return
		}
		if err != nil {
			t.failed(began, err)
			wait(ctx, afterFailure)
			continue
		}
		t.succeeded(get, use, time.Since(began))
	}
}

// isOver reports whether over is closed or nil.
func isOver(over <-chan struct{}) bool {
	select {
	case <-over:
		return true
	default:
		return over == nil
	}
}

// wait waits for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
