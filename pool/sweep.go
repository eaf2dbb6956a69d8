package pool

import (
	"cmp"
	"time"
)

const (
	// busyPause is the delay before the next sweep when this one hit the limit of
	// pings or connects.
	busyPause = 10 * time.Millisecond

	// parkedAfter is how long a lease lasts until waiters no longer count on its
	// end: it may be a long transaction, or wait for mail for hours.
	parkedAfter = 3 * time.Second
)

// keeper maintains the connections between their uses: it checks, pings, replaces and
// closes them. It has no goroutine of its own: a timer calls sweep. Guarded by Pool.mu,
// except for the last group.
type keeper struct {
	every  time.Duration // between sweeps while connections are in use
	timer  *time.Timer
	at     time.Duration // of the next sweep, on the pool's clock; 0 = none is set
	active bool          // a sweep is running
	woken  bool          // another sweep was requested while one was running
	behind bool          // the last sweep could not replace all old connections
	noRoom bool          // the gate had no room to replace an old connection before closing it

	leased int // leases seen by the last sweep, minus those closed since
	owed   int // connections that were closed before their replacements were connected

	armedUntil time.Duration // when to stop recording stacks

	rest time.Duration // no sweep begins before this, so that sweeps take at most 1/64 of the time

	// Only a running sweep uses these.
	last  time.Duration // when the last sweep began
	gap   time.Duration // the least time between that and the next one
	drift time.Duration // how far the wall clock was ahead of the pool's clock at the last sweep
	seen  []seen        // by slot.index
}

// seen is what the sweeps know about one slot. They recognize an idle connection by
// its generation, which each lease changes. So Acquire and Release neither read a clock
// nor write anything for its idle time.
type seen struct {
	gen       uint64        // the last generation in which it was idle
	idleSince time.Duration // lower bound: when the last sweep that did not see it idle in gen began, or its last check

	lease       uint64        // the last generation in which it was leased
	leasedSince time.Duration // when a sweep first saw that lease
	suspect     *Holder       // that lease, if it was reported as a leak; else nil
}

// round is what one sweep has found.
type round[C any] struct {
	now       time.Duration // when it began
	took      time.Duration // how long look took
	suspended bool          // the machine was suspended since the last sweep
	idle      int
	leased    int
	retiring  int           // connections that are leased or held, and then closed
	awake     bool          // a connection is in use, or may soon be stale
	next      time.Duration // the earliest time at which something is due; negative = nothing
	pings     []found[C]    // the keepalive is due
	old       []found[C]    // past their lifetime
	unused    []found[C]    // past MaxIdleTime, now or by the next sweep

	suspicious int        // leases that may be leaked
	suspects   []found[C] // suspicious leases not yet reported
	cleared    []*Holder  // reported leases that have ended
}

// found is a slot and the state in which a sweep saw it.
type found[C any] struct {
	slot *slot[C]
	word word
}

// wakeKeeperLocked schedules a sweep within the usual interval. It must be called after
// every change after which a connection can come into use without mu.
func (p *Pool[C]) wakeKeeperLocked() { p.sweepAtLocked(p.now() + p.keeper.every) }

// sweepAtLocked schedules a sweep no later than at, or as soon as keeper.rest allows.
func (p *Pool[C]) sweepAtLocked(at time.Duration) {
	k := &p.keeper
	if k.active {
		k.woken = true
		return
	}
	at = max(at, k.rest)
	if p.closed || k.at != 0 && k.at <= at {
		return
	}
	k.at = at
	if k.timer == nil {
		k.timer = time.AfterFunc(at-p.now(), p.sweep)
	} else {
		k.timer.Reset(at - p.now())
	}
}

// sweep inspects every slot once, without mu, and then does what is due. Only one sweep
// runs at a time. It runs in the goroutine of the timer, and Close waits for it.
func (p *Pool[C]) sweep() {
	p.mu.Lock()
	if p.closed || p.keeper.active {
		p.mu.Unlock()
		return
	}
	p.keeper.active, p.keeper.at = true, 0
	p.running++
	p.mu.Unlock()
	var r round[C]
	defer p.act(&r) // deferred, in case Trace.Leak exits this goroutine
	r = p.look()
	p.reportLeaks(&r)
}

// act does what is due, and ends the sweep.
func (p *Pool[C]) act(r *round[C]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keeper.active = false
	p.running--
	p.changedLocked()
	if p.closed {
		return
	}
	p.keeper.leased = r.leased
	p.armLocked(r)
	p.replaceOldLocked(r)
	p.closeUnusedLocked(r)
	p.pingLocked(r)
	p.serveLocked()
	p.planLocked(r)
}

// look reads the state of all slots and returns what it has found.
func (p *Pool[C]) look() round[C] {
	k := &p.keeper
	slots := *p.slots.Load()
	k.seen = append(k.seen, make([]seen, len(slots)-len(k.seen))...)
	now := time.Now()
	r := round[C]{now: now.Sub(p.start), next: -1}
	r.suspended = k.wasSuspended(now.Round(0).Sub(p.start.Round(0))-r.now, p.cfg.ValidateAfter)
	for i, s := range slots {
		w, v := s.load(), &k.seen[i]
		if p.cfg.LeakAfter > 0 {
			p.lookAtLeak(&r, s, w, v)
		}
		switch w.phase() {
		case idle:
			r.idle++
			p.lookAtIdle(&r, s, w, v)
		case leased, held:
			r.awake = true
			if w.has(retire) && !w.has(parked) {
				r.retiring++
			}
			if w.phase() == leased {
				r.leased++
				lookAtLease(&r, s, w, v)
				p.lookAtPing(&r, s, w)
			}
			p.lookAtAge(&r, s, w)
		}
	}
	k.last = r.now
	r.took = p.now() - r.now
	return r
}

// wasSuspended reports whether the wall clock has gained span or more on the pool's
// clock since the last sweep. It does so while a machine is suspended.
func (k *keeper) wasSuspended(drift, span time.Duration) bool {
	ahead := drift - k.drift
	k.drift = drift
	return ahead >= span
}

// lookAtIdle collects what is due for an idle connection.
func (p *Pool[C]) lookAtIdle(r *round[C], s *slot[C], w word, v *seen) {
	checked := time.Duration(s.checkedAt.Load())
	if v.gen != w.gen() { // released since the last sweep, perhaps just after it
		v.gen, v.idleSince = w.gen(), max(p.keeper.last, checked)
		s.idleSeen.set(v.gen, v.idleSince)
	}
	if p.lookAtAge(r, s, w) {
		return
	}
	if p.cfg.MaxIdleTime >= 0 {
		r.unused = r.collect(r.unused, found[C]{s, w}, v.idleSince+p.cfg.MaxIdleTime, p.keeper.gap)
	}
	p.lookAtPing(r, s, w)
	fresh := max(v.idleSince, checked-p.keeper.every) // minus one interval, because the next sweep is that far away
	switch {
	case w.has(stale):
	case p.cfg.ValidateAfter < everyUse || !w.has(pings):
		r.awake = true // it may be leased on the fast path, which does not wake the keeper
	case r.suspended || r.now-fresh >= p.cfg.ValidateAfter:
		r.awake = !s.flag(w, stale) || r.awake // flag fails if the connection has just come into use
	default:
		r.awake = true
	}
}

// lookAtPing collects a connection whose keepalive is due, even if it is in use. It
// skips slots that are not listed: they come back through putBackLocked anyway.
func (p *Pool[C]) lookAtPing(r *round[C], s *slot[C], w word) {
	if p.cfg.KeepAlive > 0 && w.has(pings) && w.has(listed) {
		r.pings = r.collect(r.pings, found[C]{s, w}, time.Duration(s.pingAt.Load()), 0)
	}
}

// lookAtLease marks the lease of s as parked once it has lasted for parkedAfter.
func lookAtLease[C any](r *round[C], s *slot[C], w word, v *seen) {
	if v.lease != w.gen() {
		v.lease, v.leasedSince = w.gen(), r.now
		s.leasedSeen.set(w.gen(), r.now)
	}
	if !w.has(parked) && r.now-v.leasedSince >= parkedAfter {
		s.flag(w, parked)
	}
}

// lookAtAge reports whether the connection of s is past its lifetime, and collects it
// if so.
func (p *Pool[C]) lookAtAge(r *round[C], s *slot[C], w word) bool {
	end := time.Duration(s.expires.Load())
	if end == 0 || w.has(retire) {
		return false
	}
	r.old = r.collect(r.old, found[C]{s, w}, end, 0)
	return end <= r.now
}

// collect appends f to list if t, when something is due for f, is at most ahead from
// now. Otherwise it schedules a sweep at t.
func (r *round[C]) collect(list []found[C], f found[C], t, ahead time.Duration) []found[C] {
	if t <= r.now+ahead {
		return append(list, f)
	}
	r.dueAt(t)
	return list
}

// dueAt schedules the next sweep no later than t.
func (r *round[C]) dueAt(t time.Duration) {
	if r.next < 0 || t < r.next {
		r.next = t
	}
}

// planLocked schedules the next sweep: after one interval while connections are in use,
// otherwise when something is due.
func (p *Pool[C]) planLocked(r *round[C]) {
	k := &p.keeper
	k.gap = max(time.Millisecond, min(64*r.took, k.every))
	k.rest = r.now + k.gap
	if r.awake || k.woken {
		r.dueAt(r.now + k.every)
	} else {
		k.gap = max(k.gap, k.every/16)
	}
	k.woken = false
	for _, a := range p.attempts {
		if at := p.hangsAt(a); at > r.now && !a.gated {
			r.dueAt(at)
		}
	}
	if r.next >= 0 {
		p.sweepAtLocked(max(r.next, r.now+k.gap))
	}
}

// takeLocked moves the idle slot of f to held. It reports false if the connection is no
// longer idle, or was leased since the sweep found it.
func (f found[C]) takeLocked() bool {
	w := f.slot.load()
	return w.phase() == idle && w.gen() == f.word.gen() && f.slot.move(w, w.to(held))
}

// replaceOldLocked retires the connections past their lifetime. If there is room, it
// connects the replacement first; otherwise the replacement follows. While connecting
// fails, old connections stay: one that works is better than none.
func (p *Pool[C]) replaceOldLocked(r *round[C]) {
	p.keeper.behind = false
	gateFull := p.keeper.noRoom
	p.keeper.noRoom = false // the next sweep tries the gate again
	for _, f := range r.old {
		s := f.slot
		if end := time.Duration(s.expires.Load()); end == 0 || end > r.now {
			continue // the slot has another connection by now
		}
		occupied := p.occupiedLocked()
		room := occupied < p.outage.atMost(p.max) && !gateFull
		switch {
		case !room && f.word.has(parked): // its lease may last for hours, so others are retired first
			continue
		case p.outage.permanent: // only a caller may start an attempt
			r.dueAt(r.now + permanentPause)
			return
		case room && !p.mayConnectLocked() || !room && !p.mayRetireLocked(r, gateFull):
			p.keeper.behind = true
			r.dueAt(max(r.now+p.keeper.every, p.outage.startsAt(occupied)))
			return
		}
		s.expires.Store(0)
		if room && p.maxIdle != 0 {
			p.startConnectLocked(s)
		} else if p.expireLocked(s) && p.maxIdle != 0 {
			p.keeper.owed++
			r.retiring++
		}
	}
}

// expireLocked retires the connection of s, which has expired.
func (p *Pool[C]) expireLocked(s *slot[C]) bool { return p.retireLocked(s, cmp.Or(s.why, tooOld)) }

// mayRetireLocked reports whether one more old connection may be closed before its
// replacement is connected. At most MaxConnecting may be missing at a time, at most half
// of the pool, and at most one while connecting fails or the server is full. If the
// gate is full, the pool consists of the connections that it has and those it owes.
func (p *Pool[C]) mayRetireLocked(r *round[C], gateFull bool) bool {
	limit := p.outage.atMost(p.max)
	missing := limit - p.openLocked() + r.retiring
	if gateFull {
		limit = p.openLocked() + max(p.keeper.owed-r.retiring, 0)
		missing = p.keeper.owed
	}
	if r.now < p.outage.startsAt(limit) {
		return false
	}
	budget := min(p.cfg.MaxConnecting, limit/2)
	if p.outage.pace.steps > 0 || p.outage.full {
		budget = 1
	}
	if p.outage.full { // then its limit drops with each connection that is not replaced
		missing = max(missing, p.keeper.owed)
	}
	return missing < max(budget, 1)
}

// closeUnusedLocked closes connections that have been idle for MaxIdleTime, but keeps at
// least MinIdle idle ones.
func (p *Pool[C]) closeUnusedLocked(r *round[C]) {
	for _, f := range r.unused {
		if r.idle <= p.cfg.MinIdle {
			return
		}
		if f.takeLocked() {
			r.idle--
			p.closeLocked(f.slot, because(idleTooLong))
		}
	}
}

// pingLocked starts the keepalives that are due. It leaves half of the idle
// connections to callers, and the next sweep continues. It unlists connections in use,
// so that they come back through putBackLocked, which pings them.
func (p *Pool[C]) pingLocked(r *round[C]) {
	n := max((r.idle+1)/2, 1) - p.pinging
	for _, f := range r.pings {
		s := f.slot
		switch w := p.unlistLocked(s); {
		case w.phase() != idle || time.Duration(s.pingAt.Load()) > r.now: // it is in use, or the slot has another connection by now
		case n <= 0:
			r.dueAt(r.now + busyPause)
		case s.move(w, w.to(held)): // fails if a caller has just claimed it; then the next sweep tries again
			n--
			p.checkLocked(s, false, fromPool)
		}
	}
}
