package drivertest

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// Subject is a driver under test and what [Run] needs to test it.
type Subject struct {
	// Connector connects to Server. Required.
	Connector driver.Connector

	// Server is the peer. Required.
	Server Server

	// Exchange makes one small request on a connection of Connector and waits
	// for its answer, without a time limit of its own. It leaves no state
	// behind, and fails if it gets a different answer. Its errors count as the
	// driver's, so it must quote the answer with [driver.Quote]. If it is nil,
	// Run uses Ping, if the connection has one, and skips the rules that need
	// more.
	//
	// Exchange, Spoil, Fresh and Leftover get the value that Connect returned. For
	// a driver made by package adapt, [driver.As] returns the library's client.
	Exchange func(driver.Conn) error

	// Spoil leaves state in a connection that the next holder must not see: an
	// open transaction, a selected mailbox. Nil means that deadlines are the only
	// state.
	Spoil func(driver.Conn) error

	// Fresh returns an error if the state that Spoil left is still there.
	// Required with Spoil.
	Fresh func(driver.Conn) error

	// Leftover makes two requests at once, and returns when it has the answer to
	// the first. The other answer must differ from the one that Exchange expects.
	// If the client can't do that, Leftover makes one request and reads only part
	// of its answer. If the connection then passes IsValid and ResetSession, as in
	// a pool, the next Exchange must get its own answer. Nil means that this is
	// not checked.
	Leftover func(driver.Conn) error

	// Fill makes Server full: it keeps the connections it has, and refuses each
	// new one with the protocol's message that there is no room. makeRoom undoes
	// that. Nil means that Server is never full.
	Fill func() (makeRoom func())

	// Refusal makes Server refuse each new connection with a message for humans,
	// in a greeting or in the answer to a login. words, which may be any bytes, are
	// the message. accept undoes that. Nil means that the protocol has no such
	// message.
	Refusal func(words string) (accept func())

	// Secrets are the parts of the DSN that nobody may see.
	Secrets []string

	// BadDSN opens an invalid DSN that contains Secrets, such as one with a %zz
	// after the password or with an unknown parameter, and returns the error. It
	// should call the driver itself, because driver.OpenConnector hides most
	// secrets. Nil means that errors about a DSN are not checked.
	BadDSN func() error
}

// limit is how long a call that must return soon may take. It is long so that
// a loaded machine does not fail a good driver.
const limit = 5 * time.Second

// Run checks a driver against the contract of package driver, one subtest for
// each rule. The optional interfaces of the connections and the fields of the
// [Subject] decide which rules apply; Run skips the others. setup makes a new
// Subject, with its own server, for each rule, and uses t.Cleanup to end whatever
// it starts.
//
// A rule that fails prints the sentence of the contract that the driver breaks.
// A rule that depends on a broken one is skipped, so that one fault fails one rule.
// Use -race, because the rules make concurrent calls.
//
// At the end Run logs what it could not check, and which fields of the Subject
// to set; go test -v shows it.
func Run(t *testing.T, setup func(t testing.TB) Subject) {
	var unchecked string
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			s := setup(t)
			unchecked = s.unchecked()
			r.run(t, s)
		})
	}
	if unchecked != "" {
		t.Log(unchecked)
	}
}

// unchecked returns a line that says what can't be checked because a field is
// missing, or "".
func (s *Subject) unchecked() string {
	var missing []string
	for _, f := range []struct {
		unset bool
		what  string
	}{
		{s.Exchange == nil, "requests (set Exchange)"},
		{s.Leftover == nil, "answers that a holder leaves unread (set Leftover)"},
		{s.Spoil == nil, "state that a holder leaves (set Spoil and Fresh, if the protocol has any)"},
	} {
		if f.unset {
			missing = append(missing, f.what)
		}
	}
	if missing == nil {
		return ""
	}
	return "drivertest: NOT CHECKED: " + strings.Join(missing, "; ")
}

// rule is one rule of the contract. check returns, fails or skips the test.
type rule struct {
	name     string
	about    string // the subject of the sentence
	sentence string // from the docs of package driver
	check    func(*probe)
}

// run checks the rule on a new Subject.
func (r rule) run(t testing.TB, s Subject) {
	t.Helper()
	p := &probe{TB: t, Subject: s, rule: r, goroutines: newGoroutines()}
	t.Cleanup(p.end)
	r.check(p)
}

// probe checks a driver for one rule. It calls the driver on separate goroutines,
// so that a call that hangs or panics fails only the rule.
type probe struct {
	testing.TB
	Subject
	rule       rule
	goroutines goroutines
	calls      []*call // all calls so far

	mu    sync.Mutex    // guards conns
	conns []driver.Conn // all connections so far
}

// failf fails the rule, and ends it.
func (p *probe) failf(format string, args ...any) {
	p.Helper()
	p.Fatalf("%s\nThe rule for %s: %s", fmt.Sprintf(format, args...), p.rule.about, p.rule.sentence)
}

// call is a call of the driver.
type call struct {
	what     string
	done     chan struct{} // closed when it has returned or panicked
	err      error         // set before done is closed
	panicked string        // set before done is closed: the panic and its stack
}

// start calls fn on another goroutine. what names it in messages. Only the
// goroutine of the rule may call start.
func (p *probe) start(what string, fn func() error) *call {
	c := &call{what: what, done: make(chan struct{})}
	p.calls = append(p.calls, c)
	go p.goroutines.do(func() { // ends with fn; end waits for it
		defer close(c.done)
		defer func() {
			if v := recover(); v != nil {
				c.panicked = fmt.Sprintf("%v\n%s%s", v, hint(v), debug.Stack())
			}
		}()
		c.err = fn()
	})
	return c
}

// hint returns advice about a panic with v. The usual cause is a function of the
// Subject that takes the connection of package adapt for the library's client.
func hint(v any) string {
	if _, is := v.(*runtime.TypeAssertionError); is {
		return "driver.As finds the client behind the connection of a driver made by package adapt.\n"
	}
	return ""
}

// returns reports whether c returns soon. A panic fails the rule.
func (p *probe) returns(c *call) bool {
	p.Helper()
	select {
	case <-c.done:
	case <-time.After(limit):
		return false
	}
	if c.panicked != "" {
		p.failf("%s panicked: %s", c.what, c.panicked)
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

// should is must for a call that another rule checks: if it doesn't return soon,
// this rule is skipped.
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

// connectUnused returns a new connection, without a request.
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
		p.Skip("the Subject has no Exchange, and the connection is not a driver.Pinger")
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

// close closes conn. Another rule checks Close.
func (p *probe) close(conn driver.Conn) {
	p.Helper()
	p.should(p.start("Close", conn.Close), closeBounded)
}

// end ends everything that the rule has left running or open, as far as the driver
// allows. A broken driver may panic or hang here too; the rule has already reported
// that.
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

// awaitAll waits for all calls, up to limit.
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
