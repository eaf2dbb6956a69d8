package pool

import (
	lists "container/list"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// LocalGate is one limit for the connections of several pools of a process.
// [NewGate] makes one.
//
// While it is full, the pool with the fewest connections is served next, and
// among equals the one that has waited longest. For a pool without a connection,
// one that no caller uses is closed, else the next to be released anywhere.
//
// A pool that has connections gets one more from a pool with at least two more, or
// one that no caller uses, but not at once: only after as long as it took to
// connect the one that is closed (250 ms at most). Before that, one of its own may be
// released, and connections would be closed just to be made again.
//
// MinIdle takes no connection away from another pool.
//
// Grace and Changed must not be set after its first use. They are for servers that
// see the end of a connection late, and for limits that change.
type LocalGate struct {
	// Grace is how long a connection counts after its Close has returned, because
	// the server learns of its end later. Zero means not at all.
	Grace time.Duration

	// Changed, if not nil, is called after somebody has begun to wait, and after
	// a permit has come back. It must not block.
	Changed func()

	contended atomic.Bool // somebody waits, or the limit is exceeded; changed under mu

	mu      sync.Mutex // guards all below; taken under Pool.mu, and no Member is called under it
	limit   int
	used    int
	coming  int // permits of used that were recalled, and are on their way back
	members map[Member]*share
	order   lists.List     // of *share: the members that entered last, or may have something to yield, are at the back
	asked   *lists.Element // of order: the members up to it have been asked to yield since somebody waits
	resting lists.List     // of *localPermit: a starved member gets these before they have rested
	waiting lists.List     // of *entrant, the oldest first
	starved int            // members that wait and hold nothing
	round   int            // of unfairLocked
}

// share is what one member has. The gate forgets it when that is nothing.
type share struct {
	member  Member
	at      *lists.Element // in order
	held    int
	waiting int
	round   int // LocalGate.round that counted it
}

// entrant is a call of Enter that waits.
type entrant struct {
	share *share
	at    *lists.Element // in waiting
	since time.Time
	ready chan *localPermit
}

// NewGate returns a gate for limit connections, for the Config.Gate of several
// pools. It panics if limit is less than 1.
func NewGate(limit int) *LocalGate {
	if limit < 1 {
		panic(fmt.Sprintf("pool: NewGate(%d); want 1 or more", limit))
	}
	return &LocalGate{limit: limit, members: map[Member]*share{}}
}

// String says how full the gate is.
func (g *LocalGate) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return fmt.Sprintf("gate: %d of %s, %s, %s waiting", g.used, count(g.limit, "connection", "connections"),
		count(g.order.Len(), "pool", "pools"), count(g.waiting.Len(), "connect", "connects"))
}

// Enter implements [Gate].
func (g *LocalGate) Enter(ctx context.Context, m Member) (Permit, error) {
	g.mu.Lock()
	s := g.shareLocked(m)
	if g.used < g.limit {
		defer g.mu.Unlock()
		return g.giveLocked(s), nil
	}
	e := &entrant{share: s, since: time.Now(), ready: make(chan *localPermit, 1)}
	g.pushLocked(e)
	g.mu.Unlock()
	g.changed()
	g.askOthers(m)
	select {
	case permit := <-e.ready:
		return permit, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case permit := <-e.ready: // just now
		return permit, nil
	default:
	}
	g.removeLocked(e)
	g.forgetLocked(s)
	return nil, ctx.Err()
}

// TryEnter implements [Gate].
func (g *LocalGate) TryEnter(m Member) (Permit, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.used >= g.limit {
		return nil, false
	}
	return g.giveLocked(g.shareLocked(m)), true
}

// askOthers asks members other than m to yield, the ones that entered longest ago
// first, until enough do. While somebody waits, it does not ask a member that had
// nothing to yield again before that has another idle connection, of which
// Recalled learns.
func (g *LocalGate) askOthers(m Member) {
	for {
		g.mu.Lock()
		needed := g.neededLocked()
		var s *share
		if needed > 0 {
			s = g.nextToAskLocked()
		}
		g.mu.Unlock()
		if s == nil {
			return
		}
		if s.member != m && s.member.Yield(needed) > 0 {
			g.mu.Lock()
			g.askAgainLocked(s)
			g.mu.Unlock()
		}
	}
}

// nextToAskLocked returns the next member to be asked, or nil.
func (g *LocalGate) nextToAskLocked() *share {
	if rests := g.resting.Front(); rests != nil && g.starved > g.coming {
		t := rests.Value.(*localPermit)
		t.wakeLocked()
		return t.share
	}
	next := g.order.Front()
	if g.asked != nil {
		next = g.asked.Next()
	}
	if next == nil {
		return nil
	}
	g.asked = next // now, so that Recalled can put it behind asked meanwhile
	return next.Value.(*share)
}

// askAgainLocked makes s the next to be asked, because it may have more to yield.
func (g *LocalGate) askAgainLocked(s *share) {
	g.passOverLocked(s)
	if g.asked == nil {
		g.order.MoveToFront(s.at) // or has been forgotten, and nothing happens
	} else {
		g.order.MoveAfter(s.at, g.asked)
	}
}

// askLaterLocked has s asked again, because it has something to yield to the next
// that waits.
func (g *LocalGate) askLaterLocked(s *share) {
	g.passOverLocked(s)
	g.order.MoveToBack(s.at) // or has been forgotten, and nothing happens
}

// nextLocked returns the entrant to be served next.
func (g *LocalGate) nextLocked() (next *entrant) {
	for at := g.waiting.Front(); at != nil; at = at.Next() {
		e := at.Value.(*entrant)
		if next == nil || e.share.held < next.share.held {
			next = e
		}
		if next.share.held == 0 {
			break
		}
	}
	return next
}

// shareLocked returns the share of m, which enters now.
func (g *LocalGate) shareLocked(m Member) *share {
	s := g.members[m]
	if s == nil {
		s = &share{member: m}
		s.at = g.order.PushBack(s)
		g.members[m] = s
		return s
	}
	g.passOverLocked(s)
	g.order.MoveToBack(s.at)
	return s
}

// forgetLocked forgets s if it has nothing.
func (g *LocalGate) forgetLocked(s *share) {
	if s.held == 0 && s.waiting == 0 && g.members[s.member] == s {
		g.passOverLocked(s)
		g.order.Remove(s.at)
		delete(g.members, s.member)
	}
}

// passOverLocked keeps asked right where s leaves its place in order.
func (g *LocalGate) passOverLocked(s *share) {
	if g.asked == s.at {
		g.asked = s.at.Prev()
	}
}

// serveLocked gives waiters what there is room for.
func (g *LocalGate) serveLocked() {
	for g.used < g.limit && g.waiting.Len() > 0 {
		e := g.nextLocked()
		g.removeLocked(e)
		e.ready <- g.giveLocked(e.share) // holds one, so this never blocks
	}
	g.contendLocked()
}

// changed calls Changed.
func (g *LocalGate) changed() {
	if g.Changed != nil {
		g.Changed()
	}
}

// pushLocked adds e to the waiters.
func (g *LocalGate) pushLocked(e *entrant) {
	if g.waiting.Len() == 0 {
		g.asked = nil
	}
	e.at = g.waiting.PushBack(e)
	g.contendLocked()
	g.countLocked(e.share, 0, 1)
}

// removeLocked takes e out of the waiters.
func (g *LocalGate) removeLocked(e *entrant) {
	g.waiting.Remove(e.at)
	g.countLocked(e.share, 0, -1)
	g.contendLocked()
}

// countLocked adds to what s holds, and to its entrants that wait.
func (g *LocalGate) countLocked(s *share, held, waiting int) {
	if s.isStarved() {
		g.starved--
	}
	s.held += held
	s.waiting += waiting
	if s.isStarved() {
		g.starved++
	}
}

// isStarved reports whether s waits and holds nothing.
func (s *share) isStarved() bool { return s.held == 0 && s.waiting > 0 }
