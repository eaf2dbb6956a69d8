package roster

import (
	"iter"
	"maps"
	"slices"

	"github.com/hotline-go/hotline/pool"
)

// BudgetStates are the possible values of pool.BudgetStats.State.
var BudgetStates = []string{"none", "held", "learning", "static", "over"}

// Budgets is a set of the budgets of pools. The keys are the owners, each of which is
// unique to a gate, so a budget of several pools is in it once.
type Budgets map[string]*pool.BudgetStats

// Add adds the budget of s, if it has one.
func (b Budgets) Add(s *pool.Snapshot) {
	if s.Budget != nil {
		b[s.Budget.Owner] = s.Budget
	}
}

// All returns the budgets with their names. If a process has several gates for the same
// budget, the second is called name#2, the third name#3 and so on.
func (b Budgets) All() iter.Seq2[string, *pool.BudgetStats] {
	return func(yield func(string, *pool.BudgetStats) bool) {
		taken := make(map[string]bool)
		for _, owner := range slices.Sorted(maps.Keys(b)) {
			name := First(b[owner].Budget, func(name string) bool { return !taken[name] })
			taken[name] = true
			if !yield(name, b[owner]) {
				return
			}
		}
	}
}
