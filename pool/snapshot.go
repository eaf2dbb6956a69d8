package pool

import (
	"slices"
	"sync/atomic"
	"time"
)

// Snapshot describes a pool at one moment. It is a copy, and contains no secret of the
// DSN.
type Snapshot struct {
	Pool   string    `json:"pool"`   // Config.Name
	ID     uint64    `json:"id"`     // of the pool, unique in the process; two pools may have the same name
	At     time.Time `json:"at"`     // when the snapshot was taken
	Opened time.Time `json:"opened"` // when the pool was opened

	State State  `json:"state"`
	Why   string `json:"why"` // the reasons for State in words; empty if Healthy
	Stats Stats  `json:"stats"`

	MinIdle int `json:"min_idle"` // Config.MinIdle
	MaxIdle int `json:"max_idle"` // how many idle connections are kept; negative means no limit

	OldestWait  time.Duration `json:"oldest_wait_ns"`         // how long the oldest caller in the queue has waited; zero if none waits
	LastError   string        `json:"last_error"`             // of the last Connect that failed; empty if none has
	LastErrorAt time.Time     `json:"last_error_at,omitzero"` // when that was; zero if none has failed
	NextConnect time.Duration `json:"next_connect_ns"`        // time until the backoff allows another Connect; zero means now
	Gate        string        `json:"gate"`                   // how the Gate describes its state; empty without a Gate

	WaitTimes    Histogram `json:"wait_times"`    // durations of the Stats.Waits that have ended
	ConnectTimes Histogram `json:"connect_times"` // durations of the Stats.Connects

	Conns  []ConnInfo  `json:"conns"`  // in a stable order while connections come and go
	Errors []ErrorInfo `json:"errors"` // the last 10, newest first

	Budget *BudgetStats `json:"budget,omitempty"` // nil if the Gate is not a BudgetGate

	Servers []ServerInfo `json:"servers,omitempty"` // nil unless the DSN has several servers, or the connector is an endpoints.Connector
}

// ConnInfo is one connection, or an attempt to make one.
type ConnInfo struct {
	State   string        `json:"state"`   // gated, connecting, idle, leased, checking or closing
	Age     time.Duration `json:"age_ns"`  // time since Connect returned; zero if it has not yet
	For     time.Duration `json:"for_ns"`  // how long it has been connecting, or idle or leased (accurate to a second); zero in other states
	Uses    int           `json:"uses"`    // leases so far
	Peer    string        `json:"peer"`    // its remote address; empty if it reports none
	Suspect bool          `json:"suspect"` // leased for LeakAfter or longer
}

// ErrorInfo is an error that the pool has recorded.
type ErrorInfo struct {
	At    time.Time `json:"at"`    // when it was recorded
	Event string    `json:"event"` // connect, ping, or use (a bad connection was discarded)
	Text  string    `json:"text"`  // quoted, and truncated if long
}

// lastID is the ID of the pool opened last.
var lastID atomic.Uint64

// Snapshot returns a description of the pool. It does no I/O, but takes time in
// proportion to the number of connections.
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
	s.State, s.Why = s.assess(&p.cfg, closed, &o, now-o.errSince)
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
