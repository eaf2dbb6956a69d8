package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/hotline-go/hotline/pool"
)

// The states of a grant, for pool.BudgetStats.State. The package doc explains them.
const (
	None     = "none"
	Held     = "held"
	Learning = "learning" // held, while the store learns who has connections
	Static   = "static"
	Over     = "over"
)

// counters never decrease.
type counters struct{ renewals, failures, conflicts, over int64 }

// Stats implements [pool.BudgetGate]. It returns what the gate knows of its own grant and
// the grants of other processes.
func (g *Gate) Stats() pool.BudgetStats {
	now, u := time.Now(), g.local.Stats()
	g.mu.Lock()
	ledger := g.ledger
	s := pool.BudgetStats{
		Budget: g.cfg.Budget, Owner: g.cfg.Owner, State: g.stateLocked(), Strict: g.cfg.Strict,
		Limit: g.cfg.Limit, Granted: g.may, Target: g.target, Used: u.Used, Waiting: u.Waiting,
		Renewals: g.total.renewals, Failures: g.total.failures, Conflicts: g.total.conflicts, Ended: g.total.over,
	}
	if g.err != nil {
		s.Error = g.err.Error()
	}
	g.mu.Unlock()
	if t := g.term.Load(); t != nil {
		s.Renewed = now.Sub(t.sent)
		s.Left = max(t.left(now), 0)
	}
	fair := ledger.Shares(s.Limit)
	for _, r := range ledger.Rows {
		s.Owners = append(s.Owners, pool.BudgetOwner{Owner: r.Owner, Granted: r.May, Held: r.Held, Want: r.Want, Share: fair[r.Owner], Left: r.Left})
	}
	slices.SortFunc(s.Owners, func(a, b pool.BudgetOwner) int { return cmp.Compare(a.Owner, b.Owner) })
	return s
}

// stateLocked returns the state of the grant.
func (g *Gate) stateLocked() string {
	switch {
	case g.over:
		return Over
	case g.err != nil:
		return Static
	case g.learning:
		return Learning
	case g.may > 0:
		return Held
	}
	return None
}

// count returns n and the noun, in the plural unless n is 1.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// String describes the grant and says why callers wait.
func (g *Gate) String() string {
	s := g.Stats()
	text := fmt.Sprintf("budget %q: %d of %s granted, %d used, %s waiting", s.Budget, s.Granted, count(s.Limit, "connection"), s.Used, count(s.Waiting, "connect"))
	switch {
	case s.State == Learning:
		text += "; the store is new or has lost its state, and is learning who has connections"
	case s.Error != "":
		text += "; the last store call failed: " + s.Error
	case s.Waiting > 0 && s.State != None:
		text += "; other processes have the rest"
	}
	return text
}
