package pool

import "fmt"

// GateStats is how full a [LocalGate] is.
type GateStats struct {
	Limit   int // may be less than Used for a while after Resize
	Used    int // permits given and not yet back, including those in their Grace
	Waiting int // calls of Enter that wait
	Pools   int // that hold a permit or wait for one
}

// Stats returns how full the gate is.
func (g *LocalGate) Stats() GateStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return GateStats{Limit: g.limit, Used: g.used, Waiting: g.waiting.Len(), Pools: g.order.Len()}
}

// Resize sets the limit to n, which may be zero. If more permits are out, that many
// are recalled: those of idle connections first, then those of the connections
// that are released next. Resize does not block and calls no Member: a goroutine
// that ends by itself asks them. It panics if n is negative.
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

// neededLocked is how many more permits have to be recalled until nobody waits and the
// limit holds.
func (g *LocalGate) neededLocked() int {
	return g.waiting.Len() + max(g.used-g.limit, 0) - g.coming
}

// contendLocked sets contended. It is called when one of its reasons has changed.
func (g *LocalGate) contendLocked() {
	g.contended.Store(g.waiting.Len() > 0 || g.used > g.limit)
}
