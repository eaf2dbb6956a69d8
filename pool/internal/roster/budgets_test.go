package roster_test

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/internal/roster"
)

func TestEachBudgetIsThereOnce(t *testing.T) {
	b := make(roster.Budgets)
	x, y := &pool.BudgetStats{Budget: "depot", Owner: "x"}, &pool.BudgetStats{Budget: "depot", Owner: "y"}
	for _, s := range []pool.Snapshot{{Budget: y}, {Budget: x}, {}, {Budget: x}} {
		b.Add(&s)
	}
	assert.Equal(t, map[string]*pool.BudgetStats{"depot": x, "depot#2": y}, maps.Collect(b.All()))
	for name := range b.All() {
		assert.Equal(t, "depot", name)
		break
	}
}
