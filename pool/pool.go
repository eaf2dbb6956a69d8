package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/hotline-go/hotline/driver"
)

// Pool keeps connections that are used as a C: an interface that the driver's
// connections implement, or their concrete type. All methods may be called
// from any goroutine. It must not be copied.
type Pool[C any] struct {
	// Read by every Acquire and Release, written seldom or never.
	gate   atomic.Int32               // waiters in the queue, or closedGate; 0 = Acquire may take the fast path
	simple atomic.Bool                // no setting makes Release take the slow path
	slots  atomic.Pointer[[]*slot[C]] // all slots; grows under mu, its elements never change
	list   list                       // the slots that may be idle
	hint   sync.Pool                  // of *slot[C]: the last one released on this CPU, maybe idle
	cfg    Config                     // never changes; MaxOpen and MaxIdle are only where the pool began
	_      [64]byte                   // keeps the writes below off the lines above

	newConn func(context.Context) (driver.Conn, error) // a func, so that fmt shows nobody what the connector knows
	log     logr.Logger
	start   time.Time // zero of the pool's clock
	ctx     context.Context
	cancel  context.CancelFunc // ends ctx, and with it the Connects and Pings under way
	waiters sync.Pool          // of *waiter[C]

	mu        sync.Mutex // guards all below; never held across I/O, a hook, the log or a wait
	closed    bool
	max       int        // MaxOpen, or what Resize made of it
	maxIdle   int        // MaxIdle; negative = no limit
	warm      []int      // how many each caller of Ready and Warm wants open
	free      []*slot[C] // without connection
	queue     queue[C]
	joining   *waiter[C]  // the caller that is joining the queue, while it does
	expiry    *time.Timer // for the oldest waiter's AcquireTimeout
	expirySet bool

	connects    context.Context    // of the Connects of this epoch
	endConnects context.CancelFunc // ends connects
	epoch       uint64             // Resets so far
	attempts    []*attempt[C]      // Connects under way
	started     uint64             // Connects so far
	lastSuccess success
	beyond      pace // of Connects beyond MaxConnecting, where those hang
	outage      outage
	retry       *time.Timer // connects again when the outage allows it

	pinging   int // Pings under way, each of a connection that is held
	asked     int // of pinging: those for waiters; the others are keepalives
	suspicion suspicion
	closing   int // Closes under way that count against MaxOpen
	keeper    keeper

	running int           // goroutines of the pool
	changed chan struct{} // closed at the next change that await may wait for
	total   counters
}

// closedGate is the gate of a closed pool: more than any number of waiters.
const closedGate = 1 << 30

// Open returns a pool of connections of the named driver to what dsn says. It
// neither dials nor blocks; MinIdle connections are made in the background.
// Parameters of dsn that begin with pool_ set the field of Config that they
// name (pool_max_open=20&pool_keepalive=30s), whatever cfg says, and are kept
// from the driver.
//
// Its errors are about an unknown driver, a wrong DSN, or wrong settings. If the
// driver's connections do not implement C, the first connect fails.
func Open[C any](name, dsn string, cfg Config) (*Pool[C], error) {
	rest, errPool := cfg.CutDSN(dsn)
	connector, err := driver.OpenConnector(name, rest)
	if err != nil {
		err = fmt.Errorf("pool: %w", err)
	}
	if err := errors.Join(errPool, err); err != nil {
		return nil, errors.Join(err, cfg.withDefaults(driver.Advice{}).check())
	}
	if a, ok := connector.(driver.Advisor); !ok || a.Advice().Name == "" {
		or(&cfg.Name, nameOf(name, rest))
	}
	return New[C](connector, cfg)
}

// New is Open for a connector at hand; [Config.CutDSN] has the parameters.
func New[C any](connector driver.Connector, cfg Config) (*Pool[C], error) {
	if connector == nil {
		return nil, errors.New("pool: the connector is nil; want one from driver.OpenConnector or from a driver's NewConnector")
	}
	var advice driver.Advice
	if a, ok := connector.(driver.Advisor); ok {
		advice = a.Advice()
	}
	cfg = cfg.withDefaults(advice)
	or(&cfg.Name, fmt.Sprintf("%T", connector))
	if err := cfg.check(); err != nil {
		return nil, err
	}
	p := &Pool[C]{cfg: cfg, newConn: connector.Connect, start: time.Now(), log: cfg.Logger.WithValues("pool", cfg.Name)}
	p.slots.Store(new([]*slot[C]))
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.connects, p.endConnects = context.WithCancel(p.ctx)
	p.outage.backoff = cfg.Backoff
	p.maxIdle = cfg.maxIdle()
	p.keeper.every = cfg.sweepInterval()
	p.mu.Lock()
	p.setMaxLocked(cfg.MaxOpen)
	p.fillLocked()
	p.mu.Unlock()
	return p, nil
}

// String returns the name of the pool, as errors and logs show it.
func (p *Pool[C]) String() string { return fmt.Sprintf("pool %q", p.cfg.Name) }

// Format prints String for every verb: the fields change all the time.
func (p *Pool[C]) Format(s fmt.State, _ rune) { io.WriteString(s, p.String()) }

// now is the pool's clock: monotonic, from its start.
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

// await blocks until ok, called under mu, reports true, or until ctx ends. It
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

// Resize sets MaxOpen to n, without blocking. Where more are open, idle
// connections are closed now, and leased ones when they are released. Zero
// suspends the pool until the next Resize: it connects to nothing, and callers
// of Acquire wait, or fail at once with ErrSuspended if FailFast is set. A
// MinIdle above n is not reached. A negative n is an error.
func (p *Pool[C]) Resize(n int) error {
	if n < 0 {
		return fmt.Errorf("pool %q: Resize(%d); want 0 or more", p.cfg.Name, n)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.setMaxLocked(n)
	p.trimLocked()
	p.serveLocked()
	p.changedLocked() // Ready may wait for fewer now
	return nil
}

// setMaxLocked sets MaxOpen to n.
func (p *Pool[C]) setMaxLocked(n int) {
	p.max = n
	p.simplifyLocked()
}

// simplifyLocked sets simple to what the settings and the outage say.
func (p *Pool[C]) simplifyLocked() {
	c := &p.cfg
	p.simple.Store(c.OnRelease == nil && c.MaxUses == 0 && (p.maxIdle < 0 || p.maxIdle >= p.max) && !c.checksEveryUse() &&
		p.outage.useless < 2) // else releases are looked at for one that proves the server well
}

// trimLocked retires the connections beyond max: idle ones first, then those
// that are held, then leased ones. Connects under way are looked at when they
// end.
func (p *Pool[C]) trimLocked() {
	excess := p.openLocked() - p.max
	for _, s := range *p.slots.Load() {
		if w := s.load(); w.has(retire) && (w.phase() == leased || w.phase() == held) {
			excess-- // on its way out already
		}
	}
	for excess > 0 { // again, because a lease may have ended since its phase was tried
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

// Reset evicts every connection, without blocking: idle ones now, leased ones
// when they are released. Connects under way are ended, and connect failures
// forgotten, so that new ones are made at once. Waiters stay in the queue. It is
// for new credentials and for a server that moved.
func (p *Pool[C]) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.epoch++
	p.endConnects()
	p.connects, p.endConnects = context.WithCancel(p.ctx)
	p.outage, p.beyond, p.keeper.owed = outage{backoff: p.cfg.Backoff}, pace{}, 0
	p.simplifyLocked()
	for _, s := range *p.slots.Load() {
		p.retireLocked(s, outOfDate)
	}
	p.serveLocked()
}
