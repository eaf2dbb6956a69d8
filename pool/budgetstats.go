package pool

import "time"

// BudgetGate is a Gate for a budget: one limit on the connections of several processes.
// The Snapshot of a pool with a BudgetGate includes its Stats. The gates of package
// pool/fleet are BudgetGates.
type BudgetGate interface {
	Gate

	// Stats returns what this process knows about the budget. It must not block.
	Stats() BudgetStats
}

// BudgetStats is what a process knows about a budget that it shares with others. It is a
// copy, and contains no secrets.
type BudgetStats struct {
	Budget string `json:"budget"` // its name in the store; empty means no budget
	Owner  string `json:"owner"`  // the name of this process in Owners
	State  string `json:"state"`  // of the grant: none, held, learning, static or over; see package pool/fleet
	Strict bool   `json:"strict"` // whether connections in use are closed when the grant is over; otherwise they stay until they are released

	Limit   int `json:"limit"`   // connections of all processes together
	Granted int `json:"granted"` // connections that this process may have
	Target  int `json:"target"`  // connections that it should come down to, because others need them; at most Granted
	Used    int `json:"used"`    // permits in use, including those of connections closed a moment ago
	Waiting int `json:"waiting"` // Connects waiting for a permit

	Renewed time.Duration `json:"renewed_ns"` // since the last renewal was sent; zero if none was
	Left    time.Duration `json:"left_ns"`    // until the grant is over; zero means no grant

	Renewals  int64 `json:"renewals"`  // calls to the store that succeeded
	Failures  int64 `json:"failures"`  // calls to the store that failed
	Conflicts int64 `json:"conflicts"` // calls repeated because another process wrote at the same time
	Ended     int64 `json:"ended"`     // grants that ended before the store renewed them

	Error string `json:"error"` // of the last call to the store, quoted and truncated; empty if it succeeded

	Owners []BudgetOwner `json:"owners"` // as of the last renewal, sorted by name
}

// BudgetOwner is a process that shares a budget.
type BudgetOwner struct {
	Owner   string        `json:"owner"`   // its name
	Granted int           `json:"granted"` // connections that it may have
	Held    int           `json:"held"`    // connections that it has or is about to open
	Want    int           `json:"want"`    // connections that it wants
	Share   int           `json:"share"`   // its fair share of the limit
	Left    time.Duration `json:"left_ns"` // as of the last renewal: until the store forgets it, unless it renews
}

// budgetStats returns the Stats of the gate's budget, or nil if it has none. It must not
// be called under mu. If Stats panics, it returns nil.
func (c *Config) budgetStats() (stats *BudgetStats) {
	defer func() {
		if recover() != nil {
			stats = nil
		}
	}()
	if gate, ok := c.Gate.(BudgetGate); ok {
		if s := gate.Stats(); s.Budget != "" {
			return &s
		}
	}
	return nil
}
