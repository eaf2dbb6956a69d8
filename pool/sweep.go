package pool

import "time"

// busyPause is when a sweep looks again that could not do all that is due,
// because as many pings or connects are under way as may be.
const busyPause = 10 * time.Millisecond

// keeper looks after connections that nobody uses. It has no goroutine of its
// own: a timer runs sweep. Guarded by Pool.mu, but for seen.
type keeper struct {
	every  time.Duration // between sweeps while connections are in use; 0 = nothing to do
	calm   time.Duration // between sweeps while unmarked ones are idle; 0 = nothing to do
	timer  *time.Timer
	at     time.Duration // the next sweep, on the pool's clock; 0 = none is set
	active bool          // sweep is running
	woken  bool          // a sweep was asked for meanwhile

	leased int // seen by the last sweep, less those closed since
	owed   int // replacements of connections that had to go first

	seen []seen // by slot.index; only sweep uses it
}

// seen is what the sweeps know of one slot. An idle connection is recognized by
// its generation, which each lease changes: so telling how long it has been
// idle takes no clock and no write in Acquire and Release.
type seen struct {
	gen       uint64
	idleSince time.Duration // the first sweep that saw it idle in gen
	checked   time.Duration // its last check, of those seen
	pingAt    time.Duration
}

// fresh is when the connection was last known to live.
func (v *seen) fresh() time.Duration { return max(v.idleSince, v.checked) }

// round is what one sweep has found.
type round[C any] struct {
	now    time.Duration
	took   time.Duration // to look
	idle   int
	leased int
	awake  bool          // something is in use, or may soon be stale
	next   time.Duration // the earliest time at which something falls due
	pings  []found[C]
	old    []found[C] // past their lifetime
	unused []found[C] // past MaxIdleTime
}

// found is a slot in the state that a sweep saw it in.
type found[C any] struct {
	slot *slot[C]
	word word
}

// wakeKeeperLocked makes a sweep come within the usual interval. It follows
// everything by which a connection may come into use without mu.
func (p *Pool[C]) wakeKeeperLocked() {
	if p.keeper.every > 0 {
		p.sweepAtLocked(p.now() + p.keeper.every)
	}
}

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
	r := round[C]{now: p.now(), next: -1}
	for i, s := range slots {
		switch w := s.load(); w.phase() {
		case idle:
			r.idle++
			p.lookAtIdle(&r, s, w, &k.seen[i])
		case leased, held:
			r.awake = true
			if w.phase() == leased {
				r.leased++
			}
			p.lookAtAge(&r, s, w)
		}
	}
	r.took = p.now() - r.now
	return r
}

// lookAtIdle finds what is due for an idle connection.
func (p *Pool[C]) lookAtIdle(r *round[C], s *slot[C], w word, v *seen) {
	if v.gen != w.gen() { // released since the last sweep, perhaps just after it
		*v = seen{gen: w.gen(), idleSince: r.now, pingAt: r.now + p.cfg.keepAlive() - p.keeper.every}
	}
	if c := time.Duration(s.checkedAt.Load()); c > v.checked {
		v.checked = c
		v.pingAt = max(v.pingAt, c+p.cfg.keepAlive())
	}
	if p.lookAtAge(r, s, w) {
		return
	}
	f := found[C]{s, w}
	if p.cfg.MaxIdleTime >= 0 {
		r.unused = r.collect(r.unused, f, v.idleSince+p.cfg.MaxIdleTime)
	}
	if p.cfg.KeepAlive > 0 && w.has(pings) {
		r.pings = r.collect(r.pings, f, v.pingAt)
	}
	switch {
	case w.has(stale):
	case p.cfg.ValidateAfter < everyUse || !w.has(pings):
		r.dueAt(r.now + p.keeper.calm) // it may be used meanwhile, and nobody would know
	case r.now-v.fresh()+p.keeper.every >= p.cfg.ValidateAfter: // it may have been idle for one interval more than was seen
		r.awake = !s.flag(w, stale) || r.awake // else it is in use since s was looked at
	default:
		r.awake = true
	}
}

// lookAtAge reports whether the connection of s has passed its lifetime, and
// collects it then.
func (p *Pool[C]) lookAtAge(r *round[C], s *slot[C], w word) bool {
	end := time.Duration(s.expires.Load())
	if end == 0 || w.has(retire) {
		return false
	}
	r.old = r.collect(r.old, found[C]{s, w}, end)
	return end <= r.now
}

// collect adds f to list if the time t has come, else has a sweep come at t.
func (r *round[C]) collect(list []found[C], f found[C], t time.Duration) []found[C] {
	if t <= r.now {
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
// something falls due, but not for each connection apart: where there are so many
// that looking takes milliseconds, no more than a 64th of the time goes into it.
func (p *Pool[C]) planLocked(r *round[C]) {
	every := p.keeper.every
	gap := max(time.Millisecond, min(64*r.took, every))
	if r.awake || p.keeper.woken {
		r.dueAt(r.now + every)
	} else {
		gap = max(gap, every/16)
	}
	p.keeper.woken = false
	if every > 0 && r.next >= 0 {
		p.sweepAtLocked(max(r.next, r.now+gap))
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
	for _, f := range r.old {
		s := f.slot
		if end := time.Duration(s.expires.Load()); end == 0 || end > r.now {
			continue // another connection by now
		}
		room := p.occupiedLocked() < p.max
		switch {
		case p.outage.permanent: // none but callers may start an attempt
			r.dueAt(r.now + permanentPause)
			continue
		case r.now < p.outage.startsAt(), room && !p.mayConnectLocked(): // a pause, or MaxConnecting are under way
			r.dueAt(max(r.now+busyPause, p.outage.startsAt()))
			continue
		}
		s.expires.Store(0)
		if room {
			p.startConnectLocked(s)
		} else if p.retireLocked(s, tooOld) {
			p.keeper.owed++
		}
	}
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
