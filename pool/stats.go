package pool

import "time"

// Gauges is the state of a pool at one moment.
type Gauges struct {
	MaxOpen    int // the setting, or what Resize made of it
	Limit      int // MaxOpen, or less while the server is full (driver.Full)
	Open       int // Idle + Leased
	Idle       int // unused, or being pinged
	Leased     int // in use, until Release returns
	Connecting int
	Closing    int
	Waiting    int // callers in the queue
}

// Stats is the state of a pool, and what it has done so far.
type Stats struct {
	Gauges

	// Counters since the pool was opened.
	Acquires int64         // leases given
	Waits    int64         // callers that had to wait in the queue
	WaitTime time.Duration // of all these callers, served or not

	// The part of Waits that only a release could serve, as far as was known when
	// the wait began. If it is large, MaxOpen or Limit is too small. The other
	// callers waited for a Connect or a Ping.
	ReleaseWaits    int64
	ReleaseWaitTime time.Duration

	Timeouts int64 // waits ended by AcquireTimeout
	Canceled int64 // waits ended by the caller's context
	Rejected int64 // callers that MaxWaiters turned away

	Connects        int64 // attempts that have ended
	ConnectFailures int64
	ConnectTime     time.Duration // of all attempts
	Useless         int64         // connections that were dead at their first use
	Pings           int64
	PingFailures    int64
	PingTime        time.Duration // of all pings

	Hijacked int64
	Closed   Closes
}

// Closes counts closed connections by reason.
type Closes struct {
	Bad      int64 // discarded by the holder, a hook, ResetSession or a check
	Invalid  int64 // no longer valid at release, says its driver.Validator
	Idle     int64 // MaxIdle or MaxIdleTime
	Lifetime int64
	Uses     int64
	Reset    int64 // Reset or Resize
	Shutdown int64 // Close or Shutdown
}

// counters is the part of Stats that is counted. Guarded by Pool.mu. The number of
// leases is not counted but computed from the generations of the slots, which
// costs the fast path nothing.
type counters struct {
	opened   uint64 // connections published; each takes one generation
	unserved uint64 // leases that no caller got

	waits, releaseWaits, timeouts, canceled, rejected int64
	waited, releaseWaited                             time.Duration

	connects, connectFailures, useless int64
	connecting                         time.Duration
	pings, pingFailures                int64
	pinging                            time.Duration

	hijacked int64
	closes   Closes
}

// Stats returns the state of the pool and its counters. It looks at every slot.
func (p *Pool[C]) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.total
	s := Stats{
		Gauges: p.gaugesLocked(),
		Waits:  t.waits, WaitTime: t.waited, ReleaseWaits: t.releaseWaits, ReleaseWaitTime: t.releaseWaited, Timeouts: t.timeouts, Canceled: t.canceled, Rejected: t.rejected,
		Connects: t.connects, ConnectFailures: t.connectFailures, ConnectTime: t.connecting, Useless: t.useless,
		Pings: t.pings, PingFailures: t.pingFailures, PingTime: t.pinging,
		Hijacked: t.hijacked, Closed: t.closes,
	}
	unused, leases := p.pinging, uint64(0)
	for _, slot := range *p.slots.Load() {
		w := slot.load()
		leases += w.gen()
		if w.phase() == idle {
			unused++
		}
	}
	s.setIdle(unused)
	s.Acquires = int64(leases - t.opened - t.unserved)
	return s
}

// gaugesLocked returns the gauges without counting slots: until setIdle is called,
// all open connections count as leased.
func (p *Pool[C]) gaugesLocked() Gauges {
	open := p.openLocked()
	return Gauges{
		MaxOpen: p.max, Limit: p.outage.atMost(p.max), Open: open, Leased: open, Connecting: len(p.attempts), Closing: p.closing, Waiting: p.queue.len,
	}
}

// setIdle sets how many of the open connections are idle; the others are leased.
func (g *Gauges) setIdle(n int) {
	g.Idle = min(n, g.Open)
	g.Leased = g.Open - g.Idle
}

// count returns the number of slots in the phase ph.
func (p *Pool[C]) count(ph phase) (n int) {
	for _, s := range *p.slots.Load() {
		if s.load().phase() == ph {
			n++
		}
	}
	return n
}

// countIdle returns the number of idle slots, by the list. If the caller does not
// hold mu, it may miss some that became idle a moment ago.
func (p *Pool[C]) countIdle() (n int) {
	slots := *p.slots.Load()
	for i := p.list.next(0); i >= 0 && i < len(slots); i = p.list.next(i + 1) {
		if slots[i].load().phase() == idle {
			n++
		}
	}
	return n
}
