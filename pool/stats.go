package pool

import "time"

// Gauges is how a pool stands at one moment.
type Gauges struct {
	MaxOpen    int // the setting, or what Resize made of it
	Limit      int // the number that counts: MaxOpen, or less while the server is full
	Open       int // Idle + Leased
	Idle       int // unused; connections being pinged count as well
	Leased     int // in use, until Release has returned
	Connecting int
	Closing    int
	Waiting    int // callers in the queue
}

// Stats is how a pool stands, and what it has done so far.
type Stats struct {
	Gauges

	// Counters: since the pool was opened.
	Acquires int64         // leases given
	Waits    int64         // callers who had to join the queue
	WaitTime time.Duration // of all who joined the queue, served or not
	Timeouts int64         // waits ended by AcquireTimeout
	Canceled int64         // waits ended by the caller's context
	Rejected int64         // callers turned away by MaxWaiters

	Connects        int64 // attempts that have ended
	ConnectFailures int64
	ConnectTime     time.Duration // of all attempts
	Pings           int64
	PingFailures    int64
	PingTime        time.Duration // of all pings

	Hijacked int64
	Closed   Closes
}

// Closes counts closed connections by reason.
type Closes struct {
	Bad      int64 // discarded by the holder, a hook, ResetSession or a check
	Invalid  int64 // driver.Validator said no at release
	Idle     int64 // MaxIdle or MaxIdleTime
	Lifetime int64
	Uses     int64
	Reset    int64 // Reset or Resize
	Shutdown int64 // Close or Shutdown
}

// counters is the part of Stats that is counted. Guarded by Pool.mu. Leases are
// not counted but told from the generations of the slots, which costs the fast
// path nothing.
type counters struct {
	opened   uint64 // connections published; each takes one generation
	unserved uint64 // leases that reached no caller

	waits, timeouts, canceled, rejected int64
	waited                              time.Duration

	connects, connectFailures int64
	connecting                time.Duration
	pings, pingFailures       int64
	pinging                   time.Duration

	hijacked int64
	closes   Closes
}

// Stats returns how the pool stands. It counts the connections one by one.
func (p *Pool[C]) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.total
	s := Stats{
		Gauges: p.gaugesLocked(),
		Waits:  t.waits, WaitTime: t.waited, Timeouts: t.timeouts, Canceled: t.canceled, Rejected: t.rejected,
		Connects: t.connects, ConnectFailures: t.connectFailures, ConnectTime: t.connecting,
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

// gaugesLocked returns the gauges that cost no count of slots, with all
// connections leased until setIdle is called.
func (p *Pool[C]) gaugesLocked() Gauges {
	open := p.openLocked()
	return Gauges{
		MaxOpen: p.max, Limit: p.max, Open: open, Leased: open, Connecting: len(p.attempts), Closing: p.closing, Waiting: p.queue.len,
	}
}

// setIdle says how many of the open connections are idle.
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

// idleLocked returns the number of idle slots. All of them are listed.
func (p *Pool[C]) idleLocked() (n int) {
	slots := *p.slots.Load()
	for i := p.list.next(0); i >= 0; i = p.list.next(i + 1) {
		if slots[i].load().phase() == idle {
			n++
		}
	}
	return n
}
