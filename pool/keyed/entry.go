package keyed

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/hotline-go/hotline/pool"
)

// entry is the pool of one key. It is in the table and in the ring, or forgotten.
type entry[K comparable, C any] struct {
	key       K
	hash      uint64
	door      *door
	chain     atomic.Pointer[entry[K, C]] // the next in the bucket; changed under Pool.mu
	once      sync.Once                   // opens pool, or sets err
	pool      *pool.Pool[C]
	err       error
	opened    atomic.Bool // pool is set
	forgotten atomic.Bool

	counting sync.Mutex     // guards last; held while the pool is counted; taken after all other locks
	last     *pool.Snapshot // the counters that settle adds to the past; nil before that

	// Guarded by Pool.mu.
	next, prev *entry[K, C]
	uses       int64 // Stats.Acquires at the last call of wasUsed
	unusedFor  int   // how many sweeps in a row found it unused
}

var (
	errForgotten = errors.New("keyed: forgotten before it was opened")
	errExited    = errors.New("keyed: opening the pool of a key ended by panic or runtime.Goexit")
)

// entry returns the entry of key, with its pool open.
func (p *Pool[K, C]) entry(key K) (*entry[K, C], error) {
	for {
		e := p.table.find(key)
		if e == nil {
			var err error
			if e, err = p.add(key); err != nil {
				return nil, err
			}
		}
		if !e.opened.Load() {
			e.once.Do(func() { p.open(e) })
			if e.err == errForgotten {
				continue
			}
		}
		return e, e.err
	}
}

// add returns the entry of key, and makes one if there still is none.
func (p *Pool[K, C]) add(key K) (*entry[K, C], error) {
	if key != key { // could never be found again
		return nil, fmt.Errorf("keyed: %s: the key is not equal to itself", p.cfg.Name(key))
	}
	p.mu.Lock()
	if p.closed.Load() {
		p.mu.Unlock()
		return nil, &pool.AcquireError{Pool: p.cfg.Name(key), Cause: pool.ErrClosed}
	}
	e := p.table.find(key)
	if e == nil {
		e = &entry[K, C]{key: key, door: p.doorLocked(key)}
		p.linkLocked(e)
	}
	p.mu.Unlock()
	p.makeRoom(e)
	return e, nil
}

// open opens the pool of e. A key whose pool can't be opened is forgotten, so that
// its next use tries again.
func (p *Pool[K, C]) open(e *entry[K, C]) {
	opened := false
	defer func() {
		if !opened { // also if a function of the user panics
			p.forget(e)
		}
	}()
	e.err = errExited
	cfg := p.cfg.PerKey(e.key)
	if cfg.Name == "" {
		cfg.Name = p.cfg.Name(e.key)
	}
	if cfg.Gate != nil {
		e.err = fmt.Errorf("keyed: %s: PerKey sets a Gate; want none, because the Gate or MaxOpen of keyed.Config limits all keys", cfg.Name)
		return
	}
	cfg.Gate = e.door
	c, err := p.connector(e.key)
	if err != nil {
		e.err = fmt.Errorf("keyed: %s: %w", cfg.Name, err)
		return
	}
	if e.pool, err = pool.New[C](c, cfg); err != nil {
		e.err = fmt.Errorf("keyed: %s: %w", cfg.Name, err)
		return
	}
	e.err = nil
	opened = true
	e.opened.Store(true)
}

// wasUsed reports whether e is in use, or was used since the last call. The caller holds
// Pool.mu.
func (e *entry[K, C]) wasUsed() bool {
	if !e.opened.Load() {
		return true
	}
	s := e.pool.Stats()
	used := s.Leased+s.Waiting > 0 || s.Acquires != e.uses
	e.uses = s.Acquires
	return used
}
