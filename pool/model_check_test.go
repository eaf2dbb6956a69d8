package pool_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
)

// Check checks everything that must be true whenever all is quiet.
func (m *machine) Check(t *rapid.T) {
	synctest.Wait()
	m.settle(t)
	m.checkServer(t)
	m.checkStats(t)
	m.checkWaiters(t)
	require.NoError(t, m.pool.CheckSlots())
	m.watch.next()
}

// settle removes the callers that have returned from the model's queue, and checks
// their results.
func (m *machine) settle(t *rapid.T) {
	overtaken := m.callers[:0:0]
	m.callers = slices.DeleteFunc(m.callers, func(q *queued) bool {
		if !q.returned() {
			overtaken = append(overtaken, q)
			return false
		}
		if q.err != nil {
			m.checkError(t, q)
			return true
		}
		m.hold(q.lease)
		if len(overtaken) > 0 && overtaken[0].tick < q.tick && !m.watch.spoiled {
			t.Fatalf("a caller was served before an earlier one")
		}
		return true
	})
}

// checkError checks that the error of a caller is justified.
func (m *machine) checkError(t *rapid.T, q *queued) {
	var e *pool.AcquireError
	require.ErrorAs(t, q.err, &e)
	waited := time.Since(q.since)
	t.Logf("Acquire returned %v", q.err)
	switch cause := e.Cause; {
	case errors.Is(cause, pool.ErrClosed):
		assert.True(t, m.closed, "ErrClosed from an open pool")
	case errors.Is(cause, context.Canceled):
		assert.True(t, q.canceled, "Canceled, but nobody canceled")
	case errors.Is(cause, pool.ErrTimeout):
		assert.True(t, m.cfg.AcquireTimeout > 0 && waited >= m.cfg.AcquireTimeout, "ErrTimeout after %v", waited)
		m.timeouts++
	case errors.Is(cause, pool.ErrTooManyWaiters):
		assert.True(t, m.cfg.MaxWaiters > 0, "ErrTooManyWaiters without a limit")
		m.rejected++
	case errors.Is(cause, pool.ErrSuspended):
		assert.True(t, m.cfg.FailFast && m.watch.limit == 0, "ErrSuspended at MaxOpen %d", m.watch.limit)
	case e.Connect == nil && (errors.Is(cause, errRefused) || errors.Is(cause, driver.ErrBadConn) && m.cfg.OnAcquire != nil):
		// returned by the hook
	default:
		useless := m.pool.Stats().Useless > 1 && strings.Contains(cause.Error(), "dead at its first use")
		assert.True(t, useless || m.watch.explains(cause), "not the error of any Connect: %v", cause)
		m.failed++
	}
}

// checkServer compares the pool with the server's counts.
func (m *machine) checkServer(t *rapid.T) {
	assert.Empty(t, m.watch.exceeded, "a Connect began with MaxOpen connections open")
	assert.LessOrEqual(t, m.fake.Counts().Peak, m.watch.largest)
	assert.Empty(t, m.fake.Violations())
	holders := map[int]bool{}
	for _, l := range m.leases {
		c := fakeOf(l.Conn())
		assert.False(t, holders[c.ID], "connection %d has two holders", c.ID)
		assert.False(t, c.IsClosed(), "connection %d was closed while in use", c.ID)
		holders[c.ID] = true
	}
}

// checkStats compares Stats with the model.
func (m *machine) checkStats(t *rapid.T) {
	s, n := m.pool.Stats(), m.fake.Counts()
	closes := s.Closed
	s.WaitTime, s.ReleaseWaitTime, s.ConnectTime, s.PingTime = 0, 0, 0, 0
	assert.Equal(t, pool.Stats{
		Gauges: pool.Gauges{
			MaxOpen: m.watch.limit, Limit: min(s.Limit, m.watch.limit), Open: n.Open - s.Closing, Idle: n.Open - s.Closing - len(m.leases), Leased: len(m.leases),
			Connecting: n.Connecting, Closing: s.Closing, Waiting: len(m.callers),
		},
		Acquires: m.acquired, Timeouts: m.timeouts, Rejected: m.rejected, Failed: m.failed,
		Connects: int64(n.Connects - n.Connecting), Pings: int64(n.Pings - m.watch.pinging), Hijacked: m.hijacked,
		Closed: closes,
		// The model does not distinguish these.
		Canceled: s.Canceled, Waits: s.Waits, ReleaseWaits: s.ReleaseWaits, Useless: s.Useless, ConnectFailures: s.ConnectFailures, PingFailures: s.PingFailures,
	}, s)
	sum := closes.Bad + closes.Invalid + closes.Idle + closes.Lifetime + closes.Uses + closes.Reset + closes.Shutdown
	assert.Equal(t, int64(n.Closes), sum+m.hijacked, "closes by reason and hijacks, compared with the closes seen")
	if s.Useless > m.useless && s.Useless > 1 {
		m.watch.doubt()
	}
	m.useless = s.Useless
	if m.closed {
		assert.Zero(t, s.Idle+s.Connecting+s.Waiting, "left after Close: %+v", s)
	}
}

// checkWaiters checks that every waiter has something to wait for.
func (m *machine) checkWaiters(t *rapid.T) {
	waiting := len(m.callers)
	if waiting == 0 {
		return
	}
	for _, q := range m.callers {
		assert.False(t, q.canceled, "a caller still waits after the end of its context")
		assert.True(t, m.cfg.AcquireTimeout < 0 || time.Since(q.since) < m.cfg.AcquireTimeout, "a caller still waits after AcquireTimeout")
	}
	m.checkFailuresReported(t)
	s := m.pool.Stats()
	coming := m.watch.pinging + m.watch.connecting()
	if idle := s.Idle - m.watch.pinging; idle > 0 && waiting > coming {
		t.Logf("%d waiters: %+v", waiting, s)
		t.Fatalf("waiters sleep although connections are idle")
	}
	occupied := s.Open + s.Connecting + s.Closing
	if room := occupied < s.MaxOpen && s.Connecting < m.maxConnecting(); room && waiting > coming && (coming == 0 || !m.watch.full) && !m.watch.pausing() {
		t.Logf("%d waiters: %+v", waiting, s)
		t.Fatalf("waiters sleep although there is room for a Connect")
	}
}

// mayStillServe reports whether a connection of the pool may still serve a waiter: one is
// being pinged, or leased for less than 5 seconds (3, plus up to 2 for a late sweep).
func (m *machine) mayStillServe() bool {
	if m.watch.pinging > 0 || m.cfg.FailFast {
		return m.watch.pinging > 0
	}
	return slices.ContainsFunc(m.leases, func(l pool.Lease[user]) bool { return time.Since(m.since[l]) < 5*time.Second })
}

// checkFailuresReported checks that a Connect that failed since the last success has
// failed the callers that joined before it began, unless a connection of the pool may
// still serve them.
func (m *machine) checkFailuresReported(t *rapid.T) {
	if m.watch.spoiled {
		for _, q := range m.callers {
			q.joined = m.watch.tick + 1 // it may have joined again, after a dead connection
		}
	}
	if m.watch.worked || m.watch.dubious || m.watch.full || m.mayStillServe() {
		return
	}
	for _, a := range m.watch.failedSince() {
		for _, q := range m.callers {
			assert.Greater(t, q.joined, a.tick, "a caller still waits after a Connect failed")
		}
	}
}

func (m *machine) maxConnecting() int {
	if m.cfg.MaxConnecting == 0 {
		return 8
	}
	return m.cfg.MaxConnecting
}

// finish ends a run. With a healthy server and no leases, it checks that no slot is lost,
// and that Close leaves nothing behind.
func (m *machine) finish(t *rapid.T) {
	m.heal()
	for _, q := range m.callers {
		q.canceled = true
		q.cancel()
	}
	m.Check(t)
	m.releaseAll()
	m.Check(t)
	if !m.closed {
		m.checkSlots(t)
	}
	m.closed = true
	require.NoError(t, m.pool.Close())
	m.Check(t)
	assert.Zero(t, m.fake.Counts().Open, "open after Close and the end of all leases")
}

func (m *machine) releaseAll() {
	for _, l := range m.leases {
		l.Release()
	}
	m.leases = nil
}

// checkSlots checks that MaxOpen Acquires succeed, that one more must wait, and that
// MinIdle connections are open afterward.
func (m *machine) checkSlots(t *rapid.T) {
	m.resize(t, m.cfg.MaxOpen)
	if m.killed || m.useless > 0 { // connections that died, or that the hook rejected, look useless
		m.Reset(t)
	}
	advance(permanent + throttle)
	for range m.cfg.MaxOpen + 1 {
		m.Check(t)
		m.Acquire(t)
	}
	m.Check(t)
	if m.watch.dubious { // then the pool connects one at a time
		advance(1500 * time.Millisecond)
		m.Check(t)
	}
	require.Len(t, m.leases, m.cfg.MaxOpen, "a slot is lost: %+v", m.pool.Stats())
	require.Len(t, m.callers, 1, "there is one slot too many: %+v", m.pool.Stats())
	m.callers[0].canceled = true
	m.callers[0].cancel()
	m.Check(t)
	m.releaseAll()
	advance(time.Second)
	if m.watch.dubious {
		advance(time.Minute)
	}
	m.Check(t)
	if !m.watch.permanent { // otherwise nothing has succeeded since, and the pool waits for a caller
		assert.GreaterOrEqual(t, m.pool.Stats().Idle, m.cfg.MinIdle, "MinIdle connections are missing")
	}
}
