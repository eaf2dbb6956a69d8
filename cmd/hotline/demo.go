package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hotline-go/hotline/pool"
)

// demoCommand is hotline demo.
type demoCommand struct {
	For time.Duration `hidden:"" default:"15s" help:"How long it takes."`
}

// The size of the demo. There are more clients than connections, so that they
// queue for them.
const (
	demoClients = 16
	demoMaxOpen = 8
	demoDelay   = time.Millisecond     // an answer, as from a server in the same town
	demoLogin   = 5 * time.Millisecond // a login
)

// demoTimeout bounds each request of the demo, the outage included.
const demoTimeout = 10 * time.Second

// Validate is called by kong.
func (c *demoCommand) Validate() error {
	if c.For < time.Second {
		return errors.New("--for: want 1s or more")
	}
	return nil
}

// Run plays the scenes and prints what came of them. It is an error if that is
// not what the pool promises.
func (c *demoCommand) Run(ctx context.Context, con console) error {
	over, ca, remove, err := newAuthority()
	if err != nil {
		return err
	}
	defer remove()
	all, err := scenes(over, ca)
	if err != nil {
		return err
	}
	fmt.Fprintf(con.out, demoIntro, demoDelay, demoLogin, demoClients, demoMaxOpen)
	results, err := c.play(ctx, con, all)
	if err != nil {
		return err
	}
	printDemo(con.out, results)
	return demoErr(results)
}

// play plays the scenes one after the other.
func (c *demoCommand) play(ctx context.Context, con console, scenes []scene) ([]*sceneResult, error) {
	bar := newProgress(con.err, c.For)
	defer bar.end()
	var results []*sceneResult
	for _, s := range scenes {
		r := &sceneResult{name: s.name}
		d := c.For / time.Duration(len(scenes))
		bar.stage(s.name + ": a connect per request")
		err := s.withoutPool(ctx, r, d/4)
		if err == nil {
			bar.stage(s.name + ": a pool")
			err = s.withPool(ctx, con, bar, r, d*3/4)
		}
		if err != nil {
			return nil, fmt.Errorf("demo of %s: %w", s.name, err)
		}
		results = append(results, r)
	}
	return results, nil
}

// withoutPool measures a connect per request for d.
func (s scene) withoutPool(ctx context.Context, r *sceneResult, d time.Duration) error {
	server, t, err := s.start()
	if err != nil {
		return err
	}
	defer server.Close()
	connecting := load{viaConnect(t.connector, demoClients, s.request), demoClients, demoTimeout}
	r.connect = connecting.run(ctx, d)
	return ctx.Err()
}

// withPool measures a pool for a third of d, and an outage for the rest. The
// server is a new one, which counts connections of the pool alone.
func (s scene) withPool(ctx context.Context, con console, bar *progress, r *sceneResult, d time.Duration) error {
	server, t, err := s.start()
	if err != nil {
		return err
	}
	defer server.Close()
	dsn := fmt.Sprintf("%s&pool_max_open=%d&pool_min_idle=%d", t.dsn, demoMaxOpen, demoMaxOpen)
	p, err := pool.Open[pinger](t.scheme, dsn, pool.Config{Logger: con.log})
	if err != nil {
		return err
	}
	defer p.Close()
	calm := load{viaPool(p, s.request), demoClients, demoTimeout}
	r.pool = calm.run(ctx, d/3)
	o := outage{name: s.name, server: server, pool: p, request: s.request, bar: bar}
	err = o.play(ctx, d*2/3)
	r.outage = o.result
	return errors.Join(err, ctx.Err())
}
