package keyed

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
)

// Config has the settings of a [Pool].
type Config[K comparable] struct {
	// MaxOpen limits the connections of all keys together, as the servers count
	// them. It is required unless Gate is set.
	MaxOpen int

	// PerKey returns the settings for the pool of one key. MaxOpen limits that key, and
	// Name is its name in errors and logs. It must not set a Gate. Nil means the zero
	// Config for each key.
	PerKey func(key K) pool.Config

	// Name returns the name of a key in errors and logs, unless PerKey sets one. If
	// keys are personal data, return a number or a hash. Nil means fmt.Sprint of the
	// key.
	Name func(key K) string

	// Group names the whole Pool, all keys together, in metrics and on status pages.
	// Empty means "keyed".
	Group string

	// MaxKeys limits how many keys have a pool. One more key closes the pool of the
	// key that has been unused longest (approximately). If all keys are in use, there
	// can be more of them for a while. Zero means no limit.
	MaxKeys int

	// IdleAfter is how long the pool of an unused key is kept. Its connections are
	// closed and the key is forgotten after this time, or up to half as long again.
	// Zero means 5 minutes. Negative means until Forget.
	IdleAfter time.Duration

	// Gate limits the connections instead of MaxOpen. It may be shared with other
	// pools or with other processes.
	Gate pool.Gate
}

// Pool has a pool of connections for each key, and one limit over all of them.
// Its methods may be called from any goroutine.
type Pool[K comparable, C any] struct {
	connector func(key K) (driver.Connector, error)
	cfg       Config[K]
	began     time.Time // when the Pool was opened
	table     table[K, C]
	closed    atomic.Bool // changed under mu

	mu      sync.Mutex                // guards the fields below, and changes of table; held while a pool's Stats are read, never while a function of the user runs
	hand    *entry[K, C]              // in the ring of all entries: the next candidate for eviction
	keys    int                       // number of entries in the ring
	doors   map[K]*door               // of keys that were forgotten but still have connections
	sweeper *time.Timer               // calls sweep, which forgets keys that nobody uses
	closing sync.WaitGroup            // pools of keys that were forgotten before Close
	leaving map[*entry[K, C]]struct{} // keys that were forgotten, whose pools are being closed
	past    pool.Snapshot             // counters and histograms of keys whose pools are closed
}

// Open returns a Pool. It does not connect. When a key without a pool is used, connector
// returns the driver.Connector that makes the connections of that key; connector may be
// called for several keys at the same time. The error of Open names the wrong setting.
func Open[K comparable, C any](connector func(key K) (driver.Connector, error), cfg Config[K]) (*Pool[K, C], error) {
	switch {
	case connector == nil:
		return nil, errors.New("keyed: the connector function is nil")
	case cfg.Gate == nil && cfg.MaxOpen < 1:
		return nil, fmt.Errorf("keyed: MaxOpen is %d; want 1 or more, or a Gate", cfg.MaxOpen)
	case cfg.Gate != nil && cfg.MaxOpen != 0:
		return nil, fmt.Errorf("keyed: MaxOpen is %d; want 0 with a Gate, which is the limit", cfg.MaxOpen)
	case cfg.MaxKeys < 0:
		return nil, fmt.Errorf("keyed: MaxKeys is %d; want 0 or more (0 means no limit)", cfg.MaxKeys)
	}
	if cfg.Gate == nil {
		cfg.Gate = pool.NewGate(cfg.MaxOpen)
	}
	if cfg.PerKey == nil {
		cfg.PerKey = func(K) pool.Config { return pool.Config{} }
	}
	if cfg.Name == nil {
		cfg.Name = func(key K) string { return fmt.Sprint(key) }
	}
	if cfg.IdleAfter == 0 {
		cfg.IdleAfter = 5 * time.Minute
	}
	if cfg.Group == "" {
		cfg.Group = "keyed"
	}
	p := &Pool[K, C]{connector: connector, cfg: cfg, began: time.Now(), doors: make(map[K]*door), leaving: make(map[*entry[K, C]]struct{})}
	p.table.init()
	return p, nil
}

// Acquire acquires a connection of key, as [pool.Pool.Acquire] does. It opens the pool of
// key if needed. Its errors are [*pool.AcquireError] with the name of the key, except
// when the pool can't be opened.
func (p *Pool[K, C]) Acquire(ctx context.Context, key K) (pool.Lease[C], error) {
	for {
		e, err := p.entry(key)
		if err != nil {
			return pool.Lease[C]{}, err
		}
		l, err := e.pool.Acquire(ctx)
		if err == nil || !e.forgotten.Load() || p.closed.Load() || !errors.Is(err, pool.ErrClosed) {
			return l, err
		}
	}
}

// Do acquires a connection of key, runs fn with it, and ends the lease; see
// [pool.Pool.Do]. It returns the error of Acquire or of fn.
func (p *Pool[K, C]) Do(ctx context.Context, key K, fn func(ctx context.Context, c C) error) error {
	for {
		e, err := p.entry(key)
		if err != nil {
			return err
		}
		began := false
		err = e.pool.Do(ctx, func(ctx context.Context, c C) error {
			began = true
			return fn(ctx, c)
		})
		if err == nil || began || !e.forgotten.Load() || p.closed.Load() || !errors.Is(err, pool.ErrClosed) {
			return err
		}
	}
}

// Pool returns the pool of key, for its Stats, Reset or Ready. It opens the pool if
// needed. To acquire connections, use p instead: the returned pool is closed when key is
// forgotten.
func (p *Pool[K, C]) Pool(key K) (*pool.Pool[C], error) {
	e, err := p.entry(key)
	if err != nil {
		return nil, err
	}
	return e.pool, nil
}

// Len returns how many keys have a pool.
func (p *Pool[K, C]) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys
}

// All returns the keys that have a pool, and their pools, in no particular order. A key
// that is opened or forgotten during the iteration may be missing.
func (p *Pool[K, C]) All() iter.Seq2[K, *pool.Pool[C]] {
	return func(yield func(K, *pool.Pool[C]) bool) {
		for _, e := range p.opened() {
			if !yield(e.key, e.pool) {
				return
			}
		}
	}
}

// Reset resets the pools of all keys; see [pool.Pool.Reset].
func (p *Pool[K, C]) Reset() {
	for _, e := range p.opened() {
		e.pool.Reset()
	}
}

// Forget closes the pool of key, if there is one, as [pool.Pool.Close] does: leases
// continue, and their connections are closed when they end. The next use of key opens
// a new pool. The connections of the old one count against its MaxOpen until they are
// closed. Forget does not block.
func (p *Pool[K, C]) Forget(key K) {
	if e := p.table.find(key); e != nil {
		p.forget(e)
	}
}
