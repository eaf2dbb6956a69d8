package pool

import "time"

// BudgetGate is a Gate for a budget: one limit on the connections of several processes.
// A pool behind one has it in its Snapshot. Those of package pool/fleet are BudgetGates.
type BudgetGate interface {
	Gate

	// Stats returns what this process knows of the budget. It does not block.
	Stats() BudgetStats
}

// BudgetStats is what a process knows of a budget that it shares with others. It is a
// copy, and has no secret.
type BudgetStats struct {
	Budget string `json:"budget"` // its name in the store; empty = no budget
	Owner  string `json:"owner"`  // this process, as one of Owners
	State  string `json:"state"`  // of the grant: none, held, learning, static or over; see package pool/fleet
	Strict bool   `json:"strict"` // connections in use are closed when the grant is over; else they stay until they are released

	Limit   int `json:"limit"`   // of all processes together
	Granted int `json:"granted"` // connections that this process may have
	Target  int `json:"target"`  // how many it should come down to, because others lack them; at most Granted
	Used    int `json:"used"`    // permits that are out; those of connections closed a moment ago count
	Waiting int `json:"waiting"` // Connects that wait

	Renewed time.Duration `json:"renewed_ns"` // since the last renewal was sent; zero if there was none
	Left    time.Duration `json:"left_ns"`    // until the grant is over; zero = no grant

	Renewals  int64 `json:"renewals"`  // calls of the store that succeeded
	Failures  int64 `json:"failures"`  // calls of the store that failed
	Conflicts int64 `json:"conflicts"` // calls that were repeated, because another process wrote in between
	Ended     int64 `json:"ended"`     // grants that were over before the store renewed them

	Error string `json:"error"` // of the last call of the store, quoted and bounded; empty if it succeeded

	Owners []BudgetOwner `json:"owners"` // as of the last renewal, by name
}

// BudgetOwner is a process that has a part of a budget.
type BudgetOwner struct {
	Owner   string        `json:"owner"`
	Granted int           `json:"granted"` // connections that it may have
	Held    int           `json:"held"`    // connections that it has or is about to make
	Want    int           `json:"want"`    // connections that it wants
	Share   int           `json:"share"`   // its fair share of the limit
	Left    time.Duration `json:"left_ns"` // until the store forgets it unless it renews, as of the last renewal
}

// budgetStats returns what the gate knows of its budget, or nil if it has none. It is
// not called under mu, and survives a Stats that panics.
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
