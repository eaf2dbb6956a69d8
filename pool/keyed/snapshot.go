package keyed

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hotline-go/hotline/pool"
)

// errorsKept is how many errors a Snapshot has, the same as for one pool.
const errorsKept = 10

// Snapshot returns the sum of the Snapshots of all keys, for metrics and status pages.
// Its counters never decrease, like those of Stats. Pool is Config.Group, and Why names
// no key. MaxOpen and Limit are at most Config.MaxOpen. ID and NextConnect are zero.
func (p *Pool[K, C]) Snapshot() pool.Snapshot {
	entries, sum := p.counted()
	sum.Pool, sum.At, sum.Opened = p.cfg.Group, time.Now(), p.began
	if g, ok := p.cfg.Gate.(fmt.Stringer); ok {
		sum.Gate = fmt.Sprint(g) // survives a String that panics
	}
	sum.Budget = p.budget()
	var states [pool.Closed]int // how many keys are in each state
	for _, e := range entries {
		s := e.snapshot()
		if s.State < pool.Closed {
			states[s.State]++
		}
		addCounts(&sum, &s)
		addDetails(&sum, &s)
	}
	if limit := p.cfg.MaxOpen; limit > 0 {
		sum.Stats.MaxOpen = min(sum.Stats.MaxOpen, limit)
		sum.Stats.Limit = min(sum.Stats.Limit, limit)
	}
	slices.SortStableFunc(sum.Errors, func(a, b pool.ErrorInfo) int { return b.At.Compare(a.At) })
	sum.Errors = sum.Errors[:min(len(sum.Errors), errorsKept)]
	sum.State, sum.Why = summary(states)
	if p.closed.Load() {
		sum.State, sum.Why = pool.Closed, "closed"
	}
	return sum
}

// Each calls yield with the name and the Snapshot of each key that has a pool, in no
// particular order, until yield returns false. The name comes from PerKey or Config.Name.
func (p *Pool[K, C]) Each(yield func(key string, s pool.Snapshot) bool) {
	for _, e := range p.opened() {
		if s := e.snapshot(); !yield(s.Pool, s) {
			return
		}
	}
}

// counted returns the keys to count, including those whose pools are being closed, and
// the counters of keys whose pools are closed.
func (p *Pool[K, C]) counted() (entries []*entry[K, C], past pool.Snapshot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	entries = slices.AppendSeq(p.allLocked(), maps.Keys(p.leaving))
	return slices.DeleteFunc(entries, func(e *entry[K, C]) bool { return !e.opened.Load() }), p.past
}

// settle moves e from leaving to the past: it adds the counters of its pool to past.
func (p *Pool[K, C]) settle(e *entry[K, C]) {
	var last pool.Snapshot
	if e.opened.Load() {
		last = e.finish()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.leaving, e)
	addCounts(&p.past, &last)
}

// snapshot returns the Snapshot of the pool of e.
func (e *entry[K, C]) snapshot() pool.Snapshot {
	e.counting.Lock()
	defer e.counting.Unlock()
	if e.last != nil {
		return *e.last
	}
	return e.pool.Snapshot()
}

// finish returns the counters and histograms of the pool of e. From now on, snapshot
// returns the same. Otherwise a sum that listed e before it moved to the past could be
// higher than the next sum.
func (e *entry[K, C]) finish() pool.Snapshot {
	e.counting.Lock()
	defer e.counting.Unlock()
	s := e.pool.Snapshot()
	e.last = &pool.Snapshot{Pool: s.Pool, State: s.State, Stats: s.Stats, WaitTimes: s.WaitTimes, ConnectTimes: s.ConnectTimes}
	e.last.Stats.Gauges = pool.Gauges{}
	return *e.last
}

// addCounts adds the gauges, the counters and the histograms of s to sum.
func addCounts(sum, s *pool.Snapshot) {
	sum.Stats = sum.Stats.Add(s.Stats)
	sum.WaitTimes = sum.WaitTimes.Add(s.WaitTimes)
	sum.ConnectTimes = sum.ConnectTimes.Add(s.ConnectTimes)
}

// addDetails adds the rest of s to sum.
func addDetails(sum, s *pool.Snapshot) {
	sum.MinIdle += s.MinIdle
	if sum.MaxIdle >= 0 && s.MaxIdle >= 0 {
		sum.MaxIdle += s.MaxIdle
	} else {
		sum.MaxIdle = -1
	}
	sum.OldestWait = max(sum.OldestWait, s.OldestWait)
	if s.LastErrorAt.After(sum.LastErrorAt) {
		sum.LastError, sum.LastErrorAt = s.LastError, s.LastErrorAt
	}
	sum.Conns = append(sum.Conns, s.Conns...)
	sum.Errors = append(sum.Errors, s.Errors...)
}

// summary returns the state of all keys together, and the reason for it. states has the
// number of keys in each state.
func summary(states [pool.Closed]int) (pool.State, string) {
	keys, why := 0, []string(nil)
	for _, n := range states {
		keys += n
	}
	for state := pool.Degraded; state < pool.Closed; state++ {
		switch n := states[state]; n {
		case 0:
		case keys:
			return state, fmt.Sprintf("%d of %d keys are %v", n, keys, state)
		default:
			why = append(why, fmt.Sprintf("%d of %d keys are %v", n, keys, state))
		}
	}
	if why == nil {
		return pool.Healthy, ""
	}
	return pool.Degraded, strings.Join(why, ", ")
}
