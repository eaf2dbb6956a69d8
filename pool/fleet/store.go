package fleet

import (
	"context"
	"time"
)

// Store keeps the ledgers of budgets. It decides nothing: a Gate reads the ledger, works
// out its own row, and writes the row only if what it read is still true. So there is no
// lock that a stopped process could keep, and a Write that arrives late, or twice, does
// nothing. Package fleettest tests stores.
//
// Times are by the store's own clock, so the clocks of processes are never compared.
// Methods may be called from any goroutine, and must return when ctx ends.
type Store interface {
	// Read returns the ledger of a budget.
	Read(ctx context.Context, budget string) (Ledger, error)

	// Write replaces the row of one owner, and reports whether it did. After an error,
	// it may have done so, or may still do so later.
	//
	// Each Write requires that the owner's row still has the Version of the Entry, or,
	// if that is empty, that there is no row. The row gets a new Version, which no row
	// has ever had.
	//
	// A Write with Grows or Learn, or for the empty version (the first Write of
	// a ledger), also requires that the ledger still has that version, and gives the
	// ledger a new one. Other Writes leave the ledger's version unchanged, so the
	// renewals of many owners do not conflict. They require that there is a ledger, and
	// a row of the owner unless May is zero.
	//
	// A ledger that exists but is Lost accepts only a Write with Learn.
	Write(ctx context.Context, budget, version string, e Entry) (bool, error)
}

// Ledger is what a store knows of a budget.
type Ledger struct {
	Version  string // changes with each Write that gives an owner more; empty = there is no ledger
	Lost     bool   // writes may have been lost: there is no ledger, or the store may have restarted without all its data
	Learning bool   // the Learn of an Entry has not passed yet
	Rows     []Row  // the rows whose time has not passed, in any order
}

// Row is the grant of an owner, which is the Gate of a process, and what it reports.
type Row struct {
	Owner   string        // the name of the owner, from Config.Owner; no two are the same
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
	Grows bool          // May is higher than in the row that was read
	Learn time.Duration // if positive, the ledger is Learning for that long, and no longer Lost
}
