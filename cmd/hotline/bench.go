package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hotline-go/hotline/pool"
)

// benchCommand is hotline bench.
type benchCommand struct {
	DSN      string        `arg:"" name:"DSN" help:"Whom to ask. Parameters that begin with pool_ set up the pool, as in pool_max_open=20."`
	Workers  int           `short:"c" name:"workers" default:"64" help:"Workers; each asks again when it has its answer."`
	Duration time.Duration `short:"d" default:"10s" help:"How long to measure each of the two."`
	Timeout  time.Duration `short:"t" default:"5s" help:"Bounds the first connect and ping, and the requests under way at the end."`
	PoolOnly bool          `help:"Leave out the connect per request, which is a load on servers with a costly login."`
	JSON     bool          `name:"json" help:"Print JSON instead of tables; times are in nanoseconds."`
}

// maxWorkers bounds the memory for their histograms, at about 100 KiB each.
const maxWorkers = 10_000

// Validate is called by kong.
func (c *benchCommand) Validate() error {
	switch {
	case c.Workers < 1 || c.Workers > maxWorkers:
		return fmt.Errorf("--workers: want 1 to %d", maxWorkers)
	case c.Duration <= 0:
		return errors.New("--duration: want more than 0")
	}
	return checkTimeout(c.Timeout)
}

// Run tries the server with one connection, measures, and prints. Failed
// requests are an error, after the report.
func (c *benchCommand) Run(ctx context.Context, con console) error {
	t, err := openTarget(c.DSN)
	if err != nil {
		return err
	}
	if t.looksOnly() {
		return usageError{errors.New("bench needs round trips; give the DSN ping= and pong=, as in tcp://127.0.0.1:2485?ping=PING%0A&pong=PONG%0A")}
	}
	p, err := pool.Open[pinger](t.scheme, t.dsn, pool.Config{Logger: con.log})
	if err != nil {
		return usageError{err}
	}
	defer p.Close()
	if err := c.try(ctx, t); err != nil {
		return err
	}
	r := c.measure(ctx, con, t, p)
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(con.out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(r.json())
	} else {
		r.print(con.out)
	}
	return errors.Join(err, r.err())
}

// try makes sure that there is something to measure.
func (c *benchCommand) try(ctx context.Context, t *target) error {
	conn, err := t.connect(ctx, c.Timeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = roundTrip(ctx, conn, c.Timeout)
	return err
}

// measure loads the pool, then the server without the pool. Both ways have the
// same number of connections.
func (c *benchCommand) measure(ctx context.Context, con console, t *target, p *pool.Pool[pinger]) *benchResult {
	r := &benchResult{name: t.name, workers: c.Workers, maxOpen: p.Stats().MaxOpen, duration: c.Duration}
	total := 2 * c.Duration
	if c.PoolOnly {
		total = c.Duration
	}
	bar := newProgress(con.err, total)
	defer bar.end()
	bar.stage("pool")
	pooled := load{viaPool(p, pingOnce), c.Workers, c.Timeout}
	r.pool = pooled.run(ctx, c.Duration)
	_ = p.Close() // so that its connections don't count besides those that come
	if c.PoolOnly {
		return r
	}
	bar.stage("connect per request")
	connecting := load{viaConnect(t.connector, r.maxOpen, pingOnce), c.Workers, c.Timeout}
	r.connect = connecting.run(ctx, c.Duration)
	return r
}
