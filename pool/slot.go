package pool

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// phase is what a slot is doing. docs/design.md has the diagram.
type phase uint8

const (
	free       phase = iota // no connection; the slot is in Pool.free
	connecting              // Connect is in progress
	idle                    // open and unused
	leased                  // open and in use
	held                    // open; it is being pinged, or on its way back to the pool
	closing                 // Close is in progress
	phases     = iota
)

func (p phase) String() string {
	return [phases]string{"free", "connecting", "idle", "leased", "held", "closing"}[p]
}

// moves has, for each phase, a bit for each phase that may follow it.
var moves = [phases]uint8{
	free:       1 << connecting,
	connecting: 1<<held | 1<<closing | 1<<free,
	idle:       1<<leased | 1<<held,
	leased:     1<<idle | 1<<held | 1<<closing,
	held:       1<<idle | 1<<leased | 1<<closing | 1<<free,
	closing:    1 << free,
}

// word is the whole state of a slot: its generation, its flags and its phase. The
// generation grows with each connection and with each lease, so the word of an
// ended lease never comes back.
//
//	63 … 11     10      9       8    7      6       5          4       3      2 1 0
//	generation  parked  listed  cut  pings  resets  validates  retire  stale  phase
type word uint64

const (
	phaseBits word = 7
	stale     word = 1 << 3  // idle, and needs a check before use
	retire    word = 1 << 4  // close it when its lease or its check ends
	validates word = 1 << 5  // the connection is a driver.Validator
	resets    word = 1 << 6  // the connection is a driver.SessionResetter
	pings     word = 1 << 7  // the connection is a driver.Pinger
	cut       word = 1 << 8  // Shutdown or a StrictGate closed it during the lease, which has not ended
	listed    word = 1 << 9  // it is in Pool.list
	parked    word = 1 << 10 // leased for so long that waiters no longer count on it
	oneGen    word = 1 << 11

	// loose are the flags that may change during a lease.
	loose = retire | listed | parked
)

func (w word) phase() phase    { return phase(w & phaseBits) }
func (w word) gen() uint64     { return uint64(w / oneGen) }
func (w word) has(f word) bool { return w&f != 0 }

// to returns w in the phase ph, without stale and parked, in the same generation.
func (w word) to(ph phase) word { return w&^(phaseBits|stale|parked) | word(ph) }

// next is like to, but in the next generation.
func (w word) next(ph phase) word { return w.to(ph) + oneGen }

// is reports whether the phase of w is ph and neither stale nor retire is set.
func (w word) is(ph phase) bool { return w&(phaseBits|stale|retire) == word(ph) }

// isLease reports whether w is the state of the lease that began with l.
func (w word) isLease(l word) bool { return w&^loose == l&^loose }

// slot has room for one connection. Slots are made as the pool grows, and live as long
// as the pool.
type slot[C any] struct {
	state atomic.Uint64 // a word, which only move changes

	// These are set while connecting and cleared while closing. In between, they belong
	// to the goroutine that moved the slot to leased or held.
	conn   C
	raw    driver.Conn
	born   uint64 // generation of the connection before its first lease
	birth  *birth
	rested bool // the connection was idle before its first lease

	why   cause // why it was retired, or why it expires if not by MaxLifetime; guarded by Pool.mu
	index int32 // in Pool.slots, Pool.list and keeper.seen

	pool      *Pool[C]
	expires   atomic.Int64 // when the connection's lifetime ends, on the pool's clock; 0 = never
	checkedAt atomic.Int64 // when a check or Connect last succeeded, on the pool's clock
	pingAt    atomic.Int64 // when the next keepalive is due, on the pool's clock

	idleSeen, leasedSeen sighting // when the keeper first saw it idle, and leased

	watch atomic.Pointer[watch] // of the lease, or nil; set by the holder, taken by the goroutine that ends the lease

	pass *pass // the connection's permit, or nil; guarded by Pool.mu

	// If C is an interface, a slot is 128 bytes, so that neighbors share no cache line.
}

// uses returns how many leases the connection of s has had up to the state w.
func (s *slot[C]) uses(w word) int { return int(w.gen() - s.born) }

// birth is how a connection was made. It never changes.
type birth struct {
	at         time.Duration // on the pool's clock, when Connect returned
	seq, order uint64        // of the attempt
	peer       string        // same as ConnInfo.Peer
}

// load returns the state of s.
func (s *slot[C]) load() word { return word(s.state.Load()) }

// move changes the state of s from the word from to the word to. It reports false if the
// state is no longer from. Nothing else changes a state.
func (s *slot[C]) move(from, to word) bool {
	if moves[from.phase()]>>to.phase()&1 == 0 && from.phase() != to.phase() {
		illegal(from, to)
	}
	return s.state.CompareAndSwap(uint64(from), uint64(to))
}

//go:noinline
func illegal(from, to word) {
	panic(fmt.Sprintf("pool: bug: a slot can't move from %v to %v", from.phase(), to.phase()))
}

// settle moves s, which the caller owns, to the phase ph, even if another goroutine sets
// a flag at the same time.
func (s *slot[C]) settle(ph phase) {
	for {
		w := s.load()
		if s.move(w, w.to(ph)) {
			return
		}
	}
}

// flag sets the flag f. It reports false if s is no longer in the phase and the
// generation of w.
func (s *slot[C]) flag(w, f word) bool {
	for {
		now := s.load()
		if now.gen() != w.gen() || now.phase() != w.phase() {
			return false
		}
		if s.move(now, now|f) {
			return true
		}
	}
}

// claim leases the connection if it is idle and needs no check. It returns the
// word of the new lease.
func (s *slot[C]) claim() (word, bool) {
	w := s.load()
	if !w.is(idle) {
		return 0, false
	}
	to := w.next(leased)
	return to, s.move(w, to)
}

// grab ends the lease with the word l. The slot is then held and belongs to the
// caller. grab returns the new word, or false if the lease has already ended.
func (s *slot[C]) grab(l word) (word, bool) {
	for {
		now := s.load()
		if !now.isLease(l) {
			return 0, false
		}
		if s.move(now, now.to(held)) {
			return now.to(held), true
		}
	}
}

// install puts a new connection into s, a slot that is connecting. It returns a word
// with the flags of the connection, for the move that publishes it.
func (s *slot[C]) install(raw driver.Conn, c C) word {
	s.raw, s.conn = raw, c
	w := s.load() &^ (retire | validates | resets | pings)
	if _, ok := raw.(driver.Validator); ok {
		w |= validates
	}
	if _, ok := raw.(driver.SessionResetter); ok {
		w |= resets
	}
	if _, ok := raw.(driver.Pinger); ok {
		w |= pings
	}
	s.born = w.gen() + 1
	return w
}

// takePass removes the permit of s and returns it.
func (s *slot[C]) takePass() *pass {
	t := s.pass
	s.pass = nil
	return t
}

// empty removes the connection of s, so that it can be garbage collected.
func (s *slot[C]) empty() {
	var none C
	s.raw, s.conn, s.birth = nil, none, nil
}
