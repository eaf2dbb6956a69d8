package prometheus

import (
	"maps"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/internal/roster"
)

// Source is a [pool.Pool], or a keyed.Pool, which appears as the sum of its keys.
type Source interface{ Snapshot() pool.Snapshot }

// Keyed is a keyed.Pool.
type Keyed interface {
	Source

	// Each calls yield with the name and the state of each key, in any order,
	// until yield returns false.
	Each(yield func(key string, s pool.Snapshot) bool)
}

// Collector is a prometheus.Collector of pools. Its methods may be called from any
// goroutine.
type Collector struct {
	roster      roster.Roster
	pools, keys metrics
	budgets     budgets
}

// New returns a Collector of sources; Add adds more. For constant labels, register it
// with prometheus.WrapRegistererWith.
func New(sources ...Source) *Collector {
	c := &Collector{pools: newMetrics("hotline_pool_", "pool"), keys: newMetrics("hotline_key_", "pool", "key"), budgets: newBudgets()}
	for _, s := range sources {
		c.Add(s)
	}
	return c
}

// Add adds a pool. The pool is removed when remove is called, or when it is closed and
// has no connections left. Add each pool once.
func (c *Collector) Add(s Source) (remove func()) {
	m := c.roster.Add(s)
	return func() { c.roster.Remove(m) }
}

// AddKeys is Add for a keyed.Pool that also exports the metrics of single keys. It shows
// at most limit keys at a time, and each of them until it is forgotten. The label key is
// the name of the key in errors, from Config.Name of the keyed.Pool. Prometheus stores
// it, so the name should not be personal data.
func (c *Collector) AddKeys(k Keyed, limit int) (remove func()) {
	return c.Add(&keys{Keyed: k, limit: limit, shown: make(map[uint64]string)})
}

// Describe sends the descriptions of all metrics that Collect may send.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	c.pools.describe(ch)
	c.keys.describe(ch)
	c.budgets.describe(ch)
}

// Collect sends the current state of all pools.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	shared := make(roster.Budgets)
	for m, s := range c.roster.All() {
		shared.Add(&s)
		c.pools.collect(ch, &s, m.Name)
		if k, ok := m.Source.(*keys); ok {
			k.each(func(key string, s *pool.Snapshot) { c.keys.collect(ch, s, m.Name, key) })
		}
	}
	c.budgets.collect(ch, shared)
}

// keys is a keyed.Pool with metrics of single keys.
type keys struct {
	Keyed
	limit int

	mu    sync.Mutex        // guards shown; held while Each runs
	shown map[uint64]string // the labels of the keys shown, by Snapshot.ID
}

// each calls show for up to limit keys. A key stays and keeps its label until it is
// forgotten, so that the counters of a label belong to one pool.
func (k *keys) each(show func(key string, s *pool.Snapshot)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	present := make(map[uint64]string, len(k.shown))
	for key, s := range k.Each {
		label, ok := k.shown[s.ID]
		if !ok && len(k.shown) >= k.limit {
			continue // there may be room at the next scrape
		}
		if !ok {
			label = roster.First(key, k.free)
			k.shown[s.ID] = label
		}
		present[s.ID] = label
		show(label, &s)
	}
	k.shown = present
}

// free reports whether no shown key has the label.
func (k *keys) free(label string) bool {
	return !slices.Contains(slices.Collect(maps.Values(k.shown)), label)
}
