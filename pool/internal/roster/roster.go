// Package roster has a set of the pools that a collector or a meter exports. Closed pools
// leave it by themselves.
//
// The modules pool/otel and pool/prometheus use it. A program may combine this package
// with an older version of them, so it must keep the API that they use.
package roster

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hotline-go/hotline/pool"
)

// Source is a [pool.Pool], or a keyed.Pool, whose Snapshot is the sum of its keys.
type Source interface{ Snapshot() pool.Snapshot }

// Member is a pool in a Roster.
type Member struct {
	Name   string // the name of the pool, or name#2, name#3 and so on if other pools have that name
	Source Source
}

// Roster is a set of pools. The zero value is empty. Its methods may be called from
// any goroutine.
type Roster struct {
	mu      sync.Mutex         // guards members; not held while a Source is called
	members map[string]*Member // by Name
}

// Add adds s, which stays until it is closed or Remove is called. The Member gets the
// first name that no other pool has. The name of a closed pool is free again.
func (r *Roster) Add(s Source) *Member {
	m := &Member{Source: s}
	First(s.Snapshot().Pool, func(name string) bool {
		m.Name = name
		return r.claim(m)
	})
	return m
}

// First returns the first of name, name#2, name#3 and so on for which free returns true.
// The result is valid UTF-8 even if name is not.
func First(name string, free func(string) bool) string {
	name = strings.ToValidUTF8(name, "\uFFFD")
	for n, next := 2, name; ; n++ {
		if free(next) {
			return next
		}
		next = fmt.Sprintf("%s#%d", name, n)
	}
}

// claim adds m. It reports false, and does nothing, if another pool that is not closed
// has its name.
func (r *Roster) claim(m *Member) bool {
	r.mu.Lock()
	holder := r.members[m.Name]
	r.mu.Unlock()
	if holder != nil && !ended(holder.Source.Snapshot()) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.members[m.Name]; now != nil && now != holder {
		return false
	}
	if r.members == nil {
		r.members = make(map[string]*Member)
	}
	r.members[m.Name] = m
	return true
}

// Remove removes m, if it is still there.
func (r *Roster) Remove(m *Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.members[m.Name] == m {
		delete(r.members, m.Name)
	}
}

// All returns the pools and their current state, in no particular order. It removes pools
// that are closed and have no connections left.
func (r *Roster) All() iter.Seq2[*Member, pool.Snapshot] {
	return func(yield func(*Member, pool.Snapshot) bool) {
		r.mu.Lock()
		members := slices.Collect(maps.Values(r.members))
		r.mu.Unlock()
		for _, m := range members {
			s := m.Source.Snapshot()
			if ended(s) {
				r.Remove(m)
			} else if !yield(m, s) {
				return
			}
		}
	}
}

// ended reports whether the pool is closed and has no connections left.
func ended(s pool.Snapshot) bool {
	g := s.Stats.Gauges
	return s.State == pool.Closed && g.Open+g.Connecting+g.Gated+g.Closing == 0
}
