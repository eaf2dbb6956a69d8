package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hotline-go/hotline/driver"
)

// budgets holds what RegisterBudget was given, and the gates made by it.
var budgets = struct {
	mu    sync.Mutex // guards the fields below
	open  map[string]func(dsn string) (Gate, error)
	gates map[string]*budget // by DSN
}{open: map[string]func(string) (Gate, error){}, gates: map[string]*budget{}}

// RegisterBudget makes gates available to the DSN parameter pool_budget, whose value
// is itself a DSN, percent-encoded. open makes the gate for one with the given
// scheme. It does not block. The pools of a process with the same DSN share the gate.
// A gate that is an [io.Closer] is closed when the last of them is, and open is called
// again for the next one. RegisterBudget panics if the scheme is taken.
func RegisterBudget(scheme string, open func(dsn string) (Gate, error)) {
	budgets.mu.Lock()
	defer budgets.mu.Unlock()
	if _, taken := budgets.open[scheme]; taken {
		panic(fmt.Sprintf("pool: RegisterBudget(%q) called twice", scheme))
	}
	budgets.open[scheme] = open
}

// openBudget returns the gate for the value of pool_budget.
func openBudget(text string) (Gate, error) {
	budgets.mu.Lock()
	defer budgets.mu.Unlock()
	if b, ok := budgets.gates[text]; ok {
		return b, nil
	}
	scheme, _, ok := strings.Cut(text, "://")
	open := budgets.open[strings.ToLower(scheme)]
	switch {
	case !ok:
		return nil, errors.New("no scheme")
	case open == nil:
		known := "none"
		if names := slices.Sorted(maps.Keys(budgets.open)); len(names) > 0 {
			known = strings.Join(names, ", ")
		}
		return nil, fmt.Errorf("nothing is registered for its scheme (registered: %s); import the package of the store, as in "+
			`import _ "github.com/hotline-go/hotline/pool/fleet/redis"`, known)
	}
	b := &budget{open: func() (Gate, error) {
		gate, err := open(text)
		if err != nil {
			return nil, driver.Redact("pool_budget", text, err)
		}
		return gate, nil
	}}
	if err := b.openLocked(); err != nil { // finds what is wrong with text
		return nil, err
	}
	budgets.gates[text] = b
	return b, nil
}

// budget is the Gate of pools with one pool_budget. It closes the gate of the store when
// the last of these pools is closed and the last permit is back, and opens it again for
// the next pool.
type budget struct {
	open func() (Gate, error) // a func, so that fmt can't print the DSN's secrets

	mu    sync.Mutex   // guards the fields below; held while the gate is opened, and not while it is closed
	gate  Gate         // nil = closed
	check func() error // of gate, if it is strict
	users int          // pools, and permits that are out
}

// join returns the gate, which stays open until leave.
func (b *budget) join() (Gate, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.openLocked(); err != nil {
		return nil, err
	}
	b.users++
	return b.gate, nil
}

// openLocked opens the gate if it is closed.
func (b *budget) openLocked() (err error) {
	if b.gate != nil {
		return nil
	}
	if b.gate, err = b.open(); err != nil {
		return err
	}
	if gate, ok := b.gate.(StrictGate); ok {
		b.check = gate.Strict()
	}
	return nil
}

// leave ends what join began. It returns the gate if the caller is to close it, else nil.
func (b *budget) leave() (unused io.Closer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.users--; b.users > 0 {
		return nil
	}
	unused, _ = b.gate.(io.Closer)
	b.gate, b.check = nil, nil
	return unused
}

// leaveSoon is leave for callers that must not block. The goroutine ends with Close of
// the gate, which is bounded; its error says that others get the room later, and nobody
// is left to hear that.
func (b *budget) leaveSoon() {
	if unused := b.leave(); unused != nil {
		go unused.Close()
	}
}

// dropBudget closes the gate of a pool_budget that no pool uses, after a pool has failed to
// open.
func (c *Config) dropBudget() {
	if b, ok := c.Gate.(*budget); ok {
		b.mu.Lock()
		b.users++
		b.mu.Unlock()
		b.leaveSoon()
	}
}

// now returns the gate, or nil if it is closed.
func (b *budget) now() Gate {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.gate
}

// Enter implements Gate.
func (b *budget) Enter(ctx context.Context, m Member) (Permit, error) {
	gate, err := b.join()
	if err != nil {
		return nil, err
	}
	permit, err := gate.Enter(ctx, m)
	if err != nil {
		b.leaveSoon()
		return nil, err
	}
	return budgetPermit{permit, b}, nil
}

// TryEnter implements Gate.
func (b *budget) TryEnter(m Member) (Permit, bool) {
	gate, err := b.join()
	if err != nil {
		return nil, false
	}
	permit, ok := gate.TryEnter(m)
	if !ok {
		b.leaveSoon()
		return nil, false
	}
	return budgetPermit{permit, b}, true
}

// budgetPermit is a Permit that counts as a user of its budget.
type budgetPermit struct {
	Permit
	budget *budget
}

// Leave implements Permit.
func (p budgetPermit) Leave() {
	p.Permit.Leave()
	p.budget.leaveSoon()
}

// Strict implements StrictGate. The function asks the gate that is open when it is
// called: the permit of the connection keeps that open, also where no pool does.
func (b *budget) Strict() func() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.openLocked(); err != nil || b.check == nil {
		return nil
	}
	return func() error {
		if check := b.checkNow(); check != nil {
			return check()
		}
		return nil
	}
}

// checkNow returns the function that Strict of the gate has returned, or nil.
func (b *budget) checkNow() func() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.check
}

// Stats implements BudgetGate.
func (b *budget) Stats() (s BudgetStats) {
	if gate, ok := b.now().(BudgetGate); ok {
		s = gate.Stats()
	}
	return s
}

func (b *budget) String() string {
	switch gate := b.now().(type) {
	case nil:
		return "the budget is not in use"
	case fmt.Stringer:
		return gate.String()
	}
	return "at the gate"
}

// joinBudget makes p a user of its pool_budget until Close.
func (p *Pool[C]) joinBudget() error {
	b, ok := p.cfg.Gate.(*budget)
	if !ok {
		p.leaveBudget = func() error { return nil }
		return nil
	}
	if _, err := b.join(); err != nil {
		return fmt.Errorf("pool: pool_budget: %w", err)
	}
	p.leaveBudget = sync.OnceValue(func() error {
		if unused := b.leave(); unused != nil {
			if err := unused.Close(); err != nil {
				return fmt.Errorf("pool %q: %w", p.cfg.Name, err)
			}
		}
		return nil
	})
	return nil
}
