package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/endpoints"
)

// Pool lends connections as values of type C: an interface that the driver's
// connections implement, or their concrete type. All methods may be called from any
// goroutine. A Pool must not be copied.
type Pool[C any] struct {
	// Read by every Acquire and Release, rarely written.
	gate   atomic.Int32               // waiters in the queue, or closedGate; 0 = Acquire may take the fast path
	simple atomic.Bool                // no setting makes Release take the slow path
	slow   atomic.Uint64              // flags of a word with which Acquire takes the slow path; see arm
	nests  atomic.Bool                // MaxOpen is so small that Do marks its context; see nested.go
	slots  atomic.Pointer[[]*slot[C]] // all slots; grows under mu, its elements never change
	list   list                       // slots that may be idle
	hint   sync.Pool                  // of *slot[C]: the last one released on this CPU, which may be idle
	cfg    Config                     // never changes; max and maxIdle have the current MaxOpen and MaxIdle
	_      [64]byte                   // keeps writes to the fields below off the cache lines above

	armed       atomic.Bool                                // Acquire records stacks; see leaks.go
	answer      func(error) bool                           // Advice.Answer, or nil
	newConn     func(context.Context) (driver.Conn, error) // a func, so that fmt can't print the connector's secrets
	tracked     func(c driver.Conn, useless bool)          // driver.Tracker.Ended, or nil
	forget      func()                                     // driver.Tracker.Forget, or nil
	servers     func() []endpoints.State                   // of an endpoints.Connector, or nil
	log         logr.Logger
	id          uint64       // unique in the process
	start       time.Time    // zero of the pool's clock
	strict      bool         // the gate is a StrictGate that is strict
	leaveBudget func() error // gives up the pool_budget, once
	ctx         context.Context
	cancel      context.CancelFunc // ends ctx, and with it the Connects and Pings in progress
	waiters     sync.Pool          // of *waiter[C]

	mu        sync.Mutex // guards all fields below; never held across I/O, a hook, the log or a wait
	closed    bool
	max       int        // MaxOpen, or what Resize set
	maxIdle   int        // MaxIdle; negative = no limit
	warm      []int      // for each caller of Ready or Warm, how many open connections it waits for
	free      []*slot[C] // without a connection
	queue     queue[C]
	joining   *waiter[C]  // the caller that is joining the queue, during joinLocked
	expiry    *time.Timer // for the oldest waiter's AcquireTimeout
	expirySet bool

	connects    context.Context    // of the Connects of this epoch
	endConnects context.CancelFunc // ends connects
	epoch       uint64             // Resets so far
	attempts    []*attempt[C]      // Connects in progress, and those at the gate
	sparesAt    time.Duration      // no Connect for MinIdle or Warm before this time: the gate had no room
	started     uint64             // Connects so far
	lastSuccess success
	beyond      pace // of the Connects beyond MaxConnecting, which start while others hang
	outage      outage
	retry       *time.Timer // connects again when the outage allows it

	pinging   int // Pings in progress; the connection of each is held
	asked     int // how many of these are for waiters
	suspicion suspicion
	closing   int // Closes in progress that count against MaxOpen
	keeper    keeper

	running int           // goroutines of the pool, which Close waits for
	changed chan struct{} // closed by changedLocked; nil if await does not wait
	total   counters
	journal journal
}

// closedGate is the value of Pool.gate in a closed pool. It is larger than any number
// of waiters.
const closedGate = 1 << 30

// Open returns a pool of connections that the named driver makes for dsn. It does not
// dial or block: the pool connects MinIdle connections in the background.
//
// Parameters of dsn that begin with pool_ set the field of Config that they name
// (pool_max_open=20&pool_keepalive=30s). They override cfg, and the driver does not
// see them. If dsn has several hosts (tcp://a:1,b:1) or parameters that begin with
// hosts_, the pool connects to these hosts as package driver/endpoints describes.
// To leave a list of hosts to the driver, pass the connector from
// driver.OpenConnector to New.
//
// Open fails if the driver is unknown, if the DSN or a setting is wrong, or if the
// driver's connections are not of type C. If the driver does not report their type
// (driver.Advice.Conn), the first connect fails instead.
func Open[C any](name, dsn string, cfg Config) (*Pool[C], error) {
	rest, errPool := cfg.CutDSN(dsn)
	connector, err := endpoints.Open(name, rest, cfg.Logger)
	if err != nil {
		err = fmt.Errorf("pool: %w", err)
	}
	if err := errors.Join(errPool, err); err != nil {
		cfg.dropBudget()
		return nil, errors.Join(err, cfg.withDefaults(driver.Advice{}).check())
	}
	if a, ok := connector.(driver.Advisor); !ok || a.Advice().Name == "" {
		cfg.Name = cmp.Or(cfg.Name, nameOf(name, rest))
	}
	return New[C](connector, cfg)
}

// New returns a pool of the connections that connector makes. Like [Open], it does not
// dial or block. It fails if connector is nil, if a setting is wrong, if the
// connections are not of type C, or if the gate of a pool_budget can't be opened. To
// take pool_ parameters from a DSN, use [Config.CutDSN].
func New[C any](connector driver.Connector, cfg Config) (*Pool[C], error) {
	if connector == nil {
		cfg.dropBudget()
		return nil, errors.New("pool: the connector is nil; want one from driver.OpenConnector or from a driver's NewConnector")
	}
	var advice driver.Advice
	if a, ok := connector.(driver.Advisor); ok {
		advice = a.Advice()
	}
	cfg = cfg.withDefaults(advice)
	cfg.Name = cmp.Or(cfg.Name, fmt.Sprintf("%T", connector))
	if err := errors.Join(checkType[C](advice.Conn), cfg.check()); err != nil {
		cfg.dropBudget()
		return nil, err
	}
	p := &Pool[C]{cfg: cfg, answer: advice.Answer, newConn: connector.Connect, id: lastID.Add(1), start: time.Now(), log: cfg.Logger.WithValues("pool", cfg.Name)}
	if err := p.joinBudget(); err != nil {
		return nil, err
	}
	p.obeyStrictGate()
	if c, ok := connector.(interface{ State() []endpoints.State }); ok {
		p.servers = c.State
	}
	p.slots.Store(new([]*slot[C]))
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.connects, p.endConnects = context.WithCancel(p.ctx)
	p.outage.backoff = cfg.Backoff
	p.maxIdle = cfg.maxIdle()
	p.keeper.every = cfg.sweepInterval()
	p.arm(false)
	if cfg.LeakAfter > 0 {
		leases() // so that pprof lists it from now on
	}
	p.mu.Lock()
	p.setMaxLocked(cfg.MaxOpen)
	if t, ok := connector.(driver.Tracker); ok {
		p.trackLocked(t)
	}
	p.fillLocked()
	p.mu.Unlock()
	return p, nil
}

// String returns the name of the pool, as in its errors.
func (p *Pool[C]) String() string { return fmt.Sprintf("pool %q", p.cfg.Name) }

// Format prints String for every verb, because the fields may change while fmt reads
// them.
func (p *Pool[C]) Format(s fmt.State, _ rune) { io.WriteString(s, p.String()) }

// now returns the time on the pool's clock, which is monotonic and starts at zero when
// the pool is opened.
func (p *Pool[C]) now() time.Duration { return time.Since(p.start) }

// goLocked runs f in a goroutine of the pool; Close and Shutdown wait for it.
func (p *Pool[C]) goLocked(f func()) {
	p.running++
	go func() {
		defer func() {
			p.mu.Lock()
			p.running--
			p.changedLocked()
			p.mu.Unlock()
		}()
		f()
	}()
}

// changedLocked wakes await.
func (p *Pool[C]) changedLocked() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// await blocks until ok returns true. It calls ok under mu. If ctx ends first, it
// returns the error of ctx.
func (p *Pool[C]) await(ctx context.Context, ok func() bool) error {
	for {
		p.mu.Lock()
		if ok() {
			p.mu.Unlock()
			return nil
		}
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Resize sets MaxOpen to n, without blocking. If more connections are open, it closes
// idle ones now, and leased ones when they are released. Zero suspends the pool until
// the next Resize: it makes no connections, and callers of Acquire wait, or fail at
// once with ErrSuspended if FailFast is set. If n is less than MinIdle, the pool keeps
// at most n connections ready. A negative n is an error.
func (p *Pool[C]) Resize(n int) error {
	if n < 0 {
		return fmt.Errorf("pool %q: Resize(%d); want 0 or more", p.cfg.Name, n)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.setMaxLocked(n)
	p.trimLocked()
	p.serveLocked()
	p.changedLocked() // Ready may now wait for fewer connections
	return nil
}

// setMaxLocked sets MaxOpen to n.
func (p *Pool[C]) setMaxLocked(n int) {
	p.max = n
	p.nests.Store(n <= maxNested)
	p.simplifyLocked()
}

// simplifyLocked computes simple from the settings and the outage.
func (p *Pool[C]) simplifyLocked() {
	c := &p.cfg
	p.simple.Store(c.OnRelease == nil && c.MaxUses == 0 && (p.maxIdle < 0 || p.maxIdle >= p.max) && !c.checksEveryUse() &&
		p.outage.useless < 2) // otherwise Release must notice a connection that proves useful
}

// trimLocked retires the connections beyond max: idle ones first, then held ones,
// then leased ones. Connects in progress are checked against max when they end.
func (p *Pool[C]) trimLocked() {
	excess := p.openLocked() - p.max
	for _, s := range *p.slots.Load() {
		if w := s.load(); w.has(retire) && (w.phase() == leased || w.phase() == held) {
			excess-- // already being retired
		}
	}
	for excess > 0 { // repeats, because a lease may end after its phase was tried
		for _, from := range []phase{idle, held, leased} {
			excess -= p.retireSomeLocked(excess, from)
		}
	}
}

// retireSomeLocked retires up to n connections in the phase from, and returns
// how many.
func (p *Pool[C]) retireSomeLocked(n int, from phase) (retired int) {
	for _, s := range *p.slots.Load() {
		if retired >= n {
			break
		}
		if w := s.load(); w.phase() == from && !w.has(retire) && p.retireLocked(s, tooMany) {
			retired++
		}
	}
	return retired
}
