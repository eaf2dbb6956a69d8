package status

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/pool"
)

// depot is a budget of 15, of which this process has 8.
func depot() *pool.BudgetStats {
	return &pool.BudgetStats{
		Budget: "depot", Owner: "here/7/a", State: "static", Limit: 15, Granted: 8, Target: 6, Used: 7, Waiting: 2,
		Renewed: 2345 * time.Millisecond, Left: 12655 * time.Millisecond, Error: "dial <b>: refused",
		Owners: []pool.BudgetOwner{
			{Owner: "here/7/a", Granted: 8, Held: 7, Want: 9, Share: 8, Left: 15 * time.Second},
			{Owner: "there/<9>/b", Granted: 7, Held: 6, Want: 20, Share: 7, Left: 3 * time.Second},
		},
	}
}

func TestThePageSaysWhoHasABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, other := newFake(1, "a"), newFake(2, "b")
		share := func(s *pool.Snapshot) { s.Budget = depot() }
		f.set(share)
		other.set(share)
		page := New(f, other)
		defer page.Close()
		for _, query := range []string{"", "?pool=a"} {
			text := strings.ReplaceAll(get(page, query).Body.String(), space, " ")
			for _, want := range []string{
				`<h2>Budget depot <span class="soft">static</span></h2>`,
				"This process may have 8 of 15 connections and uses 7. It is giving some up, down to 6, because other processes need them. Connects waiting: 2.",
				"The grant was renewed 2.3 s ago and ends in 12.7 s unless it is renewed again. Then idle connections are closed at once, and those in use when they are released.",
				"The last call of the store failed: dial &lt;b&gt;: refused",
				`<th scope="row">here/7/a <span class="soft">(this process)</span></th><td class="number">8</td><td class="number">7</td><td class="number">9</td><td class="number">8</td>`,
				`<th scope="row">there/&lt;9&gt;/b</th><td class="number">7</td><td class="number">6</td><td class="number">20</td><td class="number">7</td><td class="number wide">3 s</td>`,
			} {
				assert.Contains(t, text, want, "page %q", query)
			}
			assert.Equal(t, 1, strings.Count(text, "<h2>Budget"), "page %q: both pools have one gate", query)
		}
		assert.Contains(t, get(page, "?format=json").Body.String(), `"budget":{"budget":"depot","owner":"here/7/a","state":"static"`)
		f.set(func(s *pool.Snapshot) { s.Budget = nil })
		other.set(func(s *pool.Snapshot) { s.Budget = nil })
		<-time.After(sampleEvery)
		assert.NotContains(t, get(page, "").Body.String(), "Budget")
	})
}

func TestABudgetSaysWhatItsDeadlineDoes(t *testing.T) {
	for want, s := range map[string]pool.BudgetStats{
		"The store has not granted anything yet.": {},
		"The grant was renewed 20 s ago and has ended: idle connections are closed at once, and those in use when they are released.":                      {Renewed: 20 * time.Second},
		"The grant was renewed 100 ms ago and ends in 9.9 s unless it is renewed again. Then all connections are closed, including those in use (strict).": {Renewed: 1, Left: 9900 * time.Millisecond, Strict: true},
	} {
		assert.Equal(t, want, strings.ReplaceAll(newBudget(&s).Deadline, space, " "))
	}
	long := &pool.BudgetStats{Owners: make([]pool.BudgetOwner, maxRows+3)}
	b := newBudget(long)
	assert.Len(t, b.Owners, maxRows)
	assert.Equal(t, 3, b.MoreOwners)
}
