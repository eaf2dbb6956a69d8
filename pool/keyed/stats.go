package keyed

import "github.com/hotline-go/hotline/pool"

// Stats is the state of a [Pool], summed over its keys.
type Stats struct {
	Keys int // that have a pool
	pool.Stats
}

// Stats returns the sum of the Stats of all keys. Its counters include forgotten keys,
// so they never decrease. If a key is forgotten while a connection is in use, the close
// of that connection is not counted. For the Stats of each key, range over [Pool.All].
func (p *Pool[K, C]) Stats() Stats {
	return Stats{Keys: p.Len(), Stats: p.Snapshot().Stats}
}
