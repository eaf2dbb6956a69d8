package pool

import (
	"cmp"
	"slices"
	"time"
)

// Holder is a lease that has not ended.
type Holder struct {
	Age     time.Duration `json:"age_ns"`  // a lower bound, accurate to a second; exact if there is a Stack
	Uses    int           `json:"uses"`    // leases of the connection so far, including this one
	Peer    string        `json:"peer"`    // as ConnInfo.Peer
	Stack   string        `json:"stack"`   // of the call to Acquire or Do; empty if stacks were not yet recorded
	Suspect bool          `json:"suspect"` // it has lasted for LeakAfter
}

// Holders returns the leases that have not ended, the oldest first.
func (p *Pool[C]) Holders() []Holder {
	var all []Holder
	var watches []*watch
	p.mu.Lock()
	now := p.now()
	for _, s := range *p.slots.Load() {
		if w := s.load(); w.phase() == leased {
			h, t := p.holderLocked(s, w, now)
			all, watches = append(all, h), append(watches, t)
		}
	}
	p.mu.Unlock()
	for i, t := range watches {
		all[i].Stack = t.stack()
	}
	slices.SortStableFunc(all, func(a, b Holder) int { return cmp.Compare(b.Age, a.Age) })
	return all
}

// holderLocked returns the lease of s with the word w at the time now. It leaves Stack
// to the caller, because formatting it is slow, and returns the watch that has it, or
// nil.
func (p *Pool[C]) holderLocked(s *slot[C], w word, now time.Duration) (Holder, *watch) {
	age := s.leasedFor(w, now)
	h := Holder{Age: age, Uses: s.uses(w), Peer: s.birth.peer, Suspect: p.suspicious(age)}
	if t := s.watch.Load(); t.isOf(w) {
		return h, t
	}
	return h, nil
}

// leasedFor is how long the lease of s with the word w has lasted at the time now, at
// least.
func (s *slot[C]) leasedFor(w word, now time.Duration) time.Duration {
	since := now
	if t := s.watch.Load(); t.isOf(w) {
		since = t.began
	} else if at, ok := s.leasedSeen.in(w.gen()); ok {
		since = at
	}
	return max(now-since, 0) // it may have begun since now
}

// suspicious reports whether a lease that has lasted for age may be leaked.
func (p *Pool[C]) suspicious(age time.Duration) bool {
	return p.cfg.LeakAfter > 0 && age >= p.cfg.LeakAfter
}
