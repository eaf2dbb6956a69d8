package fleet

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// Show prints the state of the budget that cfg names: for each process, how many
// connections it is granted, holds and wants, its fair share, and how soon the store
// forgets it unless it renews its grant. Without a Limit in cfg, the shares are unknown.
// Show only reads.
//
//	budget "gmail-ada": 15 of 15 granted to 2 owners
//	          owner  granted  held  wants  share  forgotten in
//	  "host/7/9xqk"        9     9     20      8         13.2s
//	  "host/8/k2ab"        6     6      7      7         15.1s
func Show(ctx context.Context, w io.Writer, store Store, cfg Config) error {
	l, err := store.Read(ctx, cfg.Budget)
	if err != nil {
		return err
	}
	slices.SortFunc(l.Rows, func(a, b Row) int { return cmp.Compare(a.Owner, b.Owner) })
	granted := 0
	for _, r := range l.Rows {
		granted += r.May
	}
	limit, shares := "", map[string]int{}
	if cfg.Limit > 0 {
		limit, shares = fmt.Sprintf(" of %d", cfg.Limit), l.Shares(cfg.Limit)
	}
	fmt.Fprintf(w, "budget %q: %d%s granted to %s%s\n", cfg.Budget, granted, limit, count(len(l.Rows), "owner"), l.trouble())
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	if len(l.Rows) > 0 {
		fmt.Fprintln(table, "owner\tgranted\theld\twants\tshare\tforgotten in\t")
	}
	for _, r := range l.Rows {
		share := "?"
		if n, known := shares[r.Owner]; known {
			share = fmt.Sprint(n)
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%s\t%v\t\n", driver.Quote(r.Owner), r.May, r.Held, r.Want, share, r.Left.Round(100*time.Millisecond))
	}
	return table.Flush()
}

// trouble returns the reason why no process gets more, or an empty string.
func (l Ledger) trouble() string {
	switch {
	case l.Lost && l.Version == "":
		return "; not used yet"
	case l.Lost:
		return "; the store has restarted and may have lost grants"
	case l.Learning:
		return "; the store is learning who has connections and grants no more"
	}
	return ""
}
