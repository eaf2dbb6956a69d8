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

// Fake is a driver and its server in memory, for tests of a pool and of
// programs that use one. It is a [driver.Driver], its own [driver.Connector]
// whatever the DSN, and its connections are [*FakeConn].
//
// Left alone it is a healthy peer. A test scripts it with [Fake.Next] and
// [Fake.Always], ends connections with [Fake.KillAll] and [FakeConn.Kill], and
// reads what happened from [Fake.Counts]. Misuse of a connection fails the
// test: two users at a time, use after Close, a second Close.
//
// All methods are safe for concurrent use. In a testing/synctest bubble, make
// the Fake inside it. The zero value works as well; then the test looks at
// [Fake.Violations] itself.
type Fake struct {
	// Wrap makes what Connect returns of each connection: [Bare], [Bound], or
	// a type of the test that embeds the *FakeConn and has the methods of
	// a protocol. Nil returns the *FakeConn. Set it before the first Connect.
	Wrap func(*FakeConn) driver.Conn

	// Advised is what Advice returns. Set it before a pool is opened.
	Advised driver.Advice

	scripted [ops]atomic.Bool // whether scripts[op] was ever set

	mu         sync.Mutex // guards the fields below; never held while a Step runs
	room       *room      // nil: any number of connections
	refusing   int        // calls of Connect under way that found no room
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

// Counts is what a [Fake] saw up to now.
type Counts struct {
	Connects   int // calls of Connect, those under way as well
	Connected  int // calls of Connect that succeeded
	Connecting int // calls of Connect under way now
	Open       int // connected, and Close has not returned
	Peak       int // the most that Connecting and Open ever were together, as the server counts
	Pings      int // calls of Ping
	Resets     int // calls of ResetSession
	Closes     int // calls of Close, second ones as well
}

// Counts returns the counts of now.
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

// DSNs returns what Open and OpenConnector were given, oldest first.
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

// KillAll ends all connections from the side of the server, as a restart of it
// does, those that are connecting as well. See [FakeConn.Kill].
func (f *Fake) KillAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		c.kill()
	}
}

// room is how many connections the server takes.
type room struct {
	n     int
	after time.Duration
}

// Room limits the server to n connections from now on. Those that are
// connecting, open or closing count; those over the limit stay open. A Connect
// that begins when there are n already fails with [driver.Full] and the hint
// after, and does not count. The script of [Connect] is played first, so
// a [Delay] delays the refusal too. A negative n takes the limit away.
func (f *Fake) Room(n int, after time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.room = &room{n, after}
	if n < 0 {
		f.room = nil
	}
}

// admitLocked takes c in, or notes why there is no room for it.
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

// OpenConnector takes any DSN and returns f.
func (f *Fake) OpenConnector(dsn string) (driver.Connector, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dsns = append(f.dsns, dsn)
	return f, nil
}

// Driver returns f.
func (f *Fake) Driver() driver.Driver { return f }

// Advice returns f.Advised.
func (f *Fake) Advice() driver.Advice { return f.Advised }

// String returns a short name, so that no log shows the DSNs.
func (f *Fake) String() string { return "drivertest.Fake" }

// Connect makes a connection unless the script of [Connect] says otherwise.
func (f *Fake) Connect(ctx context.Context) (driver.Conn, error) {
	c := f.accept()
	connected := false
	defer func() { f.settle(c, connected) }() // also when the step panics

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

// accept begins a connection. The server counts it from here on.
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

// settle ends the Connect that makes c.
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

// closed takes c off the server's count.
func (f *Fake) closed(c *FakeConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts.Open--
	f.forgetLocked(c)
}

func (f *Fake) forgetLocked(c *FakeConn) {
	f.conns = slices.DeleteFunc(f.conns, func(other *FakeConn) bool { return other == c })
}

// Violations returns each misuse of a connection that was seen, with the stack
// of the caller.
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
