package main

import (
	"context"
	"math"
	"math/rand/v2"
	"sort"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/keyed"
	"github.com/hotline-go/hotline/pool/status"
)

// benchPool is the pool that bench measures, or the pools of all keys.
type benchPool struct {
	acquire func(context.Context) (pool.Lease[pinger], error)
	close   func() error
	show    func(*status.Page)
	stats   func() pool.Stats
	maxOpen int // limit on all connections together
}

// open opens the pool or pools to measure. It does not connect.
func (c *benchCommand) open(t *target, con console) (*benchPool, error) {
	if c.Keys > 0 {
		return c.openKeyed(t, con)
	}
	p, err := pool.Open[pinger](t.scheme, t.dsn, pool.Config{Logger: con.log})
	if err != nil {
		return nil, err
	}
	show := func(page *status.Page) { page.Add(p) }
	return &benchPool{p.Acquire, p.Close, show, p.Stats, p.Stats().MaxOpen}, nil
}

// openKeyed opens keyed pools. All of them connect to t.
func (c *benchCommand) openKeyed(t *target, con console) (*benchPool, error) {
	cfg := pool.Config{Logger: con.log}
	if _, err := cfg.CutDSN(t.dsn); err != nil {
		return nil, err
	}
	maxOpen := cfg.MaxOpen
	if maxOpen == 0 {
		maxOpen = defaultMaxOpen
	}
	all := keyed.Config[int]{MaxOpen: maxOpen, PerKey: func(int) pool.Config { return cfg }}
	if cfg.Gate != nil { // pool_budget, which limits all keys
		all.MaxOpen, all.Gate, cfg.Gate = 0, cfg.Gate, nil
		if g, ok := all.Gate.(pool.BudgetGate); ok && g.Stats().Limit > 0 {
			maxOpen = g.Stats().Limit
		}
	}
	p, err := keyed.Open[int, pinger](func(int) (driver.Connector, error) { return t.connector, nil }, all)
	if err != nil {
		return nil, err
	}
	pick := zipf(c.Keys, c.Zipf)
	acquire := func(ctx context.Context) (pool.Lease[pinger], error) { return p.Acquire(ctx, pick()) }
	show := func(page *status.Page) { page.AddGroup(t.name, status.Pools(p.All())) }
	stats := func() pool.Stats { return p.Stats().Stats }
	return &benchPool{acquire, p.Close, show, stats, maxOpen}, nil
}

// defaultMaxOpen is the default limit for all keys together; a single pool has the same.
const defaultMaxOpen = 10

// zipf returns a function that picks one of n keys, from 0 to n-1. The probability of
// key k is proportional to 1/(k+1) to the power s.
func zipf(n int, s float64) (pick func() int) {
	below := make([]float64, n) // the cumulative weights
	sum := 0.0
	for k := range below {
		sum += math.Pow(float64(k+1), -s)
		below[k] = sum
	}
	return func() int { return sort.SearchFloat64s(below, rand.Float64()*sum) }
}
