package otel_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/otel"
)

func TestABudgetIsShownOnceForAllItsPools(t *testing.T) {
	s := start(t, otel.Options{})
	budget := &pool.BudgetStats{
		Budget: "depot", Owner: "x", State: "static",
		Limit: 15, Granted: 8, Target: 6, Used: 7, Waiting: 2, Renewed: 2500 * time.Millisecond, Left: 12500 * time.Millisecond,
		Renewals: 101, Failures: 102, Conflicts: 103, Ended: 104, Owners: make([]pool.BudgetOwner, 3),
	}
	for _, name := range []string{"a", "b"} {
		s.Observer().Observe(fixed{Pool: name, Budget: budget})
	}
	s.Observer().Observe(fixed{Pool: "c", Budget: &pool.BudgetStats{Budget: "new", Owner: "y", State: "none"}})
	got := make(map[string]float64)
	for id, v := range s.values() {
		if strings.HasPrefix(id, "budget.") && strings.Contains(id, "name=depot") {
			got[id] = v
		}
	}
	assert.Equal(t, map[string]float64{
		"budget.state{budget.name=depot,budget.state=none}": 0, "budget.state{budget.name=depot,budget.state=held}": 0,
		"budget.state{budget.name=depot,budget.state=learning}": 0, "budget.state{budget.name=depot,budget.state=static}": 1,
		"budget.state{budget.name=depot,budget.state=over}": 0,
		"budget.limit{budget.name=depot}":                   15, "budget.granted{budget.name=depot}": 8, "budget.target{budget.name=depot}": 6,
		"budget.used{budget.name=depot}": 7, "budget.pending_connects{budget.name=depot}": 2, "budget.processes{budget.name=depot}": 3,
		"budget.renewal_age{budget.name=depot}": 2.5, "budget.left{budget.name=depot}": 12.5,
		"budget.renewals{budget.name=depot}": 101, "budget.failures{budget.name=depot}": 102, "budget.conflicts{budget.name=depot}": 103, "budget.ended{budget.name=depot}": 104,
	}, got)
	assert.NotContains(t, s.values(), "budget.renewal_age{budget.name=new}", "there was no renewal")
}
