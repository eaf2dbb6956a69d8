package keyed

import (
	"hash/maphash"
	"sync/atomic"
)

// table finds the entry of a key without a lock. It is changed under Pool.mu.
//
// The entries of a bucket form a chain. A reader that follows a chain while an entry is
// added, removed or moved to another bucket may miss its entry, but never meets a cycle:
// a moved entry leads only to other moved entries. A reader that finds nothing searches
// again under Pool.mu.
type table[K comparable, C any] struct {
	seed    maphash.Seed
	buckets atomic.Pointer[[]atomic.Pointer[entry[K, C]]] // their number is a power of 2
}

// fewestBuckets is the least number of buckets.
const fewestBuckets = 16

func (t *table[K, C]) init() {
	t.seed = maphash.MakeSeed()
	buckets := make([]atomic.Pointer[entry[K, C]], fewestBuckets)
	t.buckets.Store(&buckets)
}

// find returns the entry of key, or nil.
func (t *table[K, C]) find(key K) *entry[K, C] {
	hash := maphash.Comparable(t.seed, key)
	for e := bucket(*t.buckets.Load(), hash).Load(); e != nil; e = e.chain.Load() {
		if e.hash == hash && e.key == key {
			return e
		}
	}
	return nil
}

// bucket returns the bucket for hash.
func bucket[E any](buckets []atomic.Pointer[E], hash uint64) *atomic.Pointer[E] {
	return &buckets[hash&uint64(len(buckets)-1)]
}

// addLocked adds e. keys is the number of entries with it.
func (t *table[K, C]) addLocked(e *entry[K, C], keys int) {
	e.hash = maphash.Comparable(t.seed, e.key)
	push(*t.buckets.Load(), e)
	if n := len(*t.buckets.Load()); keys > n {
		t.resizeLocked(2 * n)
	}
}

// push puts e before the others of its bucket.
func push[K comparable, C any](buckets []atomic.Pointer[entry[K, C]], e *entry[K, C]) {
	head := bucket(buckets, e.hash)
	e.chain.Store(head.Load())
	head.Store(e)
}

// removeLocked removes e. keys is the number of entries without it. A reader that is at
// e can continue from there.
func (t *table[K, C]) removeLocked(e *entry[K, C], keys int) {
	at := bucket(*t.buckets.Load(), e.hash)
	for at.Load() != e {
		at = &at.Load().chain
	}
	at.Store(e.chain.Load())
	if n := len(*t.buckets.Load()); n > fewestBuckets && keys < n/8 {
		t.resizeLocked(n / 4)
	}
}

// resizeLocked moves all entries to n buckets.
func (t *table[K, C]) resizeLocked(n int) {
	buckets := make([]atomic.Pointer[entry[K, C]], n)
	for i := range *t.buckets.Load() {
		for e := (*t.buckets.Load())[i].Load(); e != nil; {
			next := e.chain.Load()
			push(buckets, e)
			e = next
		}
	}
	t.buckets.Store(&buckets)
}
