package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
)

// ErrClosed is the error of a gate that is closed.
var ErrClosed = errors.New("fleet: the gate is closed")

// Gate is this process's part of a budget: a [pool.BudgetGate] for any number of pools. Its
// methods may be called from any goroutine.
type Gate struct {
	store Store
	cfg   Config
	local *pool.LocalGate      // hands out the permits of the grant
	term  atomic.Pointer[term] // of the grant; nil before the first; changed under mu
	wake  chan struct{}        // has an element if the result of due may have changed

	closeStore func() error // called by Close, if Open opened the store; else nil

	wrote bool // the store may have a row of this gate; only for run and, after that, leave

	ctx   context.Context // ends by Close
	stop  context.CancelFunc
	ended chan struct{} // closed when run has returned

	mu       sync.Mutex // guards the fields below
	may      int        // connections granted; 0 when the grant is over
	target   int        // at most may
	declared int        // the store may have lowered the grant to this, by a call without an answer so far; else math.MaxInt
	over     bool       // the grant is over, or there never was one, and the store calls fail
	learning bool       // the store learns who has connections
	need     int        // connections in use or waited for when the store was last called
	short    bool       // the last grant was less than need
	tried    time.Time  // when the last call ended
	jitter   float64    // factor of the pause after that
	err      error      // of the last call, or nil
	failing  int        // failed calls in a row, counted up to 8
	ledger   Ledger     // after the last renewal; its rows never change
	deadline *time.Timer
	permits  []*permit // in use, the oldest first
	total    counters
}

// New returns a gate for this process. The gate first calls the store when connections
// are wanted, or at once if Spare is set. The error of New names all wrong settings.
// Close the gate when it is no longer used.
func New(store Store, cfg Config) (*Gate, error) {
	if store == nil {
		return nil, errors.New("fleet: the store is nil")
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	g := &Gate{
		store: store, cfg: cfg, declared: math.MaxInt, jitter: 1,
		wake: make(chan struct{}, 1), ended: make(chan struct{}), local: pool.NewGate(cfg.Limit),
	}
	g.cfg.Logger = cfg.Logger.WithValues("budget", cfg.Budget)
	g.ctx, g.stop = context.WithCancel(context.Background())
	g.local.Grace, g.local.Changed = cfg.Grace, g.poke
	g.local.Resize(0)
	go g.run()
	return g, nil
}

// Enter implements [pool.Gate]. It waits while the grant is used up.
func (g *Gate) Enter(ctx context.Context, m pool.Member) (pool.Permit, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(g.ctx, cancel)()
	for {
		inner, err := g.local.Enter(ctx, m)
		if err != nil {
			if g.ctx.Err() != nil {
				err = driver.Permanent(ErrClosed)
			}
			return nil, err
		}
		if p := g.admit(inner, m); p != nil {
			return p, nil
		}
	}
}

// TryEnter implements [pool.Gate].
func (g *Gate) TryEnter(m pool.Member) (pool.Permit, bool) {
	inner, ok := g.local.TryEnter(m)
	if !ok {
		return nil, false
	}
	if p := g.admit(inner, m); p != nil {
		return p, true
	}
	return nil, false
}

// admit makes a permit from inner, a permit of the local gate. It returns nil if the
// grant is over, because the timer of the deadline may be late.
func (g *Gate) admit(inner pool.Permit, m pool.Member) *permit {
	g.checkDeadline()
	g.mu.Lock()
	refused := g.ctx.Err() != nil || g.over && len(g.permits) >= g.cfg.Floor
	p := &permit{Permit: inner, gate: g, member: m, lost: make(chan struct{})}
	if !refused {
		g.permits = append(g.permits, p)
	}
	g.mu.Unlock()
	if refused {
		inner.Leave()
		return nil
	}
	return p
}

// permit is a Permit of a Gate.
type permit struct {
	pool.Permit // of the local gate
	gate        *Gate
	member      pool.Member
	lost        chan struct{} // closed under gate.mu
	isLost      bool          // guarded by gate.mu
	stays       atomic.Bool   // the grant is over, and this is one of the Floor permits; changed under gate.mu
}

// Recalled implements [pool.Permit]. While the grant is over, the local gate still counts
// the lost permits, and would recall the Floor permits because of them.
func (p *permit) Recalled(w pool.Worth) bool { return !p.stays.Load() && p.Permit.Recalled(w) }

// Leave implements [pool.Permit].
func (p *permit) Leave() {
	g := p.gate
	g.mu.Lock()
	i := slices.Index(g.permits, p)
	g.permits = slices.Delete(g.permits, i, i+1)
	g.mu.Unlock()
	p.Permit.Leave()
}

// Lost implements [pool.Permit].
func (p *permit) Lost() <-chan struct{} { return p.lost }

// Strict implements [pool.StrictGate].
func (g *Gate) Strict() func() error {
	if !g.cfg.Strict {
		return nil
	}
	return func() error {
		if t := g.term.Load(); t.left(time.Now()) > 0 {
			return nil
		}
		g.checkDeadline()
		return fmt.Errorf("fleet: the grant of budget %q is over: %w", g.cfg.Budget, driver.ErrBadConn)
	}
}

// Close gives the grant back. Connections that are still open lose their permits and
// count for Grace, so close the pools first. Close waits for the store, up to a third of
// TTL, and returns its error. After an error, the store forgets the grant when its time
// has passed. Closing a closed gate does nothing.
func (g *Gate) Close() error {
	g.mu.Lock()
	closed := g.ctx.Err() != nil
	g.stop()
	g.endLocked()
	g.mu.Unlock()
	if closed {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- g.leave() }() // ends when the store returns
	select {
	case err := <-done:
		return err
	case <-time.After(2 * g.cfg.TTL / renewals): // the calls should have ended before that
		return fmt.Errorf("fleet: giving back the grant of budget %q: the store call does not return; the store's client must obey contexts", g.cfg.Budget)
	}
}

// leave waits until run has ended its call, gives the grant back if the store may have
// one, and closes the store if Open opened it.
func (g *Gate) leave() (err error) {
	<-g.ended
	if g.wrote {
		err = g.giveBack()
	}
	if g.closeStore != nil {
		err = errors.Join(err, g.closeStore())
	}
	return err
}

// Format prints String for every verb, because printing the fields would race with their
// changes.
func (g *Gate) Format(s fmt.State, _ rune) { io.WriteString(s, g.String()) }
