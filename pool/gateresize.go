package pool

import "fmt"

// GateStats describes how full a [LocalGate] is.
type GateStats struct {
	Limit   int // can be less than Used for a while after Resize
	Used    int // permits given out and not yet back, including those in their Grace
	Waiting int // calls to Enter that are waiting
	Pools   int // pools that hold a permit or wait for one
}

// Stats returns how full the gate is.
func (g *LocalGate) Stats() GateStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return GateStats{Limit: g.limit, Used: g.used, Waiting: g.waiting.Len(), Pools: g.order.Len()}
}

// Resize sets the limit to n, which may be zero. If more than n permits are in use, the
// gate recalls the excess: first from idle connections, then from the connections
// released next. Resize does not block. It calls no Member itself, but starts
// a goroutine for that, which ends by itself. It panics if n is negative.
func (g *LocalGate) Resize(n int) {
	if n < 0 {
		panic(fmt.Sprintf("pool: Resize(%d) of a gate; want 0 or more", n))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limit = n
	g.serveLocked()
	if g.neededLocked() > 0 && g.used > n {
		g.asked = nil
		go g.askOthers(nil)
	}
}

// neededLocked returns how many more permits must be recalled until no Enter waits and
// the limit is kept.
func (g *LocalGate) neededLocked() int {
	return g.waiting.Len() + max(g.used-g.limit, 0) - g.coming
}

// contendLocked updates contended after a change of waiting, used or limit.
func (g *LocalGate) contendLocked() {
	g.contended.Store(g.waiting.Len() > 0 || g.used > g.limit)
}
