package pool_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// budgetGate is a gate with a budget.
type budgetGate struct {
	pool.Gate
	stats func() pool.BudgetStats
}

func (g budgetGate) Stats() pool.BudgetStats { return g.stats() }

func TestASnapshotHasTheBudgetOfItsGate(t *testing.T) {
	depot := pool.BudgetStats{Budget: "depot", Granted: 3}
	for name, tt := range map[string]struct {
		gate pool.Gate
		want *pool.BudgetStats
	}{
		"no gate":              {nil, nil},
		"a gate without one":   {pool.NewGate(1), nil},
		"a gate with one":      {budgetGate{pool.NewGate(1), func() pool.BudgetStats { return depot }}, &depot},
		"a gate that has none": {budgetGate{pool.NewGate(1), func() pool.BudgetStats { return pool.BudgetStats{} }}, nil},
		"a gate that panics":   {budgetGate{pool.NewGate(1), func() pool.BudgetStats { panic("broken") }}, nil},
	} {
		p, err := pool.New[*conn](drivertest.NewFake(t), pool.Config{Gate: tt.gate})
		require.NoError(t, err)
		assert.Equal(t, tt.want, p.Snapshot().Budget, name)
		assert.NoError(t, p.Close())
	}
}
