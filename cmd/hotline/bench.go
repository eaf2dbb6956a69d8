package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// benchCommand is hotline bench.
type benchCommand struct {
	pageFlag
	DSN      string        `arg:"" name:"DSN" help:"Server to connect to. Parameters that begin with pool_ configure the pool, such as pool_max_open=20."`
	Workers  int           `short:"c" name:"workers" default:"64" help:"Number of workers. Each sends its next request when the last one is answered."`
	Duration time.Duration `short:"d" default:"10s" help:"How long to measure each way: first the pool, then a connect per request."`
	Timeout  time.Duration `short:"t" default:"5s" help:"Time limit for the first connect and ping, and for requests in progress at the end."`
	Keys     int           `help:"Spread the requests over this many keys. Each key has its own pool; pool_max_open limits all of them together."`
	Zipf     float64       `default:"1" help:"How unevenly to spread the requests: key n gets a share proportional to 1/n to this power. 0 means evenly."`
	PoolOnly bool          `help:"Measure only the pool. A connect per request is hard on servers with a costly login."`
	JSON     bool          `name:"json" help:"Print JSON instead of tables. Times are in nanoseconds."`
}

const (
	maxWorkers = 10_000    // limits the memory for their histograms, about 100 KiB each
	maxKeys    = 1_000_000 // limits the memory for the pools
)

// Validate is called by kong.
func (c *benchCommand) Validate() error {
	switch {
	case c.Workers < 1 || c.Workers > maxWorkers:
		return fmt.Errorf("--workers: want 1 to %d", maxWorkers)
	case c.Duration <= 0:
		return errors.New("--duration: want more than 0")
	case c.Keys < 0 || c.Keys > maxKeys:
		return fmt.Errorf("--keys: want 0 to %d", maxKeys)
	case !(c.Zipf >= 0 && c.Zipf <= 10):
		return errors.New("--zipf: want 0 to 10")
	}
	return errors.Join(checkTimeout(c.Timeout), c.check())
}

// Run tests the server with one connection, measures, and prints the report, even if it
// is interrupted. If requests failed, it then returns an error.
func (c *benchCommand) Run(ctx context.Context, con console) error {
	t, err := openTarget(c.DSN)
	if err != nil {
		return err
	}
	if t.checksSocketOnly() {
		return usageError{errors.New("bench needs round trips; add ping= and pong= to the DSN, as in 'tcp://127.0.0.1:2485?ping=PING%0A&pong=PONG%0A'")}
	}
	p, err := c.open(t, con)
	if err != nil {
		return usageError{err}
	}
	defer p.close()
	if err := c.try(ctx, t); err != nil {
		return err
	}
	end, err := c.show(p, con)
	if err != nil {
		return err
	}
	defer end()
	r := c.measure(ctx, con, t, p)
	if c.JSON {
		encoder := json.NewEncoder(con.out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(r.json())
	} else {
		r.print(con.out)
	}
	return errors.Join(err, ctx.Err(), r.err())
}

// try checks that the server answers.
func (c *benchCommand) try(ctx context.Context, t *target) error {
	conn, err := t.connect(ctx, c.Timeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = roundTrip(ctx, conn, c.Timeout)
	return err
}

// show serves a page of p until end is called, if --listen is set. With --json, it prints
// the address on standard error.
func (c *benchCommand) show(p *benchPool, con console) (end func(), err error) {
	w := con.out
	if c.JSON {
		w = con.err
	}
	page, end, err := c.serve(w)
	if page != nil {
		p.show(page)
	}
	return end, err
}

// measure measures the pool, and then a connect per request. Both use the same number
// of connections.
func (c *benchCommand) measure(ctx context.Context, con console, t *target, p *benchPool) *benchResult {
	r := &benchResult{name: t.name, workers: c.Workers, maxOpen: p.maxOpen, keys: c.Keys, duration: c.Duration, ways: 2}
	if c.PoolOnly {
		r.ways = 1
	}
	defer func() { r.interrupted = ctx.Err() != nil }()
	bar := newProgress(con.bar, r.planned())
	defer bar.end()
	bar.stage("pool")
	pooled := load{viaPool(p.acquire, pingOnce), c.Workers, c.Timeout}
	r.pool = pooled.run(ctx, c.Duration)
	r.stats = p.stats()
	_ = p.close() // its connections must not add to those of the other way
	if c.PoolOnly || ctx.Err() != nil {
		return r
	}
	bar.stage("connect per request")
	connecting := load{viaConnect(t.connector, r.maxOpen, pingOnce), c.Workers, c.Timeout}
	r.connect = connecting.run(ctx, c.Duration)
	return r
}
