package pool

import (
	lists "container/list"
	"time"
)

const (
	// recallPatience is how long a recalled permit may take to come back before the
	// gate recalls another in its place. The Close of its connection may hang.
	recallPatience = 250 * time.Millisecond

	// mostRest limits how long a member that has a connection waits for an unused one,
	// or for its fair share. It waits for as long as connecting takes, if that is
	// shorter.
	mostRest = 250 * time.Millisecond
)

// localPermit is a Permit of a LocalGate.
type localPermit struct {
	gate  *LocalGate
	share *share

	// Guarded by gate.mu.
	recalled bool
	rests    *lists.Element // in gate.resting, or nil
	timer    *time.Timer    // calls overdue if the permit is recalled, or rested if its connection rests; nil = neither
}

// giveLocked gives a permit to s.
func (g *LocalGate) giveLocked(s *share) *localPermit {
	g.used++
	g.countLocked(s, 1, 0)
	return &localPermit{gate: g, share: s}
}

// Leave implements [Permit].
func (t *localPermit) Leave() {
	if grace := t.gate.Grace; grace > 0 {
		time.AfterFunc(grace, t.leave)
	} else {
		t.leave()
	}
}

// leave gives t back, so that it no longer counts.
func (t *localPermit) leave() {
	g, s := t.gate, t.share
	g.mu.Lock()
	t.stopLocked()
	g.used--
	g.countLocked(s, -1, 0)
	g.serveLocked()
	g.forgetLocked(s)
	g.mu.Unlock()
	g.changed()
}

// Recalled implements [Permit].
func (t *localPermit) Recalled(w Worth) bool {
	g := t.gate
	if !g.contended.Load() {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	rest := min(w.Cost, mostRest)
	switch needed := g.neededLocked() > 0; {
	case t.recalled:
		return true
	case g.used-g.limit > g.coming,
		needed && g.unfairLocked(t.share, rest),
		needed && !w.Wanted && w.Unused >= rest && g.waiting.Len() > t.share.waiting:
		t.recallLocked()
		return true
	case needed && !w.Wanted && w.Unused < rest:
		t.restLocked(rest - w.Unused)
	case !w.Wanted:
		g.askLaterLocked(t.share)
	}
	return false
}

// recallLocked recalls t.
func (t *localPermit) recallLocked() {
	t.stopLocked()
	t.recalled = true
	t.gate.coming++
	t.timer = time.AfterFunc(recallPatience+t.gate.Grace, t.overdue)
}

// overdue asks members to yield another permit in place of t.
func (t *localPermit) overdue() {
	g := t.gate
	g.mu.Lock()
	t.stopLocked()
	g.mu.Unlock()
	g.askOthers(nil)
}

// restLocked puts t among the resting permits. Its member is asked to yield after d, or
// earlier if another member is starved.
func (t *localPermit) restLocked(d time.Duration) {
	t.stopLocked()
	t.rests = t.gate.resting.PushBack(t)
	t.timer = time.AfterFunc(d, t.rested)
}

// rested asks the member of t to yield, because the connection of t has rested.
func (t *localPermit) rested() {
	g := t.gate
	g.mu.Lock()
	t.wakeLocked()
	g.askLaterLocked(t.share)
	g.mu.Unlock()
	g.askOthers(nil)
}

// wakeLocked records that t no longer rests.
func (t *localPermit) wakeLocked() {
	if t.rests != nil {
		t.gate.resting.Remove(t.rests)
		t.rests = nil
	}
}

// stopLocked records that t is no longer on its way back, and no longer rests.
func (t *localPermit) stopLocked() {
	if t.timer == nil {
		return
	}
	t.timer.Stop()
	t.timer = nil
	if t.recalled {
		t.gate.coming--
	}
	t.wakeLocked()
}

// unfairLocked reports whether s has more than its fair share of connections. It counts
// the members that hold nothing, and those that have waited for longer than rest and
// would still have fewer connections than s with one more. The share of s is unfair if
// there are more of them than permits on their way back.
func (g *LocalGate) unfairLocked(s *share, rest time.Duration) bool {
	poorer, patient := g.starved, time.Now().Add(-rest)
	g.round++ // in each round, a member counts once
	for at := g.waiting.Front(); at != nil && poorer <= g.coming; at = at.Next() {
		e := at.Value.(*entrant)
		if e.since.After(patient) {
			break
		}
		if n := e.share.held; n > 0 && n+1 < s.held && e.share.round != g.round {
			e.share.round = g.round
			poorer++
		}
	}
	return poorer > g.coming
}

// Lost implements [Permit]: never.
func (t *localPermit) Lost() <-chan struct{} { return nil }
