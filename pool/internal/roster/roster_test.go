package roster_test

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/internal/roster"
)

// source is a pool with one connection until it is closed.
type source struct {
	name         string
	closed, gone atomic.Bool
}

func (s *source) Snapshot() pool.Snapshot {
	snap := pool.Snapshot{Pool: s.name}
	if s.closed.Load() {
		snap.State = pool.Closed
	}
	if !s.gone.Load() {
		snap.Stats.Closing = 1
	}
	return snap
}

// names returns the names of all pools in r.
func names(r *roster.Roster) (all []string) {
	for m := range r.All() {
		all = append(all, m.Name)
	}
	return all
}

func TestPoolsWithOneNameGetDifferentNames(t *testing.T) {
	var r roster.Roster
	first, second, third := &source{name: "a"}, &source{name: "a"}, &source{name: "a#2"}
	r.Add(first)
	m := r.Add(second)
	r.Add(third)
	r.Add(&source{name: "\xff"})
	assert.ElementsMatch(t, []string{"a", "a#2", "a#2#2", "\uFFFD"}, names(&r))
	r.Remove(m)
	r.Add(second)
	assert.ElementsMatch(t, []string{"a", "a#2", "a#2#2", "\uFFFD"}, names(&r), "a name that is free again")
	r.Remove(m)
	assert.Len(t, names(&r), 4, "Remove of a pool that is not there")
}

func TestAClosedPoolLeavesWithItsLastConnection(t *testing.T) {
	var r roster.Roster
	old := &source{name: "a"}
	r.Add(old)
	old.closed.Store(true)
	assert.Equal(t, []string{"a"}, names(&r), "it still has a connection")
	old.gone.Store(true)
	r.Add(&source{name: "a"})
	assert.Equal(t, []string{"a"}, names(&r), "the next pool has its name")
	last := &source{name: "b"}
	r.Add(last)
	last.closed.Store(true)
	last.gone.Store(true)
	assert.Equal(t, []string{"a"}, names(&r))
}
