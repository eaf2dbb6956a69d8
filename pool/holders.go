package pool

import (
	"cmp"
	"slices"
	"time"
)

// Holder is a lease that has not ended.
type Holder struct {
	Age     time.Duration `json:"age_ns"`  // a lower bound, accurate to within a second; exact if there is a Stack
	Uses    int           `json:"uses"`    // leases of the connection so far, including this one
	Peer    string        `json:"peer"`    // same as ConnInfo.Peer
	Stack   string        `json:"stack"`   // of the call to Acquire or Do; empty if none was recorded
	Suspect bool          `json:"suspect"` // the lease has lasted for LeakAfter, so it may be leaked
}

// Holders returns the leases that have not ended, oldest first.
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

// holderLocked describes, at the time now, the lease of s with the word w. It does not
// set Stack, because formatting a stack is slow; it returns the watch that has the
// stack, or nil.
func (p *Pool[C]) holderLocked(s *slot[C], w word, now time.Duration) (Holder, *watch) {
	age := s.leasedFor(w, now)
	h := Holder{Age: age, Uses: s.uses(w), Peer: s.birth.peer, Suspect: p.suspicious(age)}
	if t := s.watch.Load(); t.isOf(w) {
		return h, t
	}
	return h, nil
}

// leasedFor returns a lower bound of how long the lease of s with the word w has lasted
// at the time now.
func (s *slot[C]) leasedFor(w word, now time.Duration) time.Duration {
	since := now
	if t := s.watch.Load(); t.isOf(w) {
		since = t.began
	} else if at, ok := s.leasedSeen.in(w.gen()); ok {
		since = at
	}
	return max(now-since, 0) // the lease may have begun after now was read
}

// suspicious reports whether a lease that has lasted for age may be leaked.
func (p *Pool[C]) suspicious(age time.Duration) bool {
	return p.cfg.LeakAfter > 0 && age >= p.cfg.LeakAfter
}
