package keyed

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A reader may miss a key while others are added and removed, but it never hangs. Once
// nothing changes any more, it finds every key.
func TestTheTableIsReadWithoutALock(t *testing.T) {
	var tab table[int, any]
	tab.init()
	const keys = 1000
	entries := make([]*entry[int, any], keys)
	var done atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for !done.Load() {
				for k := range keys {
					if e := tab.find(k); e != nil && e.key != k {
						t.Errorf("find(%d) = the entry of %d", k, e.key)
					}
				}
			}
		})
	}
	for range 20 {
		for k := range keys {
			entries[k] = &entry[int, any]{key: k}
			tab.addLocked(entries[k], k+1)
		}
		for k := range keys {
			assert.Same(t, entries[k], tab.find(k))
		}
		assert.Len(t, *tab.buckets.Load(), 1024)
		for k := range keys {
			tab.removeLocked(entries[k], keys-1-k)
			assert.Nil(t, tab.find(k))
		}
		assert.Len(t, *tab.buckets.Load(), fewestBuckets, "forgotten keys cost nothing")
	}
	done.Store(true)
	readers.Wait()
}
