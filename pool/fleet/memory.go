package fleet

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// Memory is a Store in this process, for tests, and for programs that may get a real
// store later. The zero Memory is empty and ready to use.
type Memory struct {
	mu      sync.Mutex // guards the fields below
	writes  int
	budgets map[string]*memoryLedger
}

type memoryLedger struct {
	version  string
	learning time.Time      // the ledger is Learning until then
	rows     map[string]Row // by owner; Left is in until
	until    map[string]time.Time
}

// Lose forgets everything, like a store that is flushed.
func (m *Memory) Lose() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.budgets = nil
}

// Read implements [Store].
func (m *Memory) Read(ctx context.Context, budget string) (Ledger, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.budgets[budget]
	if b == nil {
		return Ledger{Lost: true}, ctx.Err()
	}
	l := Ledger{Version: b.version, Learning: time.Until(b.learning) > 0}
	for owner, r := range b.rows {
		if r.Left = time.Until(b.until[owner]); r.Left > 0 {
			l.Rows = append(l.Rows, r)
		}
	}
	return l, ctx.Err()
}

// Write implements [Store].
func (m *Memory) Write(ctx context.Context, budget, version string, e Entry) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.budgets[budget]
	if b == nil {
		b = &memoryLedger{rows: map[string]Row{}, until: map[string]time.Time{}}
	}
	own := ""
	if time.Until(b.until[e.Owner]) > 0 {
		own = b.rows[e.Owner].Version
	}
	guarded := e.Grows || e.Learn > 0 || version == "" || b.version == ""
	if err := ctx.Err(); err != nil || e.Version != own || guarded && version != b.version || !guarded && e.May > 0 && own == "" {
		return false, err
	}
	if m.budgets == nil {
		m.budgets = map[string]*memoryLedger{}
	}
	m.budgets[budget] = b
	m.writes++
	e.Version = strconv.Itoa(m.writes)
	if guarded {
		b.version = e.Version
	}
	if e.Learn > 0 {
		b.learning = time.Now().Add(e.Learn)
	}
	b.rows[e.Owner], b.until[e.Owner] = e.Row, time.Now().Add(e.Left)
	for owner, until := range b.until {
		if time.Until(until) <= 0 {
			delete(b.rows, owner)
			delete(b.until, owner)
		}
	}
	return true, nil
}
