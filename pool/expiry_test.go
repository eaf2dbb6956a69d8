package pool_test

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// fewest is the smallest number of open connections that a Fake has had. Only a Close
// reduces the number, so that is where it is checked.
type fewest struct {
	mu sync.Mutex
	n  int
}

// watchFewest returns the fewest of f from now on. It makes each Close take d.
func watchFewest(f *drivertest.Fake, d time.Duration) *fewest {
	w := &fewest{n: len(f.Conns())}
	f.Always(drivertest.Close, func(context.Context, *conn) error {
		now := f.Counts() // all counts at once, because others connect and close meanwhile
		w.mu.Lock()
		w.n = min(w.n, now.Connected-now.Closes)
		w.mu.Unlock()
		sleep(d)
		return nil
	})
	return w
}

func (w *fewest) get() int {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n
}

// mostConnecting makes each Connect of f take d, and returns the highest number
// of Connects in progress at once.
func mostConnecting(f *drivertest.Fake, d time.Duration) *atomic.Int64 {
	var most atomic.Int64
	f.Always(drivertest.Connect, func(ctx context.Context, c *conn) error {
		n := int64(f.Counts().Connecting)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		return drivertest.Delay(d)(ctx, c)
	})
	return &most
}

// sameAge returns a pool of n idle connections that all reach MaxLifetime in one
// minute.
func sameAge(t *testing.T, n int, cfg pool.Config) (*drivertest.Fake, *pool.Pool[*conn]) {
	cfg.MaxLifetime, cfg.LifetimeJitter, cfg.MaxIdleTime = time.Minute, -1, -1
	cfg.MaxOpen = max(cfg.MaxOpen, n)
	f, p := openFake(t, cfg)
	fill(t, p, n)
	return f, p
}

// oldest returns how many of the first n connections are still open.
func oldest(f *drivertest.Fake, n int) (old int) {
	for _, c := range f.Conns() {
		if c.ID <= n {
			old++
		}
	}
	return old
}

// A full pool has no room to connect before it closes. It replaces only a few
// connections at a time: MaxConnecting, but at most half.
func TestFullPoolOfOneAgeIsReplacedAFewAtATime(t *testing.T) {
	const many = 100
	for name, tt := range map[string]struct {
		n          int
		connecting int           // MaxConnecting
		room       int           // MaxOpen minus n
		users      int           // callers during the replacement
		held       time.Duration // how long all connections are leased, from the start
		closeTime  time.Duration // how long a Close takes
		least      int           // connections that must stay open
	}{
		"at rest":                   {n: 20, least: 12},
		"at rest, many at once":     {n: 20, connecting: many, least: 10},
		"at rest, one at a time":    {n: 20, connecting: 1, least: 19},
		"in use, with waiters":      {n: 20, users: 50, least: 12},
		"half in use, many at once": {n: 20, users: 10, connecting: many, least: 10},
		"released together, later":  {n: 20, held: 10 * time.Minute, connecting: many, least: 10},
		"slow to close":             {n: 20, closeTime: 2 * time.Second, least: 12},
		"slow to close, four":       {n: 4, closeTime: time.Second, least: 2},
		"with a little room":        {n: 20, room: 2, least: 10},
		"with room, few at a time":  {n: 20, room: 4, connecting: 3, least: 20},
		"three":                     {n: 3, users: 3, least: 2},
		"two":                       {n: 2, users: 1, least: 1},
		"one":                       {n: 1, users: 1, least: 0},
	} {
		bubble(t, name, func(t *testing.T) {
			end := time.Now().Add(max(tt.held, 80*time.Second) + 25*time.Second)
			f, p := sameAge(t, tt.n, pool.Config{MaxOpen: tt.n + tt.room, MaxConnecting: tt.connecting})
			leases := acquireN(t, p, tt.n)
			time.AfterFunc(tt.held, func() { releaseAll(leases) })
			advance(50 * time.Second)
			most := mostConnecting(f, 500*time.Millisecond)
			least := watchFewest(f, tt.closeTime)
			calls, errs := toil(p, tt.users, 30*time.Second, 10*time.Millisecond, release)
			wantNoErrors(t, calls, errs)
			advance(time.Until(end))
			assert.GreaterOrEqual(t, least.get(), tt.least, "open connections")
			assert.Zero(t, oldest(f, tt.n), "connections past their lifetime")
			assert.Equal(t, tt.n, p.Stats().Open)
			assert.Equal(t, int64(tt.n), p.Stats().Closed.Lifetime)
			assert.Equal(t, 2*tt.n, f.Counts().Connects, "one replacement for each")
			assert.LessOrEqual(t, f.Counts().Peak, tt.n+tt.room)
			assert.LessOrEqual(t, most.Load(), int64(cmp.Or(tt.connecting, 8)))
		})
	}
}

// The next connections are closed as soon as replacements are open. They do not wait
// for the usual sweep.
func TestBigPoolOfOneAgeIsReplacedQuickly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := sameAge(t, 200, pool.Config{})
		f.Always(drivertest.Connect, drivertest.Delay(time.Millisecond))
		advance(61 * time.Second)
		assert.Zero(t, oldest(f, 200))
		assert.Equal(t, 200, p.Stats().Idle)
	})
}

// While connecting fails, an old connection that works is better than none. A full
// server may give the room of a closed connection to another client.
func TestOldConnectionsStayWhileConnectingFails(t *testing.T) {
	for name, tt := range map[string]struct {
		connect drivertest.Step
		cfg     pool.Config
		held    time.Duration // how long all connections are leased, from the start
	}{
		"refused":             {connect: drivertest.Fail(errScripted)},
		"refused, MinIdle":    {connect: drivertest.Fail(errScripted), cfg: pool.Config{MinIdle: 20}},
		"refused, in use":     {connect: drivertest.Fail(errScripted), held: 2 * time.Minute},
		"refused permanently": {connect: drivertest.Fail(driver.Permanent(errScripted))},
		"refused for a time":  {connect: drivertest.Fail(driver.Throttled(errScripted, time.Minute))},
		"the server is full":  {connect: drivertest.Fail(driver.Full(errScripted, 0))},
		"no answer":           {connect: drivertest.Hang},
		"one at a time":       {connect: drivertest.Fail(errScripted), cfg: pool.Config{MaxConnecting: 1}},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := sameAge(t, 20, tt.cfg)
			leases := acquireN(t, p, 20)
			time.AfterFunc(tt.held, func() { releaseAll(leases) })
			f.Always(drivertest.Connect, tt.connect)
			advance(4 * time.Minute)
			stay := 20 - cmp.Or(tt.cfg.MaxConnecting, 8)
			require.GreaterOrEqual(t, p.Stats().Open, stay)
			began := time.Now()
			leases = acquireN(t, p, stay)
			assert.Zero(t, time.Since(began))
			releaseAll(leases)

			f.Always(drivertest.Connect, nil)
			advance(2 * time.Minute)
			releaseAll(acquireN(t, p, stay+1)) // a permanent error ends when a caller needs a Connect
			advance(time.Minute / 2)
			assert.Zero(t, oldest(f, 20), "connections past their lifetime")
			assert.GreaterOrEqual(t, p.Stats().Open, max(stay, tt.cfg.MinIdle))
		})
	}
}

// Callers that come one at a time always find an idle connection, even in a small pool.
// Behind a full gate, there is no room to connect before an old connection is closed,
// even if MaxOpen has room.
func TestPoolOfOneAgeBehindAFullGateIsReplacedAFewAtATime(t *testing.T) {
	for name, tt := range map[string]struct {
		connecting int // MaxConnecting
		leased     int // connections that are in use when they come of age
		down       bool
		least      int // connections that must stay open
	}{
		"at rest":                {least: 4},
		"one at a time":          {connecting: 1, least: 7},
		"in use":                 {leased: 8, least: 4},
		"partly in use":          {leased: 5, least: 4},
		"while connecting fails": {down: true, least: 4},
	} {
		bubble(t, name, func(t *testing.T) {
			const n = 8
			f, p := sameAge(t, n, pool.Config{MaxOpen: 20, MaxConnecting: tt.connecting, Gate: pool.NewGate(n)})
			leases := acquireN(t, p, tt.leased)
			advance(50 * time.Second)
			least := watchFewest(f, 0)
			if tt.down {
				f.Always(drivertest.Connect, drivertest.Fail(errScripted))
				advance(time.Hour)
				f.Always(drivertest.Connect, nil)
			}
			advance(12 * time.Second)
			releaseAll(leases)
			advance(20 * time.Second)
			assert.GreaterOrEqual(t, least.get(), tt.least, "open connections")
			assert.Zero(t, oldest(f, n), "connections past their lifetime")
			assert.Equal(t, n, p.Stats().Open)
			assert.LessOrEqual(t, f.Counts().Peak, n)
		})
	}
}

func TestSingleCallerNeverWaitsForARotation(t *testing.T) {
	for name, tt := range map[string]struct {
		n    int
		held int // how many of these are leased all the time
		cfg  pool.Config
	}{
		"two":                  {n: 2},
		"twenty":               {n: 20},
		"twenty, many at once": {n: 20, cfg: pool.Config{MaxConnecting: 100}},
		"every use pinged":     {n: 2, cfg: pool.Config{ValidateAfter: 1}},
		"half in use":          {n: 20, held: 10, cfg: pool.Config{MaxOpen: 24, MaxConnecting: 3}},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := sameAge(t, tt.n, tt.cfg)
			held := acquireN(t, p, tt.held)
			f.Always(drivertest.Connect, drivertest.Delay(time.Second))
			worst := time.Duration(0)
			for range 9000 { // 90 seconds
				began := time.Now()
				l := acquire(t, p)
				worst = max(worst, time.Since(began))
				<-time.After(10 * time.Millisecond)
				l.Release()
			}
			assert.Zero(t, worst)
			assert.Equal(t, tt.held, oldest(f, tt.n))
			releaseAll(held)
		})
	}
}

// Firewalls and servers drop connections that are idle for longer than MaxIdleTime,
// so no caller may get one. The pool may close a connection up to a tenth early.
func TestNoCallerGetsAConnectionThatWasIdleForMaxIdleTime(t *testing.T) {
	for name, tt := range map[string]struct {
		limit time.Duration
		cfg   pool.Config
		wrap  func(*conn) driver.Conn
		busy  bool // another connection is in use all the time
	}{
		"a minute":         {limit: time.Minute},
		"a second":         {limit: time.Second},
		"a tenth":          {limit: 100 * time.Millisecond},
		"others in use":    {limit: time.Minute, busy: true},
		"never pinged":     {limit: time.Minute, cfg: pool.Config{ValidateAfter: -1}},
		"every use pinged": {limit: time.Minute, cfg: pool.Config{ValidateAfter: 1}},
		"no Pinger":        {limit: time.Minute, wrap: drivertest.Bare},
		"kept alive":       {limit: time.Minute, cfg: pool.Config{KeepAlive: 15 * time.Second}},
		"default of 5m":    {limit: 5 * time.Minute},
	} {
		bubble(t, name, func(t *testing.T) {
			f := drivertest.NewFake(t)
			f.Wrap = tt.wrap
			if tt.limit != 5*time.Minute {
				tt.cfg.MaxIdleTime = tt.limit
			}
			tt.cfg.MaxLifetime = -1
			p := open[driver.Conn](t, f, tt.cfg)
			if tt.busy {
				defer acquire(t, p).Release()
			}
			connects := func() int {
				l := acquire(t, p)
				defer l.Release()
				return f.Counts().Connects
			}
			for i := range time.Duration(40) {
				sleep(tt.limit * i / 37) // so that releases happen at any time between two sweeps
				before := connects()
				<-time.After(tt.limit * 89 / 100)
				require.Equal(t, before, connects(), "closed more than a tenth early in round %d", i)
				<-time.After(tt.limit + 1)
				require.Equal(t, before+1, connects(), "lent after MaxIdleTime in round %d", i)
			}
		})
	}
}

// A Watch that lasts hours must not keep other connections from being replaced.
func TestLongLeasesDoNotStopTheRotation(t *testing.T) {
	for name, tt := range map[string]struct{ size, watches, connecting int }{
		"one of two":             {2, 1, 0},
		"one of twenty":          {20, 1, 1},
		"as many as may connect": {20, 8, 8},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := sameAge(t, tt.size, pool.Config{MaxConnecting: tt.connecting})
			watches := acquireN(t, p, tt.watches)
			advance(10 * time.Minute)
			assert.Equal(t, tt.watches, oldest(f, tt.size))
			releaseAll(watches)
		})
	}
}

func TestNoReplacementIsMadeForAPoolThatKeepsNoIdleConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxIdle: -1, MaxLifetime: time.Minute, LifetimeJitter: -1})
		l := acquire(t, p)
		advance(10 * time.Minute)
		l.Release()
		synctest.Wait()
		assert.Equal(t, 1, f.Counts().Connects)
		assert.Equal(t, int64(1), p.Stats().Closed.Lifetime)
	})
}
