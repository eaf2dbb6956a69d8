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

// budgets holds the functions passed to RegisterBudget, and the gates in use.
var budgets = struct {
	mu    sync.Mutex                                // guards the fields below
	open  map[string]func(dsn string) (Gate, error) // by scheme
	gates map[string]*budget                        // by DSN
}{open: map[string]func(string) (Gate, error){}, gates: map[string]*budget{}}

// RegisterBudget registers a kind of gate for the DSN parameter pool_budget. The value
// of that parameter is itself a DSN, percent-encoded. If it has the given scheme, open
// makes the gate; open must not block. Pools of a process with the same value share the
// gate. If the gate is an [io.Closer], it is closed when the last of these pools is, and
// open is called again for the next one. RegisterBudget panics if the scheme is taken.
func RegisterBudget(scheme string, open func(dsn string) (Gate, error)) {
	scheme = strings.ToLower(scheme)
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
	if err := b.openLocked(); err != nil { // reports now whether text is valid
		return nil, err
	}
	budgets.gates[text] = b
	return b, nil
}

// budget is the Gate of the pools that have the same pool_budget. It closes the
// registered gate when the last of these pools is closed and the last permit is back,
// and opens it again for the next pool.
type budget struct {
	open func() (Gate, error) // a func, so that fmt can't print the DSN's secrets

	mu    sync.Mutex   // guards the fields below; held during open, but not during Close
	gate  Gate         // nil = closed
	check func() error // from Strict of gate; nil if it is not strict
	users int          // pools, and permits not yet given back
}

// join returns the gate, opening it if needed. The gate stays open until leave.
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

// leave undoes join. If it returns a gate, the caller must close it.
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
// the gate, which is bounded. It ignores the error, which only means that other
// processes get the room later: no caller is left to return it to.
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

// current returns the gate, or nil if it is closed.
func (b *budget) current() Gate {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.gate
}

// Enter implements Gate.
func (b *budget) Enter(ctx context.Context, m Member) (permit Permit, err error) {
	gate, err := b.join()
	if err != nil {
		return nil, err
	}
	defer func() { // deferred, in case the gate panics or exits this goroutine
		if permit == nil {
			b.leaveSoon()
		}
	}()
	t, err := gate.Enter(ctx, m)
	if err != nil || t == nil {
		return nil, err
	}
	return budgetPermit{t, b}, nil
}

// TryEnter implements Gate.
func (b *budget) TryEnter(m Member) (permit Permit, ok bool) {
	gate, err := b.join()
	if err != nil {
		return nil, false
	}
	defer func() { // deferred, in case the gate panics or exits this goroutine
		if permit == nil {
			b.leaveSoon()
		}
	}()
	t, ok := gate.TryEnter(m)
	if !ok || t == nil {
		return nil, ok
	}
	return budgetPermit{t, b}, true
}

// budgetPermit is a Permit that counts as a user of its budget.
type budgetPermit struct {
	Permit
	budget *budget
}

// Leave implements Permit.
func (p budgetPermit) Leave() {
	defer p.budget.leaveSoon() // deferred, in case the gate panics or exits this goroutine
	p.Permit.Leave()
}

// Strict implements StrictGate. The function that it returns asks the gate that is open
// at the time of the call. The permit of the connection keeps that gate open, even if
// no pool does.
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

// checkNow returns the result of the current gate's Strict, or nil.
func (b *budget) checkNow() func() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.check
}

// Stats implements BudgetGate.
func (b *budget) Stats() (s BudgetStats) {
	if gate, ok := b.current().(BudgetGate); ok {
		s = gate.Stats()
	}
	return s
}

func (b *budget) String() string {
	switch gate := b.current().(type) {
	case nil:
		return "the budget is not in use"
	case fmt.Stringer:
		return gate.String()
	}
	return "at the gate"
}

// joinBudget makes p a user of its pool_budget, if it has one, until leaveBudget is
// called.
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
