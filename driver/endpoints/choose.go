package endpoints

import (
	"cmp"
	"math/rand/v2"
	"time"
)

// load is the number of connections that LeastOpen compares.
func (e *endpoint) load() int { return e.open + e.connecting }

// turn says when a Connect tries an endpoint: the lowest turn first.
type turn int

const (
	ready   turn = iota // first, by Order
	resting             // after the ready ones have failed
	missing             // after the resting ones have failed
	barred              // only if all others are barred too
	never
)

// turnAt returns the turn of e at the time now.
func (e *endpoint) turnAt(now time.Time) turn {
	rests := now.Before(e.restEnds)
	isTried := e.failures > 0 && e.connecting > 0 // by another Connect, after its rest
	switch {
	case e.status == Gone:
		return never
	case rests && e.barred, isTried && e.status == Refused:
		return barred
	case !e.missing.IsZero():
		return missing
	case rests, isTried:
		return resting
	}
	return ready
}

// pick returns the endpoint to try next, or nil if there is none, and counts it as
// connecting. It leaves out the endpoints in tried, and barred ones unless desperate.
// more reports whether others are left.
func (c *Connector) pick(tried map[*endpoint]bool, desperate bool) (best *endpoint, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	var bestTurn turn
	equals := 0.0 // the weight of best and of the endpoints that are as good
	for _, e := range c.endpoints {
		t := e.turnAt(now)
		if tried[e] || t == never || t == barred && !desperate {
			continue
		}
		more = best != nil
		order := int(t - bestTurn)
		if best != nil && order == 0 {
			order = c.compare(t, e, best)
		}
		switch {
		case best == nil || order < 0:
			best, bestTurn, equals = e, t, e.weight
		case order == 0:
			if equals += e.weight; rand.Float64()*equals < e.weight { // at random, by weight
				best = e
			}
		}
	}
	if best != nil {
		best.connecting++
	}
	return best, more
}

// compare orders two endpoints whose turn is t: ready ones by Order, others by the
// end of their rest.
func (c *Connector) compare(t turn, a, b *endpoint) int {
	if t == ready {
		return c.set.Order.compare(a, b)
	}
	return a.restEnds.Compare(b.restEnds)
}

// isDesperate reports whether every endpoint is barred.
func (c *Connector) isDesperate() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for _, e := range c.endpoints {
		if e.turnAt(now) < barred {
			return false
		}
	}
	return true
}

// compare orders two endpoints that are ready.
func (o Order) compare(a, b *endpoint) int {
	switch o {
	case InOrder:
		return cmp.Or(a.compareRank(b), a.compareLoad(b))
	case LeastOpen:
		return cmp.Or(a.priority-b.priority, a.compareLoad(b))
	}
	return a.priority - b.priority
}

// compareRank compares the positions in Set.Addrs, then the priorities.
func (e *endpoint) compareRank(o *endpoint) int {
	return cmp.Or(e.source-o.source, e.priority-o.priority)
}

// compareLoad compares the loads as they would be with one more connection, each
// divided by its weight.
func (e *endpoint) compareLoad(o *endpoint) int {
	return cmp.Compare(float64(e.load()+1)*o.weight, float64(o.load()+1)*e.weight)
}
