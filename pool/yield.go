package pool

import (
	"cmp"
	"slices"
	"time"
)

// Yield closes up to n idle connections whose permits the gate recalls, those unused
// longest first, and returns their number. It is for the [Gate]; see [Member]. It does
// not block. Without a Gate, it does nothing.
func (p *Pool[C]) Yield(n int) (closed int) {
	if p.cfg.Gate == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.unusedLocked() {
		if closed >= n {
			break
		}
		s := f.slot
		w, ok := p.takeIdleLocked(s)
		if !ok {
			continue
		}
		why := p.recalledLocked(s)
		if why.cause == 0 {
			p.settleIdleLocked(s, w.has(stale)) // as it was: no one else has seen it held
			break                               // the gate needs no more, or not now
		}
		p.closeLocked(s, why)
		closed++
	}
	return closed
}

// takeIdleLocked moves s to held if it is idle, and returns its state before that.
// Otherwise it unlists s, even if s was claimed just now, so that its Release comes
// through putBackLocked.
func (p *Pool[C]) takeIdleLocked(s *slot[C]) (was word, ok bool) {
	for {
		w := p.unlistLocked(s)
		if w.phase() != idle {
			return 0, false
		}
		if s.move(w, w.to(held)) {
			return w, true
		}
	}
}

// unusedLocked returns the idle connections, those unused longest first. It unlists the
// others, so that they come back through putBackLocked.
func (p *Pool[C]) unusedLocked() (unused []found[C]) {
	for _, s := range *p.slots.Load() {
		if w := p.unlistLocked(s); w.phase() == idle {
			unused = append(unused, found[C]{s, w})
		}
	}
	slices.SortFunc(unused, func(a, b found[C]) int { return cmp.Compare(a.idleSince(), b.idleSince()) })
	return unused
}

// unusedFor returns a lower bound of how long the connection of s, which is held, has
// been unused. If it was used since the last call, that comes from the keeper.
func (p *Pool[C]) unusedFor(s *slot[C]) time.Duration {
	t, now, gen := s.pass, p.now(), s.load().gen()
	if t.gen != gen {
		t.gen, t.since = gen, now
		if at, ok := s.idleSeen.in(gen); ok {
			t.since = min(at+p.keeper.every, now) // it was released after one sweep and before the next
		}
	}
	return now - t.since
}

// idleSince returns when the keeper first saw f idle. If it has not, because f was used
// a moment ago, idleSince returns forever.
func (f found[C]) idleSince() time.Duration {
	if at, ok := f.slot.idleSeen.in(f.word.gen()); ok {
		return at
	}
	return forever
}
