package pool

import (
	"reflect"
	"time"
)

// Gauges is the state of a pool at one moment.
type Gauges struct {
	MaxOpen    int `json:"max_open"`   // Config.MaxOpen, or the last Resize
	Limit      int `json:"limit"`      // MaxOpen, or less while the server is full (driver.Full)
	Open       int `json:"open"`       // connections: Idle + Leased
	Idle       int `json:"idle"`       // connections that are unused, or being pinged
	Leased     int `json:"leased"`     // connections in use, until Release returns
	Connecting int `json:"connecting"` // Connects in progress
	Gated      int `json:"gated"`      // attempts that wait at the Gate before they connect
	Closing    int `json:"closing"`    // Closes in progress
	Waiting    int `json:"waiting"`    // callers in the queue
}

// Stats is the state of a pool and its counters.
type Stats struct {
	Gauges

	// Counters since the pool was opened.
	Acquires int64         `json:"acquires"`     // leases given to callers
	Waits    int64         `json:"waits"`        // callers that had to wait in the queue
	WaitTime time.Duration `json:"wait_time_ns"` // total of all these waits, served or not

	// ReleaseWaits is the part of Waits that only a release could serve, as far as the
	// pool knew when the wait began. If it is large, MaxOpen or Limit is too small.
	// The other callers waited for a Connect or a Ping.
	ReleaseWaits    int64         `json:"release_waits"`
	ReleaseWaitTime time.Duration `json:"release_wait_time_ns"` // total

	Timeouts int64 `json:"timeouts"` // waits ended by AcquireTimeout
	Canceled int64 `json:"canceled"` // waits ended by the caller's context
	Rejected int64 `json:"rejected"` // callers that MaxWaiters turned away
	Failed   int64 `json:"failed"`   // callers that got a connect error

	Connects        int64         `json:"connects"`         // attempts that have ended
	ConnectFailures int64         `json:"connect_failures"` // attempts that failed
	ConnectTime     time.Duration `json:"connect_time_ns"`  // total of all attempts
	Useless         int64         `json:"useless"`          // connections that were dead at their first use
	Pings           int64         `json:"pings"`            // checks that have ended
	PingFailures    int64         `json:"ping_failures"`    // checks that failed
	PingTime        time.Duration `json:"ping_time_ns"`     // total of all checks

	Hijacked int64  `json:"hijacked"` // connections handed over by Hijack
	Closed   Closes `json:"closed"`   // connections closed by the pool
}

// Closes counts closed connections by reason.
type Closes struct {
	Bad      int64 `json:"bad"`      // discarded by the holder, a hook, ResetSession or a check
	Invalid  int64 `json:"invalid"`  // no longer valid at release (driver.Validator)
	Idle     int64 `json:"idle"`     // MaxIdle or MaxIdleTime
	Lifetime int64 `json:"lifetime"` // MaxLifetime
	Uses     int64 `json:"uses"`     // MaxUses
	Reset    int64 `json:"reset"`    // Reset, ResetIf or Resize
	Yielded  int64 `json:"yielded"`  // permit recalled by the Gate, or lost
	Shutdown int64 `json:"shutdown"` // Close or Shutdown
}

// counters has the counters of Stats. Guarded by Pool.mu. It does not count leases:
// their number is computed from the generations of the slots, which costs the fast path
// nothing.
type counters struct {
	opened   uint64 // connections put into slots; each takes one generation
	unserved uint64 // leases that no caller got

	acquires int64 // the last Stats.Acquires, which must not decrease

	waiters, releaseWaits, timeouts, canceled, rejected, failed int64
	releaseWaited                                               time.Duration
	waits                                                       Histogram // of waiters that have left the queue

	connects                 Histogram
	connectFailures, useless int64
	pings, pingFailures      int64
	pinging                  time.Duration

	hijacked int64
	closes   Closes
}

// Stats returns the state of the pool and its counters. It does no I/O, but takes time
// in proportion to the number of connections.
func (p *Pool[C]) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.statsLocked(nil)
}

// statsLocked is Stats under mu. If look is not nil, statsLocked calls it with each slot
// and the state in which the slot is counted.
func (p *Pool[C]) statsLocked(look func(s *slot[C], w word)) Stats {
	t := &p.total
	s := Stats{
		Gauges: p.gaugesLocked(),
		Waits:  t.waiters, WaitTime: t.waits.Sum, ReleaseWaits: t.releaseWaits, ReleaseWaitTime: t.releaseWaited, Timeouts: t.timeouts, Canceled: t.canceled, Rejected: t.rejected, Failed: t.failed,
		Connects: t.connects.Count(), ConnectFailures: t.connectFailures, ConnectTime: t.connects.Sum, Useless: t.useless,
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
		if look != nil {
			look(slot, w)
		}
	}
	s.setIdle(unused)
	t.acquires = max(t.acquires, int64(leases-t.opened-t.unserved)) // max, because leases being prepared may turn out to be unserved
	s.Acquires = t.acquires
	return s
}

// gaugesLocked returns the gauges without counting slots: until setIdle is called,
// all open connections count as leased.
func (p *Pool[C]) gaugesLocked() Gauges {
	open, gated := p.openLocked(), p.gatedLocked()
	return Gauges{
		MaxOpen: p.max, Limit: p.outage.atMost(p.max), Open: open, Leased: open, Connecting: len(p.attempts) - gated, Gated: gated, Closing: p.closing, Waiting: p.queue.len,
	}
}

// setIdle sets how many of the open connections are idle; the rest are leased.
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

// countIdle returns the number of idle slots in the list. Without mu, it may miss
// slots that became idle a moment ago.
func (p *Pool[C]) countIdle() (n int) {
	slots := *p.slots.Load()
	for i := p.list.next(0); i >= 0 && i < len(slots); i = p.list.next(i + 1) {
		if slots[i].load().phase() == idle {
			n++
		}
	}
	return n
}

// Add returns the sum of s and t, for statistics of several pools. If the MaxOpen of one
// means no limit, so does the sum.
func (s Stats) Add(t Stats) Stats {
	sum := reflect.ValueOf(&s).Elem()
	add(sum, reflect.ValueOf(t))
	return s
}

// add adds the fields of from to the fields of sum. All are integers or structs of
// integers.
func add(sum, from reflect.Value) {
	for i := range sum.NumField() {
		if f := sum.Field(i); f.Kind() == reflect.Struct {
			add(f, from.Field(i))
		} else {
			n := f.Int() + from.Field(i).Int()
			if n < 0 || f.OverflowInt(n) { // for example, a MaxOpen of math.MaxInt
				n = 1<<(f.Type().Bits()-1) - 1
			}
			f.SetInt(n)
		}
	}
}
