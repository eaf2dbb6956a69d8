package pool

import "time"

const (
	// busyPause is the delay before the next sweep when this one hit the limit of
	// pings or of connects.
	busyPause = 10 * time.Millisecond

	// parkedAfter is how long a lease lasts before waiters no longer count on its
	// end: it may be a transaction of minutes, or wait for mail for hours.
	parkedAfter = 3 * time.Second
)

// keeper looks after connections that nobody uses. It has no goroutine of its
// own: a timer runs sweep. Guarded by Pool.mu, except for the last group.
type keeper struct {
	every  time.Duration // between sweeps while connections are in use
	timer  *time.Timer
	at     time.Duration // the next sweep, on the pool's clock; 0 = none is set
	active bool          // a sweep is running
	woken  bool          // a sweep was asked for meanwhile
	behind bool          // the last sweep left old connections for want of connects

	leased int // seen by the last sweep, less those closed since
	owed   int // replacements of connections that had to go first

	// Only a running sweep uses these.
	last  time.Duration // sweep, when it began
	gap   time.Duration // the least time to the next
	drift time.Duration // of the wall clock from the pool's, in the last sweep
	seen  []seen        // by slot.index
}

// seen is what the sweeps know of one slot. An idle connection is recognized by
// its generation, which each lease changes: so its idle time takes no clock and
// no write in Acquire and Release.
type seen struct {
	gen       uint64
	idleSince time.Duration // at the latest: the last sweep that did not see it idle in gen, or its check
	checked   time.Duration // its last check, of those seen
	pingAt    time.Duration

	lease       uint64
	leasedSince time.Duration // the first sweep that saw it leased in lease
}

// round is what one sweep has found.
type round[C any] struct {
	now       time.Duration
	took      time.Duration // to look
	suspended bool          // the machine was, since the last sweep
	idle      int
	leased    int
	retiring  int           // leased or held, and to be closed after that
	awake     bool          // something is in use, or may soon be stale
	next      time.Duration // the earliest time at which something falls due; negative = none
	pings     []found[C]
	old       []found[C] // past their lifetime
	unused    []found[C] // past MaxIdleTime, or before the next sweep
}

// found is a slot in the state that a sweep saw it in.
type found[C any] struct {
	slot *slot[C]
	word word
}

// wakeKeeperLocked makes a sweep come within the usual interval. It follows
// everything by which a connection may come into use without mu.
func (p *Pool[C]) wakeKeeperLocked() { p.sweepAtLocked(p.now() + p.keeper.every) }

// sweepAtLocked makes a sweep come at the time at or before.
func (p *Pool[C]) sweepAtLocked(at time.Duration) {
	k := &p.keeper
	if k.active {
		k.woken = true
		return
	}
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

// sweep looks at every slot once, without mu, and then does what is due. Only
// one sweep runs at a time.
func (p *Pool[C]) sweep() {
	p.mu.Lock()
	if p.closed || p.keeper.active {
		p.mu.Unlock()
		return
	}
	p.keeper.active, p.keeper.at = true, 0
	p.running++
	p.mu.Unlock()

	r := p.look()

	p.mu.Lock()
	defer p.mu.Unlock()
	p.keeper.active = false
	p.running--
	p.changedLocked()
	if p.closed {
		return
	}
	p.keeper.leased = r.leased
	p.replaceOldLocked(&r)
	p.closeUnusedLocked(&r)
	p.pingLocked(&r)
	p.serveLocked()
	p.planLocked(&r)
}

// look reads all slots.
func (p *Pool[C]) look() round[C] {
	k := &p.keeper
	slots := *p.slots.Load()
	k.seen = append(k.seen, make([]seen, len(slots)-len(k.seen))...)
	now := time.Now()
	r := round[C]{now: now.Sub(p.start), next: -1}
	r.suspended = k.wasSuspended(now.Round(0).Sub(p.start.Round(0))-r.now, p.cfg.ValidateAfter)
	for i, s := range slots {
		switch w := s.load(); w.phase() {
		case idle:
			r.idle++
			p.lookAtIdle(&r, s, w, &k.seen[i])
		case leased, held:
			r.awake = true
			if w.has(retire) && !w.has(parked) {
				r.retiring++
			}
			if w.phase() == leased {
				r.leased++
				lookAtLease(&r, s, w, &k.seen[i])
			}
			p.lookAtAge(&r, s, w)
		}
	}
	k.last = r.now
	r.took = p.now() - r.now
	return r
}

// wasSuspended reports whether the wall clock has run ahead of the pool's by span
// since the last sweep, as it does while a machine is suspended.
func (k *keeper) wasSuspended(drift, span time.Duration) bool {
	ahead := drift - k.drift
	k.drift = drift
	return ahead >= span
}

// lookAtIdle finds what is due for an idle connection.
func (p *Pool[C]) lookAtIdle(r *round[C], s *slot[C], w word, v *seen) {
	checked := time.Duration(s.checkedAt.Load())
	if v.gen != w.gen() { // released since the last sweep, perhaps just after it
		v.gen, v.idleSince = w.gen(), max(p.keeper.last, checked)
		v.pingAt = v.idleSince + p.cfg.keepAlive()
		s.idleSeen.set(v.gen, v.idleSince)
	}
	if checked > v.checked {
		v.checked = checked
		v.pingAt = max(v.pingAt, checked+p.cfg.keepAlive())
	}
	if p.lookAtAge(r, s, w) {
		return
	}
	f := found[C]{s, w}
	if p.cfg.MaxIdleTime >= 0 {
		r.unused = r.collect(r.unused, f, v.idleSince+p.cfg.MaxIdleTime, p.keeper.gap)
	}
	if p.cfg.KeepAlive > 0 && w.has(pings) {
		r.pings = r.collect(r.pings, f, v.pingAt, 0)
	}
	fresh := max(v.idleSince, v.checked-p.keeper.every) // the next look is one interval away
	switch {
	case w.has(stale):
	case p.cfg.ValidateAfter < everyUse || !w.has(pings):
		r.awake = true // it may be used meanwhile, and nobody would know
	case r.suspended || r.now-fresh >= p.cfg.ValidateAfter:
		r.awake = !s.flag(w, stale) || r.awake // else it is in use since s was looked at
	default:
		r.awake = true
	}
}

// lookAtLease marks the lease of s once it has lasted for long.
func lookAtLease[C any](r *round[C], s *slot[C], w word, v *seen) {
	if v.lease != w.gen() {
		v.lease, v.leasedSince = w.gen(), r.now
		s.leasedSeen.set(w.gen(), r.now)
	}
	if !w.has(parked) && r.now-v.leasedSince >= parkedAfter {
		s.flag(w, parked)
	}
}

// lookAtAge reports whether the connection of s has passed its lifetime, and
// collects it then.
func (p *Pool[C]) lookAtAge(r *round[C], s *slot[C], w word) bool {
	end := time.Duration(s.expires.Load())
	if end == 0 || w.has(retire) {
		return false
	}
	r.old = r.collect(r.old, found[C]{s, w}, end, 0)
	return end <= r.now
}

// collect adds f to list if the time t comes within the time ahead, else has a
// sweep come at t.
func (r *round[C]) collect(list []found[C], f found[C], t, ahead time.Duration) []found[C] {
	if t <= r.now+ahead {
		return append(list, f)
	}
	r.dueAt(t)
	return list
}

// dueAt has the next sweep come at the time t, unless one comes before.
func (r *round[C]) dueAt(t time.Duration) {
	if r.next < 0 || t < r.next {
		r.next = t
	}
}

// planLocked sets the next sweep: soon while connections are in use, else when
// something falls due. Where there are so many connections that looking takes
// milliseconds, it takes no more than a 64th of the time.
func (p *Pool[C]) planLocked(r *round[C]) {
	k := &p.keeper
	k.gap = max(time.Millisecond, min(64*r.took, k.every))
	if r.awake || k.woken {
		r.dueAt(r.now + k.every)
	} else {
		k.gap = max(k.gap, k.every/16)
	}
	k.woken = false
	for _, a := range p.attempts {
		if at := p.hangsAt(a); at > r.now {
			r.dueAt(at)
		}
	}
	if r.next >= 0 {
		p.sweepAtLocked(max(r.next, r.now+k.gap))
	}
}

// takeLocked makes an idle connection that a sweep has found the pool's own, if
// it is still as it was.
func (f found[C]) takeLocked() bool {
	w := f.slot.load()
	return w.phase() == idle && w.gen() == f.word.gen() && f.slot.move(w, w.to(held))
}

// replaceOldLocked retires the connections past their lifetime. Where there is
// room, the replacement is connected first; else it follows. While connecting
// fails, they are kept: an old connection that works is better than none.
func (p *Pool[C]) replaceOldLocked(r *round[C]) {
	p.keeper.behind = false
	for _, f := range r.old {
		s := f.slot
		if end := time.Duration(s.expires.Load()); end == 0 || end > r.now {
			continue // another connection by now
		}
		occupied := p.occupiedLocked()
		room := occupied < p.outage.atMost(p.max)
		switch {
		case !room && f.word.has(parked): // its lease may last for hours; the others go before it
			continue
		case p.outage.permanent: // only callers may start an attempt
			r.dueAt(r.now + permanentPause)
			return
		case room && !p.mayConnectLocked() || !room && !p.mayRetireLocked(r):
			p.keeper.behind = true
			r.dueAt(max(r.now+p.keeper.every, p.outage.startsAt(occupied)))
			return
		}
		s.expires.Store(0)
		if room && p.maxIdle != 0 {
			p.startConnectLocked(s)
		} else if p.retireLocked(s, tooOld) && p.maxIdle != 0 {
			p.keeper.owed++
			r.retiring++
		}
	}
}

// mayRetireLocked reports whether one more old connection may go before its
// replacement is there: as many at a time as may connect, but no more than half
// of the pool, and one while connecting fails or the server is full.
func (p *Pool[C]) mayRetireLocked(r *round[C]) bool {
	limit := p.outage.atMost(p.max)
	if r.now < p.outage.startsAt(limit) {
		return false
	}
	budget := min(p.cfg.MaxConnecting, limit/2)
	if p.outage.pace.steps > 0 || p.outage.full {
		budget = 1
	}
	missing := limit - p.openLocked() + r.retiring
	if p.outage.full { // its limit drops with each connection that is not replaced
		missing = max(missing, p.keeper.owed)
	}
	return missing < max(budget, 1)
}

// closeUnusedLocked closes connections that nobody wanted for MaxIdleTime, but
// leaves MinIdle.
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
// connections to callers; the rest has its turn in the next sweep.
func (p *Pool[C]) pingLocked(r *round[C]) {
	n := max((r.idle+1)/2, 1) - p.pinging
	for _, f := range r.pings {
		if n <= 0 {
			r.dueAt(r.now + busyPause)
			return
		}
		if f.takeLocked() {
			n--
			p.checkLocked(f.slot, false)
		}
	}
}
