package fleet

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

func TestSharesAreMaxMinFair(t *testing.T) {
	for _, tt := range []struct{ wants, fair []int }{
		{[]int{10}, []int{10}},
		{[]int{20}, []int{15}},
		{[]int{20, 20}, []int{8, 7}},
		{[]int{1, 20, 20}, []int{1, 7, 7}},
		{[]int{0, 0, 3}, []int{0, 0, 3}},
		{[]int{2, 3, 20, 20}, []int{2, 3, 5, 5}},
		{[]int{9, 9, 9, 9, 9, 9, 9, 9}, []int{2, 2, 2, 2, 2, 2, 2, 1}},
	} {
		var rows []Row
		for i, want := range tt.wants {
			rows = append(rows, Row{Owner: string(rune('a' + i)), Want: want})
		}
		fair := Ledger{Rows: rows}.Shares(15)
		for i := range rows {
			assert.Equal(t, tt.fair[i], fair[rows[i].Owner], "%v of 15", tt.wants)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) Row {
			return Row{Owner: rapid.StringN(1, 2, 2).Draw(t, "owner"), Want: rapid.IntRange(0, 12).Draw(t, "want"), May: rapid.IntRange(0, 5).Draw(t, "may")}
		}), 1, 12, func(r Row) string { return r.Owner }).Draw(t, "rows")
		limit := rapid.IntRange(1, 20).Draw(t, "limit")
		fair := Ledger{Rows: rows}.Shares(limit)
		sum, wants := 0, 0
		for _, r := range rows {
			sum += fair[r.Owner]
			wants += r.Want
			assert.LessOrEqual(t, fair[r.Owner], r.Want)
			for _, other := range rows {
				if fair[r.Owner] < r.Want { // it wants more, so no other owner may get two more
					assert.LessOrEqual(t, fair[other.Owner], fair[r.Owner]+1)
				}
			}
		}
		assert.Equal(t, min(limit, wants), sum)
	})
}

func TestWhatAProcessMayHave(t *testing.T) {
	others := Ledger{Rows: []Row{{Owner: "a", May: 6, Held: 6, Want: 9}, {Owner: "b", May: 6, Held: 6, Want: 9}}}
	full := Ledger{Rows: []Row{{Owner: "a", May: 8, Held: 8, Want: 9}, {Owner: "b", May: 7, Held: 7, Want: 9}}}
	alone := Ledger{Rows: []Row{{Owner: "a", May: 1, Held: 1, Want: 1}}}
	for name, tt := range map[string]struct {
		ledger           Ledger
		held, room, want int
		grant            grant
	}{
		"what is free":                               {others, 0, 0, 9, grant{3, 3, false}},
		"no more than it wants":                      {others, 0, 0, 2, grant{2, 2, false}},
		"all that it wants":                          {alone, 3, 3, 9, grant{9, 9, false}},
		"nothing, while others have all":             {full, 0, 0, 9, grant{0, 0, false}},
		"its share, where another lacks more":        {Ledger{Rows: []Row{{Owner: "a", May: 9, Held: 9, Want: 9}, {Owner: "b", Want: 9}}}, 3, 3, 9, grant{5, 5, false}},
		"unused, where nobody lacks it":              {alone, 5, 5, 0, grant{5, 5, false}},
		"half of its surplus, where somebody lacks":  {Ledger{Rows: []Row{{Owner: "a", May: 9, Held: 9, Want: 10}}}, 6, 6, 0, grant{6, 3, false}},
		"after a pause, as much as is left":          {others, 5, 0, 9, grant{5, 3, false}},
		"after a pause, nothing if others have all":  {full, 2, 0, 9, grant{2, 0, false}},
		"what it has, while the store learns":        {Ledger{Learning: true}, 2, 2, 9, grant{2, 2, true}},
		"what it has, where the store has lost all":  {Ledger{Lost: true}, 2, 5, 9, grant{2, 2, true}},
		"after a pause, nothing new in the learning": {Ledger{Learning: true}, 2, 0, 9, grant{2, 0, true}},
	} {
		c := claim{Row{Owner: "me", Held: tt.held, Want: tt.want}, tt.room}
		assert.Equal(t, tt.grant, tt.ledger.decide(c, 15), name)
	}
}
