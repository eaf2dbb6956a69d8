package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hotline-go/hotline/pool/fleet"
	_ "github.com/hotline-go/hotline/pool/fleet/redis"
)

// stores are the schemes of the stores in this command. The stores for PostgreSQL and etcd
// need client libraries, which this module does not import.
var stores = []string{"redis", "rediss"}

// fleetCommand is hotline fleet.
type fleetCommand struct {
	DSN     string        `arg:"" name:"DSN" help:"Budget to show, such as 'redis://10.0.0.5/gmail-ada?limit=15'"`
	Watch   bool          `short:"w" help:"Print the budget again every second, until interrupted."`
	Timeout time.Duration `short:"t" default:"5s" help:"Time limit for each store call."`
}

// Validate is called by kong.
func (c *fleetCommand) Validate() error { return checkTimeout(c.Timeout) }

// Run prints how the processes share the budget. It changes nothing.
func (c *fleetCommand) Run(ctx context.Context, con console) error {
	store, cfg, err := fleet.OpenStore(c.DSN)
	if err != nil {
		scheme, _, found := strings.Cut(c.DSN, "://")
		switch {
		case !found:
			err = errors.New("the budget has no scheme; want a URL such as 'redis://10.0.0.5/gmail-ada?limit=15'")
		case !slices.Contains(stores, strings.ToLower(scheme)):
			err = fmt.Errorf("no store for %.20q; this command is built with %s; examples/fleet/show has all", scheme, strings.Join(stores, ", "))
		}
		return usageError{err}
	}
	for {
		err := c.show(ctx, con.out, store, cfg)
		if c.Watch && ctx.Err() != nil {
			return nil // the user has ended it
		}
		if err != nil || !c.Watch {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
			fmt.Fprintln(con.out)
		}
	}
}

// show prints the ledger once.
func (c *fleetCommand) show(ctx context.Context, w io.Writer, store fleet.Store, cfg fleet.Config) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if err := fleet.Show(ctx, w, store, cfg); err != nil {
		return explain(ctx, err, c.Timeout)
	}
	return nil
}
