package fleet

import (
	"cmp"
	"slices"
)

// grant is the store's answer to an owner.
type grant struct {
	may      int // connections that it may have
	target   int // what it should come down to if that is less
	learning bool
}

// claim is what an owner tells the store.
type claim struct {
	Row
	room int // connections that it may have by its last grant, as far as that is known to count
}

// decide returns the grant of the owner of c out of limit.
//
// Held connections exist, so they count. But only those within room, or within what the
// others leave, may be replaced by others when they are closed: after a pause, the others
// may have the rest.
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
		g.target = min(g.target, own.Held-min(surplus, max(lack, surplus/2))) // half, or who grows step by step waits at each step
	}
	return g
}

// with returns l with own in place of the row of that owner.
func (l Ledger) with(own Row) Ledger {
	l.Rows = append(slices.DeleteFunc(slices.Clone(l.Rows), func(r Row) bool { return r.Owner == own.Owner }), own)
	return l
}

// Shares divides limit among the owners, max-min fair: nobody gets more than it wants,
// and nobody could get more except from one that has less. What can't be divided goes
// to the owners that have it already.
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
