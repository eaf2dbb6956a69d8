package drivertest

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// Fake is a driver and its server in memory, for tests of a pool and of programs
// that use one. It is a [driver.Driver], and its own [driver.Connector] for every
// DSN. Its connections are [*FakeConn].
//
// By default it is a healthy peer. A test scripts it with [Fake.Next] and
// [Fake.Always], ends connections with [Fake.KillAll] and [FakeConn.Kill], and
// reads [Fake.Counts]. Misuse of a connection fails the test: two users at
// a time, use after Close, a second Close.
//
// All methods are safe for concurrent use. In a testing/synctest bubble, make
// the Fake inside the bubble. The zero value works too, but the test must check
// [Fake.Violations] itself.
type Fake struct {
	// Wrap turns each connection into the value that Connect returns: use
	// [Bare], [Bound], or a function that returns a type of the test, which
	// embeds the *FakeConn and has the methods of a protocol. Nil means the
	// *FakeConn itself. Set it before the first Connect.
	Wrap func(*FakeConn) driver.Conn

	// Advised is what Advice returns. Set it before a pool is opened.
	Advised driver.Advice

	scripted [ops]atomic.Bool // whether scripts[op] was ever set

	mu         sync.Mutex // guards the fields below; never held while a Step runs
	room       *room      // nil: any number of connections
	refusing   int        // calls of Connect in progress that found no room
	scripts    [ops]script
	dsns       []string
	conns      []*FakeConn // connecting, open and closing, by ID
	counts     Counts
	times      []time.Time
	violations []string
}

// NewFake returns a Fake that fails t, when the test ends, for each misuse of
// a connection.
func NewFake(t testing.TB) *Fake {
	f := &Fake{}
	t.Cleanup(func() {
		for _, v := range f.Violations() {
			t.Error(v)
		}
	})
	return f
}

// Counts holds what a [Fake] has counted so far.
type Counts struct {
	Connects   int // calls of Connect, including those in progress
	Connected  int // calls of Connect that succeeded
	Connecting int // calls of Connect in progress
	Open       int // connections whose Close has not returned
	Peak       int // the highest sum of Connecting and Open, as the server counts
	Pings      int // calls of Ping
	Resets     int // calls of ResetSession
	Closes     int // calls of Close, including second ones
}

// Counts returns the current counts.
func (f *Fake) Counts() Counts {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts
}

// count changes the counts under the lock.
func (f *Fake) count(change func(*Counts)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.counts)
}

// ConnectTimes returns when each call of Connect began, oldest first.
func (f *Fake) ConnectTimes() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.times)
}

// DSNs returns the DSNs passed to Open and OpenConnector, oldest first.
func (f *Fake) DSNs() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.dsns)
}

// Conns returns the connections that are open now, oldest first.
func (f *Fake) Conns() []*FakeConn {
	f.mu.Lock()
	defer f.mu.Unlock()
	open := slices.Clone(f.conns)
	return slices.DeleteFunc(open, func(c *FakeConn) bool { return !c.connected })
}

// KillAll ends all connections, including those still connecting, as a restart of
// the server does. See [FakeConn.Kill].
func (f *Fake) KillAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		c.kill()
	}
}

// room says how many connections the server accepts.
type room struct {
	n     int
	after time.Duration // of driver.Full
}

// Room limits the server to n connections from now on. Connections that are
// connecting, open or closing count; those over the limit stay open. A Connect
// that begins when there are already n fails with [driver.Full] and the pause
// after, and does not count. The script of [Connect] runs first, so a [Delay]
// delays the refusal too. A negative n removes the limit.
func (f *Fake) Room(n int, after time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.room = &room{n, after}
	if n < 0 {
		f.room = nil
	}
}

// admitLocked sets c.full if there is no room for c.
func (f *Fake) admitLocked(c *FakeConn) {
	if r := f.room; r != nil && f.counts.Connecting+f.counts.Open-f.refusing > r.n {
		c.full = driver.Full(fmt.Errorf("the server has no room for more than %d connections", r.n), r.after)
		f.refusing++
	}
}

// Down begins an outage: all connections die, and from now on each Connect
// fails with err.
func (f *Fake) Down(err error) {
	f.Always(Connect, Fail(err))
	f.KillAll()
}

// Up ends the outage: Connect succeeds again.
func (f *Fake) Up() { f.Always(Connect, nil) }

// Open connects as Connect does.
func (f *Fake) Open(dsn string) (driver.Conn, error) {
	c, err := f.OpenConnector(dsn)
	if err != nil {
		return nil, err
	}
	return c.Connect(context.Background())
}

// OpenConnector accepts any DSN and returns f.
func (f *Fake) OpenConnector(dsn string) (driver.Connector, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dsns = append(f.dsns, dsn)
	return f, nil
}

// Advice returns f.Advised.
func (f *Fake) Advice() driver.Advice { return f.Advised }

// String returns a short name, so that logs don't show the DSNs.
func (f *Fake) String() string { return "drivertest.Fake" }

// Connect makes a connection, after the step of [Connect] if there is one.
func (f *Fake) Connect(ctx context.Context) (driver.Conn, error) {
	c := f.accept()
	connected := false
	defer func() { f.settle(c, connected) }() // even if the step panics

	err := ctx.Err()
	if err == nil {
		err = f.play(ctx, Connect, c)
	}
	if err == nil && c.isKilled() {
		err = io.EOF
	}
	if err == nil {
		err = c.full
	}
	if err != nil {
		return nil, fmt.Errorf("drivertest: connect: %w", err)
	}
	var conn driver.Conn = c
	if f.Wrap != nil {
		conn = f.Wrap(c)
	}
	connected = true
	return conn, nil
}

// accept begins a connection. The server counts it from then on.
func (f *Fake) accept() *FakeConn {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.times = append(f.times, time.Now())
	f.counts.Connects++
	f.counts.Connecting++
	f.counts.Peak = max(f.counts.Peak, f.counts.Connecting+f.counts.Open)
	c := &FakeConn{
		ID:     f.counts.Connects,
		fake:   f,
		closed: make(chan struct{}),
		killed: make(chan struct{}),
	}
	f.admitLocked(c)
	f.conns = append(f.conns, c)
	return c
}

// settle updates the counts at the end of the Connect that made c.
func (f *Fake) settle(c *FakeConn, connected bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts.Connecting--
	if c.full != nil {
		f.refusing--
	}
	if !connected {
		f.forgetLocked(c)
		return
	}
	c.connected = true
	f.counts.Connected++
	f.counts.Open++
}

// closed removes c from the server's count.
func (f *Fake) closed(c *FakeConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts.Open--
	f.forgetLocked(c)
}

func (f *Fake) forgetLocked(c *FakeConn) {
	f.conns = slices.DeleteFunc(f.conns, func(other *FakeConn) bool { return other == c })
}

// Violations returns each misuse of a connection, with the stack of the caller.
func (f *Fake) Violations() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.violations)
}

func (f *Fake) violation(c *FakeConn, what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.violations = append(f.violations, fmt.Sprintf("drivertest: connection %d: %s\n%s", c.ID, what, debug.Stack()))
}
