package fleet

import (
	"context"
	"time"
)

// Store keeps the ledgers of budgets. It decides nothing: a Gate reads the ledger,
// works out its own row, and writes that if what it read still holds. So no process
// holds a lock that it could take with it into a pause, and a Write that the store gets
// late, or twice, does nothing. Package fleettest tests stores.
//
// Time is the store's own: no clock of a process is compared with that of another.
// Methods may be called from any goroutine, and must return when ctx ends.
type Store interface {
	// Read returns the ledger of a budget.
	Read(ctx context.Context, budget string) (Ledger, error)

	// Write replaces the row of one owner, and reports whether it did. An error means
	// that it may have, or may do so later.
	//
	// Each Write needs the owner's row to have the Entry's Version still, or, for the
	// empty one, to be absent; the row gets a new Version, which no row has ever had.
	//
	// A Write that Grows, has a Learn, or is for the empty version, which is the first
	// of all, also needs the ledger to have that version still, and gives it a new one.
	// Any other leaves the ledger's version alone, so the renewals of many owners do not
	// get in each other's way. It needs a ledger, and a row unless its May is zero.
	//
	// A ledger that is there and Lost takes only a Write with a Learn.
	Write(ctx context.Context, budget, version string, e Entry) (bool, error)
}

// Ledger is what a store knows of a budget.
type Ledger struct {
	Version  string // changes with each Write that gives an owner more; empty = there is no ledger
	Lost     bool   // writes may be lost: there is no ledger, or the store has restarted without all its data
	Learning bool   // the Learn of an Entry has not passed
	Rows     []Row  // those whose time has not passed, in any order
}

// Row is what an owner, which is a Gate of a process, has.
type Row struct {
	Owner   string
	Version string        // changes with each Write of the row
	May     int           // connections that it is granted
	Held    int           // connections that it has or is about to make
	Want    int           // connections that it wants
	Left    time.Duration // until the store forgets the row
}

// Entry is a row to be written. Its Version is that of the row it replaces, empty if
// it replaces none. A Left of zero or less removes the row.
type Entry struct {
	Row
	Grows bool          // May is more than that of the row that was read
	Learn time.Duration // if more than zero, the ledger is Learning for that long, and no longer Lost
}
