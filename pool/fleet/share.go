package fleet

import (
	"cmp"
	"slices"
)

// grant is the result of a renewal.
type grant struct {
	may      int // connections that the owner may have
	target   int // number to come down to; at most may
	learning bool
}

// claim is an owner's side of a renewal.
type claim struct {
	Row
	room int // connections from its last grant that nobody else can have taken
}

// decide returns the grant out of limit for the owner of c.
//
// Held connections exist, so all of them count. When they are closed, the owner may
// replace only those within room, or within what other owners leave: after a pause, other
// owners may have the rest.
func (l Ledger) decide(c claim, limit int) grant {
	kept := min(c.Held, c.room)
	if l.Lost || l.Learning {
		return grant{c.Held, kept, true}
	}
	own := c.Row
	own.May = own.Held
	l = l.with(own)
	fair := l.Shares(limit)
	left, lack := limit, 0
	for _, r := range l.Rows {
		if r.Owner != own.Owner {
			left -= r.May
			lack += max(fair[r.Owner]-r.May, 0)
		}
	}
	mine, most := fair[own.Owner], max(kept, left)
	g := grant{may: own.Held + max(min(mine, most)-own.Held, 0)}
	g.target = min(g.may, most)
	surplus := own.Held - mine
	if lack -= max(left-own.Held, 0); lack > 0 && surplus > 0 {
		g.target = min(g.target, own.Held-min(surplus, max(lack, surplus/2))) // at least half, so that an owner that grows step by step does not wait at each step
	}
	return g
}

// with returns l with own in place of the row of that owner.
func (l Ledger) with(own Row) Ledger {
	l.Rows = append(slices.DeleteFunc(slices.Clone(l.Rows), func(r Row) bool { return r.Owner == own.Owner }), own)
	return l
}

// Shares divides limit among the owners, max-min fair: no owner gets more than it wants,
// and none could get more except from an owner that gets the same or less. The remainder
// of the division goes to owners that have it already.
func (l Ledger) Shares(limit int) map[string]int {
	byWant := slices.SortedFunc(slices.Values(l.Rows), func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.Want, b.Want), cmp.Compare(a.Owner, b.Owner))
	})
	fair := make(map[string]int, len(l.Rows))
	for i, r := range byWant {
		level := limit / (len(byWant) - i)
		if r.Want > level { // and so does everybody from here on
			rest := byWant[i:]
			slices.SortFunc(rest, func(a, b Row) int {
				return cmp.Or(cmp.Compare(b.May, a.May), cmp.Compare(a.Owner, b.Owner))
			})
			for j, r := range rest {
				fair[r.Owner] = level
				if j < limit%len(rest) {
					fair[r.Owner]++
				}
			}
			break
		}
		fair[r.Owner] = r.Want
		limit -= r.Want
	}
	return fair
}
