package status

import (
	"cmp"
	"slices"
	"time"

	"github.com/hotline-go/hotline/pool"
)

// overview has a row for each pool.
type overview struct {
	Window   string
	Counts   []count // of pools in each state, the worst first
	Sections []section
	Budgets  []*budget
}

// count is how many pools are in a state.
type count struct {
	State pool.State
	N     int
}

// section has the rows of one group, or of all pools without a group.
type section struct {
	Name string // empty for pools without a group
	Sum  row
	Rows []row
}

// row is a line of the overview.
type row struct {
	pool.Snapshot
	Link  string
	P99   string // of the time in the queue
	Rate  string // of acquires
	Use   []part
	Spark []line

	rate float32
}

// badness orders the states, the most urgent first.
var badness = []pool.State{pool.Down, pool.Degraded, pool.Suspended, pool.Healthy, pool.Closed}

// worse returns the more urgent of two states.
func worse(a, b pool.State) pool.State {
	return badness[min(slices.Index(badness, a), slices.Index(badness, b))]
}

// overview describes all pools.
func (w *watch) overview() *overview {
	f := w.frame(w.opened)
	o := &overview{Window: f.words(), Budgets: w.budgets()}
	counts := make(map[pool.State]int)
	var single []row
	for _, g := range w.shown {
		rows := make([]row, 0, len(g.tracks))
		for _, t := range g.tracks {
			rows = append(rows, w.row(t, f))
			counts[t.now.State]++
		}
		if g.single {
			single = append(single, rows...)
		} else {
			o.Sections = append(o.Sections, section{g.name, sum(rows), sorted(rows)})
		}
	}
	if len(single) > 0 {
		o.Sections = slices.Insert(o.Sections, 0, section{Rows: sorted(single)})
	}
	for _, s := range badness {
		if counts[s] > 0 {
			o.Counts = append(o.Counts, count{s, counts[s]})
		}
	}
	return o
}

// row describes one pool.
func (w *watch) row(t *track, f frame) row {
	last := t.latest(w.opened)
	return row{
		Snapshot: t.now, Link: "?" + w.query(t),
		P99: seconds(last.p99), Rate: rate(last.acquires), rate: last.acquires,
		Use: parts(t.now.Stats.Gauges), Spark: f.spark(t.history(w.opened)),
	}
}

// sum returns the row for all rows together. It leaves out limits and quantiles.
func sum(rows []row) row {
	var all row
	for _, r := range rows {
		all.Stats.Leased += r.Stats.Leased
		all.Stats.Waiting += r.Stats.Waiting
		all.OldestWait = max(all.OldestWait, r.OldestWait)
		all.rate += r.rate
	}
	all.P99, all.Rate = none, rate(all.rate)
	return all
}

// sorted puts the worst rows first.
func sorted(rows []row) []row {
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(
			cmp.Compare(slices.Index(badness, a.State), slices.Index(badness, b.State)),
			cmp.Compare(b.OldestWait/time.Second, a.OldestWait/time.Second),
			cmp.Compare(a.Pool, b.Pool),
			cmp.Compare(a.ID, b.ID),
		)
	})
	return rows
}

// part is a piece of a bar from 0 to 100.
type part struct {
	Class, Name string
	N           int
	X, Width    float64
}

// parts returns the pieces of a bar that shows how many connections of the pool's limit
// are in each state.
func parts(g pool.Gauges) []part {
	occupied := g.Open + g.Connecting + g.Gated + g.Closing
	total := occupied
	if g.MaxOpen < unlimited {
		total = max(total, g.MaxOpen)
	}
	all := []part{
		{Class: "leased", Name: "in use", N: g.Leased},
		{Class: "idle", Name: "idle", N: g.Idle},
		{Class: "connecting", Name: "connecting", N: g.Connecting},
		{Class: "gated", Name: "at the gate", N: g.Gated},
		{Class: "closing", Name: "closing", N: g.Closing},
		{Class: "none", Name: "not open", N: total - occupied},
	}
	all = slices.DeleteFunc(all, func(p part) bool { return p.N == 0 })
	x := 0.0
	for i := range all {
		all[i].X, all[i].Width = x, 100*float64(all[i].N)/float64(total)
		x += all[i].Width
	}
	return all
}
