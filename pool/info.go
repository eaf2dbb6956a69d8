package pool

import (
	"sync/atomic"
	"time"
)

// Info is what the pool knows about a leased connection.
type Info struct {
	Age  time.Duration // time since Connect returned
	Idle time.Duration // how long it was unused before this lease; see Lease.Info
	Uses int           // leases before this one; 0 = the connection is new
}

// Info returns what the pool knows about the connection. Idle is accurate to
// a quarter of ValidateAfter or a second, whichever is shorter, because the pool reads
// the clock in its sweeps, not in each Acquire and Release. If the lease has ended,
// Info returns the zero Info.
func (l Lease[C]) Info() Info {
	s := l.slot
	if s == nil || !s.load().isLease(l.word) {
		return Info{}
	}
	now := s.pool.now()
	info := Info{Age: now - s.birth.at, Uses: s.uses(l.word) - 1}
	end := now
	if at, ok := s.leasedSeen.in(l.word.gen()); ok {
		end = at
	}
	if at, ok := s.idleSeen.in(l.word.gen() - 1); ok {
		info.Idle = max(end-at, 0)
	}
	return info
}

// sighting records when the keeper first saw a slot idle, or leased, in one generation.
// One word holds both the low 20 bits of the generation and the time in milliseconds
// (enough for 500 years), so that readers need no lock.
type sighting struct{ v atomic.Uint64 }

const sightingBits = 20

func (s *sighting) set(gen uint64, at time.Duration) {
	s.v.Store(uint64(at.Milliseconds())<<sightingBits | gen&(1<<sightingBits-1))
}

// in returns the time of the sighting. ok reports whether it was in the generation gen.
func (s *sighting) in(gen uint64) (at time.Duration, ok bool) {
	v := s.v.Load()
	return time.Duration(v>>sightingBits) * time.Millisecond, v != 0 && (v^gen)&(1<<sightingBits-1) == 0
}
