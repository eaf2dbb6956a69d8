package prometheus_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/prometheus"
)

// shared returns a pool with a budget of owner.
func shared(name, owner string) fixed {
	return fixed{Pool: name, Budget: &pool.BudgetStats{
		Budget: "depot", Owner: owner, State: "static", Strict: true,
		Limit: 15, Granted: 8, Target: 6, Used: 7, Waiting: 2, Renewed: 2500 * time.Millisecond, Left: 12500 * time.Millisecond,
		Renewals: 101, Failures: 102, Conflicts: 103, Ended: 104, Owners: make([]pool.BudgetOwner, 3),
	}}
}

func TestABudgetIsShownOnceForAllItsPools(t *testing.T) {
	c := prometheus.New(shared("a", "x"), shared("b", "x"), shared("c", "y"), fixed{Pool: "d"})
	got := make(map[string]float64)
	for id, v := range gather(t, c) {
		if name, ok := strings.CutPrefix(id, "hotline_budget_"); ok && strings.Contains(id, "budget=depot,") || strings.Contains(id, "budget=depot}") {
			got[name] = v
		} else if ok {
			assert.Contains(t, id, "budget=depot#2", "another gate of the same budget")
		}
	}
	assert.Equal(t, map[string]float64{
		"state{budget=depot,state=none}": 0, "state{budget=depot,state=held}": 0, "state{budget=depot,state=learning}": 0,
		"state{budget=depot,state=static}": 1, "state{budget=depot,state=over}": 0,
		"strict{budget=depot}": 1, "limit_connections{budget=depot}": 15, "granted_connections{budget=depot}": 8, "target_connections{budget=depot}": 6,
		"used_connections{budget=depot}": 7, "waiting_connects{budget=depot}": 2, "processes{budget=depot}": 3,
		"renewal_age_seconds{budget=depot}": 2.5, "left_seconds{budget=depot}": 12.5,
		"renewals_total{budget=depot}": 101, "store_failures_total{budget=depot}": 102, "conflicts_total{budget=depot}": 103, "ended_grants_total{budget=depot}": 104,
	}, got)
	problems, err := testutil.CollectAndLint(c)
	require.NoError(t, err)
	assert.Empty(t, problems)
}
