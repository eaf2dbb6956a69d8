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

// pingOnce is the request of bench.
func pingOnce(ctx context.Context, c pinger) error { return c.Ping(ctx) }

// ask makes one request on a connection of its choice. get is how long it took
// to get the connection, use how long the request took.
type ask func(ctx context.Context) (get, use time.Duration, err error)

// viaPool makes requests on connections of p.
func viaPool(p *pool.Pool[pinger], once request) ask {
	return func(ctx context.Context) (get, use time.Duration, err error) {
		began := time.Now()
		l, err := p.Acquire(ctx)
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

// viaConnect makes each request on a new connection, of which there are at most
// limit at once. Waiting for a place among them is part of getting one.
func viaConnect(c driver.Connector, limit int, once request) ask {
	places := make(chan struct{}, limit)
	return func(ctx context.Context) (get, use time.Duration, err error) {
		began := time.Now()
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
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

// load is workers that ask all the time: each makes its next request when it
// has the answer to the one before.
type load struct {
	ask     ask
	workers int
	grace   time.Duration // what requests under way at the end still get
}

// afterFailure is the pause that a worker makes after a failed request, so that
// a server which refuses everything is not asked without end.
const afterFailure = 10 * time.Millisecond

// run loads for d, and waits for the requests under way then. The end of ctx
// ends it early.
func (l *load) run(ctx context.Context, d time.Duration) *tally {
	began := time.Now()
	end := began.Add(d)
	ctx, cancel := context.WithDeadline(ctx, end.Add(l.grace))
	defer cancel()
	tallies := make([]*tally, l.workers)
	var workers sync.WaitGroup
	for i := range tallies {
		tallies[i] = newTally()
		workers.Go(func() { l.work(ctx, end, tallies[i]) }) // ends soon after end, or ctx
	}
	workers.Wait()
	sum := newTally()
	sum.elapsed = time.Since(began)
	for _, t := range tallies {
		sum.add(t)
	}
	return sum
}

// work is one worker.
func (l *load) work(ctx context.Context, end time.Time, t *tally) {
	for began := time.Now(); began.Before(end) && ctx.Err() == nil; began = time.Now() {
		get, use, err := l.ask(ctx)
		if err != nil {
			t.failed(began, err)
			wait(ctx, afterFailure)
			continue
		}
		t.succeeded(get, use, time.Since(began))
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
