package fleet

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/dsn"
	"github.com/hotline-go/hotline/pool"
)

// openers has the open functions given to Register, by scheme.
var openers sync.Map

// Register makes a store available to [Open], and to pool_budget in a pool's DSN, under
// the scheme of its DSN. open gets the DSN without the budget and without the
// parameters of this package. It should not connect; the store's first call does that. A
// store that is an [io.Closer] is closed when no gate uses it any more. Register panics
// if the scheme is taken.
func Register(scheme string, open func(dsn string) (Store, error)) {
	pool.RegisterBudget(scheme, func(text string) (pool.Gate, error) {
		g, err := Open(text)
		if err != nil {
			return nil, err // not a nil *Gate
		}
		return g, nil
	})
	openers.Store(scheme, open)
}

// Open returns a gate for the budget that a DSN names. The package of the store must be
// imported.
//
//	redis://user:password@host/budget?limit=15&ttl=15s
//
// The last part of the path is the budget. The parameters limit, ttl, grace, spare,
// floor and strict are the fields of [Config]; others are for the store.
//
// The DSN parameter pool_budget of a pool does the same with its value, except that all
// pools of a process with the same value share one gate. The Close of the last of these
// pools closes it, and the next pool opens it again.
//
// Gates whose DSNs name the same store share one client. The last Close closes it.
func Open(text string) (*Gate, error) {
	u, cfg, err := parse(text)
	if err != nil {
		return nil, err
	}
	store, closeStore, err := share(u)
	if err != nil {
		return nil, err
	}
	g, err := New(store, cfg)
	if err != nil {
		return nil, errors.Join(err, closeStore())
	}
	g.closeStore = closeStore
	return g, nil
}

// OpenStore returns the store and the Config that a DSN names, for programs that change
// the Config before [New], or that only read the store, as [Show] does. Close the store
// if it is an [io.Closer].
func OpenStore(text string) (Store, Config, error) {
	u, cfg, err := parse(text)
	if err != nil {
		return nil, cfg, err
	}
	store, err := openStore(u)
	return store, cfg, err
}

// stores has the stores that Open has opened, by DSN without the budget.
var stores = struct {
	mu   sync.Mutex // guards the fields below, and the fields of the elements of open
	open map[string]*shared
}{open: map[string]*shared{}}

type shared struct {
	Store
	gates int
}

// share returns the store that u names, and a function that the gate calls when it no
// longer needs the store.
func share(u *dsn.URL) (Store, func() error, error) {
	stores.mu.Lock()
	defer stores.mu.Unlock()
	name := u.Unredacted()
	s := stores.open[name]
	if s == nil {
		store, err := openStore(u)
		if err != nil {
			return nil, nil, err
		}
		s = &shared{Store: store}
		stores.open[name] = s
	}
	s.gates++
	return s.Store, func() error {
		stores.mu.Lock()
		s.gates--
		last := s.gates == 0
		if last {
			delete(stores.open, name)
		}
		stores.mu.Unlock()
		if c, ok := s.Store.(io.Closer); ok && last {
			return c.Close()
		}
		return nil
	}, nil
}

// openStore opens the store that u names.
func openStore(u *dsn.URL) (Store, error) {
	open, ok := openers.Load(u.Scheme)
	if !ok {
		return nil, fmt.Errorf("fleet: no store is registered for %.20q; import its package", u.Scheme)
	}
	rest := u.Unredacted()
	store, err := open.(func(string) (Store, error))(rest)
	if err != nil {
		return nil, fmt.Errorf("fleet: %w", driver.Redact(u.Scheme, rest, err))
	}
	return store, nil
}

// parse splits a DSN into the DSN of the store and the settings.
func parse(text string) (*dsn.URL, Config, error) {
	var cfg Config
	u, err := dsn.Parse(text)
	if err != nil {
		return nil, cfg, fmt.Errorf("fleet: %w", err)
	}
	path := strings.TrimSuffix(u.Path, "/")
	cut := strings.LastIndexByte(path, '/')
	if cut < 0 || cut+1 == len(path) {
		return nil, cfg, errors.New("fleet: no budget; want its name as the last part of the path, as in redis://host/budget?limit=15")
	}
	cfg.Budget, u.Path = path[cut+1:], path[:cut]
	own, table := map[string]string{}, cfg.params()
	for _, name := range table.Names() {
		if value, ok := u.Params[name]; ok {
			own[name] = value
			delete(u.Params, name)
		}
	}
	if err := table.Apply(own); err != nil {
		return nil, cfg, fmt.Errorf("fleet: %w", err)
	}
	return u, cfg, nil
}

// params binds the parameters to the fields of c.
func (c *Config) params() *dsn.Params {
	var p dsn.Params
	p.Int("limit", &c.Limit, 1, math.MaxInt)
	p.Duration("ttl", &c.TTL, shortestTTL)
	p.Duration("grace", &c.Grace, math.MinInt64)
	p.Int("spare", &c.Spare, 0, math.MaxInt)
	p.Int("floor", &c.Floor, 0, math.MaxInt)
	p.Bool("strict", &c.Strict)
	return &p
}
