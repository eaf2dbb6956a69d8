package status

import (
	_ "embed"
	"fmt"
	"time"

	"github.com/hotline-go/hotline/pool"
)

//go:embed budget.html
var budgetHTML string

// budget is a limit that this process shares with others.
type budget struct {
	pool.BudgetStats
	Part       string // how many connections this process may have, and has
	Deadline   string // when the grant was renewed, when it ends, and what happens then
	MoreOwners int    // how many owners are not listed
}

// newBudget describes s, or nothing if s is nil.
func newBudget(s *pool.BudgetStats) *budget {
	if s == nil {
		return nil
	}
	b := &budget{BudgetStats: *s}
	b.Part = fmt.Sprintf("This process may have %s of %s connections and uses %s.", number(b.Granted), number(b.Limit), number(b.Used))
	if b.Target < b.Granted {
		b.Part += fmt.Sprintf(" It is giving some up, down to %s, because other processes need them.", number(b.Target))
	}
	if b.Waiting > 0 {
		b.Part += " Connects waiting: " + number(b.Waiting) + "."
	}
	b.Deadline = b.deadline()
	if more := len(b.Owners) - maxRows; more > 0 {
		b.Owners, b.MoreOwners = b.Owners[:maxRows], more
	}
	return b
}

// deadline says when the grant ends.
func (b *budget) deadline() string {
	if b.Renewed == 0 {
		return "The store has not granted anything yet."
	}
	text := fmt.Sprintf("The grant was renewed %s ago and ", age(b.Renewed))
	if b.Left > 0 {
		text += fmt.Sprintf("ends in %s unless it is renewed again. Then ", age(b.Left))
	} else {
		text += "has ended: "
	}
	if b.Strict {
		return text + "all connections are closed, including those in use (strict)."
	}
	return text + "idle connections are closed at once, and those in use when they are released."
}

// age is span, rounded to a tenth of a second.
func age(d time.Duration) string {
	return span(max(d.Round(100*time.Millisecond), 100*time.Millisecond))
}

// budgets describes the budgets of all pools, each once.
func (w *watch) budgets() (all []*budget) {
	seen := make(map[string]bool) // by owner, which is unique to a gate
	for _, g := range w.shown {
		for _, t := range g.tracks {
			if b := t.now.Budget; b != nil && !seen[b.Owner] {
				seen[b.Owner] = true
				all = append(all, newBudget(b))
			}
		}
	}
	return all
}
