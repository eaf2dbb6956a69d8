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
// While the gate is full, it serves the waiting pool with the fewest connections
// first, and among equals the one that has waited longest. To make room for a pool
// without a connection, it recalls one that no caller uses or, if there is none, the
// next one released in any pool.
//
// A pool that already has connections gets one that no caller uses, or one from a pool
// that has at least two more. It first waits for as long as it took to connect
// the connection that is closed (at most 250 ms). In the meantime, one of its own may
// be released; without the wait, connections would be closed just to be made again.
//
// MinIdle takes no connection away from another pool.
//
// Do not change Grace or Changed after the first use of the gate. Package fleet uses
// them.
type LocalGate struct {
	// Grace is how long a connection still counts after its Close has returned,
	// because the server may notice the end of a connection late. Zero means not at
	// all.
	Grace time.Duration

	// Changed is called after a call to Enter has begun to wait, and after a permit
	// has come back. It must not block. It may be nil.
	Changed func()

	contended atomic.Bool // an Enter waits, or the limit is exceeded; changed under mu

	mu      sync.Mutex // guards the fields below; may be locked under Pool.mu; no Member is called under it
	limit   int
	used    int
	coming  int // how many of the used permits were recalled and are on their way back
	members map[Member]*share
	order   lists.List     // of *share, in which they are asked to yield; members that entered last, or may have something to yield, are at the back
	asked   *lists.Element // in order: the members up to this one have been asked to yield since the wait began
	resting lists.List     // of *localPermit: permits of connections that rest; a starved member gets these first
	waiting lists.List     // of *entrant, oldest first
	starved int            // members that wait and hold no permit
	round   int            // counts calls of unfairLocked
}

// share counts the permits and the waiting entrants of one member. The gate forgets it
// when both are zero.
type share struct {
	member  Member
	at      *lists.Element // in order
	held    int            // permits
	waiting int            // entrants
	round   int            // LocalGate.round that last counted it
}

// entrant is a call to Enter that waits.
type entrant struct {
	share *share
	at    *lists.Element // in waiting
	since time.Time
	ready chan *localPermit // has room for one
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
	case permit := <-e.ready: // it was served just before the lock
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

// askOthers asks members other than m to yield until enough of them do. It begins with
// the members that entered longest ago. While an Enter waits, it does not ask
// a member that had nothing to yield again until that member has another idle
// connection, which Recalled notices.
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

// nextToAskLocked returns the share of the next member to ask, or nil.
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
	g.asked = next // set before the member is asked, so that Recalled can move it behind asked meanwhile
	return next.Value.(*share)
}

// askAgainLocked makes s the next to ask, because it may have more to yield.
func (g *LocalGate) askAgainLocked(s *share) {
	g.passOverLocked(s)
	if g.asked == nil {
		g.order.MoveToFront(s.at) // does nothing if s has been forgotten
	} else {
		g.order.MoveAfter(s.at, g.asked)
	}
}

// askLaterLocked moves s behind asked, because it has something to yield to the next
// entrant.
func (g *LocalGate) askLaterLocked(s *share) {
	g.passOverLocked(s)
	g.order.MoveToBack(s.at) // does nothing if s has been forgotten
}

// nextLocked returns the entrant to serve next.
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

// shareLocked returns the share of m, which is entering.
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

// forgetLocked forgets s if it has no permits and no entrants.
func (g *LocalGate) forgetLocked(s *share) {
	if s.held == 0 && s.waiting == 0 && g.members[s.member] == s {
		g.passOverLocked(s)
		g.order.Remove(s.at)
		delete(g.members, s.member)
	}
}

// passOverLocked keeps asked valid before s is moved or removed in order.
func (g *LocalGate) passOverLocked(s *share) {
	if g.asked == s.at {
		g.asked = s.at.Prev()
	}
}

// serveLocked gives permits to waiters while there is room.
func (g *LocalGate) serveLocked() {
	for g.used < g.limit && g.waiting.Len() > 0 {
		e := g.nextLocked()
		g.removeLocked(e)
		e.ready <- g.giveLocked(e.share) // has room for one, so this never blocks
	}
	g.contendLocked()
}

// changed calls Changed if it is set.
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

// countLocked adds held to the permits of s and waiting to its entrants.
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

// isStarved reports whether s waits and holds no permit.
func (s *share) isStarved() bool { return s.held == 0 && s.waiting > 0 }
