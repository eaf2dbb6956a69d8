package pool

import (
	"slices"
	"sync/atomic"
	"time"
)

// Snapshot describes a pool at one moment. It is a copy, and has no secret of the DSN.
type Snapshot struct {
	Pool   string    `json:"pool"`   // Config.Name
	ID     uint64    `json:"id"`     // of the pool, unique in the process: two pools may have one name
	At     time.Time `json:"at"`     // of the snapshot
	Opened time.Time `json:"opened"` // when the pool was opened

	State State  `json:"state"`
	Why   string `json:"why"` // the reasons for State in words; empty if Healthy
	Stats Stats  `json:"stats"`

	MinIdle int `json:"min_idle"` // the setting
	MaxIdle int `json:"max_idle"` // how many idle connections are kept; negative means no limit

	OldestWait  time.Duration `json:"oldest_wait_ns"`         // of the caller that has waited longest; zero if nobody waits
	LastError   string        `json:"last_error"`             // of the last Connect that failed; empty if none has
	LastErrorAt time.Time     `json:"last_error_at,omitzero"` // zero if none has
	NextConnect time.Duration `json:"next_connect_ns"`        // until the backoff allows another Connect; zero means now
	Gate        string        `json:"gate"`                   // how the Gate describes its state; empty without one

	WaitTimes    Histogram `json:"wait_times"`    // of the Stats.Waits that have ended
	ConnectTimes Histogram `json:"connect_times"` // of Stats.Connects

	Conns  []ConnInfo  `json:"conns"`  // in a stable order while connections come and go
	Errors []ErrorInfo `json:"errors"` // the last 10, newest first

	Budget *BudgetStats `json:"budget,omitempty"` // if the Gate is a BudgetGate

	Servers []ServerInfo `json:"servers,omitempty"` // if the DSN has several, or the connector is an endpoints.Connector
}

// ConnInfo is one connection, or an attempt to make one.
type ConnInfo struct {
	State   string        `json:"state"`   // gated, connecting, idle, leased, checking or closing
	Age     time.Duration `json:"age_ns"`  // since Connect returned; zero if it has not yet
	For     time.Duration `json:"for_ns"`  // how long it has been idle or leased, accurate to a second, or connecting; else zero
	Uses    int           `json:"uses"`    // leases so far
	Peer    string        `json:"peer"`    // its remote address, if it reports one
	Suspect bool          `json:"suspect"` // leased for LeakAfter or longer
}

// ErrorInfo is something that went wrong.
type ErrorInfo struct {
	At    time.Time `json:"at"`
	Event string    `json:"event"` // connect, ping, or use (a bad connection was discarded)
	Text  string    `json:"text"`  // quoted, and truncated if it is long
}

// lastID is the ID of the last pool opened.
var lastID atomic.Uint64

// Snapshot returns a description of the pool. It looks at every slot.
func (p *Pool[C]) Snapshot() Snapshot {
	p.mu.Lock()
	now := p.now()
	s := Snapshot{
		Pool: p.cfg.Name, ID: p.id, At: p.start.Add(now), Opened: p.start, MinIdle: p.cfg.MinIdle, MaxIdle: p.maxIdle,
		NextConnect: max(p.outage.startsAt(p.occupiedLocked())-now, 0),
		LastError:   p.journal.connect.Text, LastErrorAt: p.journal.connect.At,
		WaitTimes: p.total.waits, ConnectTimes: p.total.connects,
		Conns: make([]ConnInfo, 0, p.occupiedLocked()), Errors: append([]ErrorInfo{}, p.journal.errors...),
	}
	s.Stats = p.statsLocked(func(slot *slot[C], w word) {
		if w.phase() != free {
			s.Conns = append(s.Conns, p.connLocked(slot, w, now))
		}
	})
	if w := p.queue.head; w != nil {
		s.OldestWait = now - w.began
	}
	closed, o := p.closed, p.outage
	p.mu.Unlock()
	slices.Reverse(s.Errors)
	s.Gate, s.Budget, s.Servers = p.cfg.gateText(), p.cfg.budgetStats(), p.serverInfos()
	s.State, s.Why = s.judge(&p.cfg, closed, &o, now-o.errSince)
	return s
}

// connLocked describes, at the time now, the connection of s, which is in the state w.
func (p *Pool[C]) connLocked(s *slot[C], w word, now time.Duration) ConnInfo {
	if w.phase() == connecting {
		return p.attemptLocked(s, now)
	}
	c := ConnInfo{State: w.phase().String()}
	if s.birth != nil { // nil if Connect failed and left a connection to close
		c.Age, c.Uses, c.Peer = now-s.birth.at, s.uses(w), s.birth.peer
	}
	switch w.phase() {
	case held:
		c.State = "checking"
	case idle:
		if at, ok := s.idleSeen.in(w.gen()); ok {
			c.For = now - at
		}
	case leased:
		c.For = s.leasedFor(w, now)
		c.Suspect = p.suspicious(c.For)
	}
	return c
}

// attemptLocked describes, at the time now, the attempt for s.
func (p *Pool[C]) attemptLocked(s *slot[C], now time.Duration) ConnInfo {
	i := slices.IndexFunc(p.attempts, func(a *attempt[C]) bool { return a.slot == s })
	if a := p.attempts[i]; !a.gated {
		return ConnInfo{State: connecting.String(), For: now - a.began}
	}
	return ConnInfo{State: "gated"}
}
