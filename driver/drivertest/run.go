package drivertest

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// Subject is a driver under test, as [Run] wants it.
type Subject struct {
	// Connector connects to Server. Required.
	Connector driver.Connector

	// Server is the peer. Required.
	Server Server

	// Exchange makes one small request on a connection of Connector and waits
	// for its answer, without a time limit of its own. It leaves no state
	// behind. Nil means that Ping does, where there is one; the rules that
	// need more are then skipped.
	Exchange func(driver.Conn) error

	// Spoil leaves state in a connection that the next holder must not see: an
	// open transaction, a selected mailbox. Nil means that there is none
	// besides deadlines.
	Spoil func(driver.Conn) error

	// Fresh returns an error if the state that Spoil left is still there.
	// Required with Spoil.
	Fresh func(driver.Conn) error

	// Fill makes Server full: it keeps the connections it has, and tells each
	// new one, in the words of its protocol, that there is no room. makeRoom
	// ends that. Nil means that Server is never full.
	Fill func() (makeRoom func())

	// Secrets are the parts of the DSN that nobody may see.
	Secrets []string

	// BadDSN is a DSN that the driver of Connector refuses, with Secrets in
	// it: one with a %zz behind the password, or with a parameter that there is
	// none of. Empty means that errors about a DSN are not looked at.
	BadDSN string
}

// limit is how long a call may take that has to return soon. It is long
// because a loaded machine must not fail a good driver.
const limit = 5 * time.Second

// Run checks a driver against the contract of package driver, one subtest for
// each rule. It finds the rules that apply by the optional interfaces of the
// connections and by the fields of the [Subject], and skips the others. setup
// makes a new Subject, with a server of its own, for each rule; what it starts
// it ends with t.Cleanup.
//
// A rule that fails prints the sentence of the contract that is broken. A rule
// that can't be judged because a more basic one is broken is skipped, so that
// one fault fails one rule. Run with -race: the rules have goroutines meet.
func Run(t *testing.T, setup func(t testing.TB) Subject) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) { r.run(t, setup) })
	}
}

// rule is one rule of the contract. check returns, fails or skips the test.
type rule struct {
	name     string
	about    string // what the sentence is about
	sentence string // of the doc of package driver
	check    func(*probe)
}

// run checks the rule on a new Subject.
func (r rule) run(t testing.TB, setup func(testing.TB) Subject) {
	t.Helper()
	p := &probe{TB: t, Subject: setup(t), rule: r, crew: newCrew()}
	t.Cleanup(p.end)
	r.check(p)
}

// probe is what a rule checks a driver with. It calls the driver on goroutines
// of their own, so that a call that hangs or panics fails the rule alone.
type probe struct {
	testing.TB
	Subject
	rule  rule
	crew  crew
	calls []*call // all there were

	mu    sync.Mutex    // guards conns
	conns []driver.Conn // all there were
}

// failf fails the rule, and ends it.
func (p *probe) failf(format string, args ...any) {
	p.Helper()
	p.Fatalf("%s\nThe rule for %s: %s", fmt.Sprintf(format, args...), p.rule.about, p.rule.sentence)
}

// call is a call of the driver under way.
type call struct {
	what string
	done chan struct{} // closed when it has returned or panicked
	err  error         // set before done
	oops string        // set before done: the panic and its stack
}

// start calls fn on another goroutine. what names it in messages. It is called
// by the goroutine of the rule alone.
func (p *probe) start(what string, fn func() error) *call {
	c := &call{what: what, done: make(chan struct{})}
	p.calls = append(p.calls, c)
	go p.crew.do(func() { // ends with fn, for which end waits
		defer close(c.done)
		defer func() {
			if v := recover(); v != nil {
				c.oops = fmt.Sprintf("%v\n%s", v, debug.Stack())
			}
		}()
		c.err = fn()
	})
	return c
}

// returns reports whether c returns soon. A panic fails the rule.
func (p *probe) returns(c *call) bool {
	p.Helper()
	select {
	case <-c.done:
	case <-time.After(limit):
		return false
	}
	if c.oops != "" {
		p.failf("%s panicked: %s", c.what, c.oops)
	}
	return true
}

// must waits for c and returns its error. It fails the rule if c doesn't
// return soon.
func (p *probe) must(c *call) error {
	p.Helper()
	if !p.returns(c) {
		p.failf("%s did not return within %v", c.what, limit)
	}
	return c.err
}

// should is must for a call that another rule looks at: it skips this one.
func (p *probe) should(c *call, other string) error {
	p.Helper()
	if !p.returns(c) {
		p.Skipf("%s did not return within %v; see %s", c.what, limit, other)
	}
	return c.err
}

// startConnect begins a Connect. conn is set when c is done; it is closed when
// the rule ends.
func (p *probe) startConnect(ctx context.Context) (conn *driver.Conn, c *call) {
	conn = new(driver.Conn)
	return conn, p.start("Connect", func() (err error) {
		*conn, err = p.Connector.Connect(ctx)
		if *conn != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.conns = append(p.conns, *conn)
		}
		return err
	})
}

// twice reports whether Connect returned conn more than once.
func (p *probe) twice(conn driver.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, c := range p.conns {
		if reflect.ValueOf(c).Comparable() && c == conn {
			n++
		}
	}
	return n > 1
}

// connect returns a connection that works.
func (p *probe) connect() driver.Conn {
	p.Helper()
	conn := p.connectUnused()
	if p.canExchange(conn) {
		if err := p.should(p.startExchange(conn), basic); err != nil {
			p.Skipf("the first request failed: %v; see %s", err, basic)
		}
	}
	return conn
}

// connectUnused returns a connection as Connect made it.
func (p *probe) connectUnused() driver.Conn {
	p.Helper()
	conn, c := p.startConnect(p.Context())
	if err := p.should(c, basic); err != nil || *conn == nil {
		p.Skipf("Connect = %v, %v; see %s", *conn, err, basic)
	}
	if p.twice(*conn) {
		p.Skipf("two Connects returned the same connection; see %s", basic)
	}
	return *conn
}

// canExchange reports whether a request can be made on conn.
func (p *probe) canExchange(conn driver.Conn) bool {
	_, pings := conn.(driver.Pinger)
	return pings || p.Exchange != nil
}

// needExchange skips the rule if no request can be made on conn.
func (p *probe) needExchange(conn driver.Conn) {
	p.Helper()
	if !p.canExchange(conn) {
		p.Skip("there is no Exchange, and the connection is no driver.Pinger")
	}
}

// startExchange begins a request on conn.
func (p *probe) startExchange(conn driver.Conn) *call {
	if p.Exchange != nil {
		return p.start("Exchange", func() error { return p.Exchange(conn) })
	}
	return p.startPing(context.Background(), conn.(driver.Pinger))
}

func (p *probe) startPing(ctx context.Context, conn driver.Pinger) *call {
	return p.start("Ping", func() error { return conn.Ping(ctx) })
}

// close closes conn, which another rule looks at.
func (p *probe) close(conn driver.Conn) {
	p.Helper()
	p.should(p.start("Close", conn.Close), closeBounded)
}

// end ends what the rule has left, as far as the driver lets it. A broken
// driver may panic and hang here as well; that is no news.
func (p *probe) end() {
	p.Server.Refuse()
	p.Server.Hangup()
	p.awaitAll()
	p.mu.Lock()
	conns := slices.Clone(p.conns)
	p.mu.Unlock()
	for _, conn := range conns {
		p.start("Close", conn.Close)
	}
	p.awaitAll()
}

// awaitAll waits for the calls under way, if they return soon.
func (p *probe) awaitAll() {
	timeout := time.After(limit)
	for _, c := range p.calls {
		select {
		case <-c.done:
		case <-timeout:
			return
		}
	}
}
