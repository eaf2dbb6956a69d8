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
	pageFlag
	For time.Duration `default:"15s" help:"How long the demo takes."`
}

// The size of the demo. There are more clients than connections, so the clients queue.
const (
	demoClients = 16
	demoMaxOpen = 8
	demoDelay   = time.Millisecond     // for an answer, as with a server in the same city
	demoLogin   = 5 * time.Millisecond // for a login
)

// demoTimeout limits each request of the demo, including the outage.
const demoTimeout = 10 * time.Second

// Validate is called by kong.
func (c *demoCommand) Validate() error {
	if c.For < time.Second {
		return errors.New("--for: want at least 1s")
	}
	return c.check()
}

// Run plays the scenes and prints the results. If the pool did not keep a promise, it
// returns an error.
func (c *demoCommand) Run(ctx context.Context, con console) error {
	over, ca, remove, err := newCA()
	if err != nil {
		return err
	}
	defer remove()
	all, err := scenes(over, ca)
	if err != nil {
		return err
	}
	page, end, err := c.serve(con.out)
	if err != nil {
		return err
	}
	defer end()
	con.page = page
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
	bar := newProgress(con.bar, c.For)
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
	server, connector, err := s.start(nil)
	if err != nil {
		return err
	}
	defer server.Close()
	connecting := load{viaConnect(connector, demoClients, s.request), demoClients, demoTimeout}
	r.connect = connecting.run(ctx, d)
	return ctx.Err()
}

// withPool measures a pool for a third of d, and an outage for the rest.
func (s scene) withPool(ctx context.Context, con console, bar *progress, r *sceneResult, d time.Duration) error {
	var dialed sockets
	server, connector, err := s.start(dialed.dial)
	if err != nil {
		return err
	}
	defer server.Close()
	p, err := pool.New[pinger](connector, pool.Config{MaxOpen: demoMaxOpen, MinIdle: demoMaxOpen, Logger: con.log})
	if err != nil {
		return err
	}
	defer p.Close()
	if con.page != nil {
		con.page.Add(p)
	}
	calm := load{viaPool(p.Acquire, s.request), demoClients, demoTimeout}
	r.pool = calm.run(ctx, d/3)
	o := outage{name: s.name, server: server, pool: p, request: s.request, bar: bar}
	err = o.play(ctx, d*2/3)
	r.outage, r.most = o.result, dialed.peak()
	return errors.Join(err, ctx.Err())
}
