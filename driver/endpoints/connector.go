package endpoints

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// Connector makes connections to the endpoints of a [Set]. It is
// a [driver.Connector], [driver.Advisor] and [driver.Tracker]. [New] makes one. Any
// number of goroutines and pools may use it at once. Without a pool, call Ended for
// each connection once it is closed.
type Connector struct {
	set     Set // with defaults; never changes
	advice  driver.Advice
	sources []source
	looking chan struct{} // has an element while a lookup runs
	kick    chan struct{} // has an element if Track should look up the names soon

	mu         sync.Mutex // guards the fields below, and the endpoints; a leaf
	endpoints  []*endpoint
	conns      map[driver.Conn]opened // open connections that can be keys of a map
	connectors map[string]func() (driver.Connector, error)
	tracks     int       // calls of Track that are running
	forgot     time.Time // the last Forget; zero if there was none
	looked     time.Time // the end of the last lookup; zero if there was none
	wholly     time.Time // the end of the last lookup that no Connect has cut short; zero if there was none
	lookErr    error     // of the last lookup
}

// New returns a Connector for s, which it copies. It does not dial or look up names.
// Unless s has an SRV service, New calls s.Connector for each of Addrs and returns its
// first error.
func New(s Set) (*Connector, error) {
	s = s.withDefaults()
	if err := s.check(); err != nil {
		return nil, err
	}
	c := &Connector{
		set: s, sources: sourcesOf(s), looking: make(chan struct{}, 1), kick: make(chan struct{}, 1),
		conns: map[driver.Conn]opened{}, connectors: map[string]func() (driver.Connector, error){},
	}
	if s.SRV != "" {
		c.advice.Name = s.SRV + " of " + s.names()
		return c, nil
	}
	for i, addr := range s.Addrs {
		e := c.newEndpointLocked(ranked{target: target{addr: addr}, weight: 1}, i)
		connector, err := e.connector()
		if err != nil {
			return nil, err
		}
		if i == 0 {
			c.advise(connector, addr)
		}
		c.endpoints = append(c.endpoints, e)
	}
	return c, nil
}

// newEndpointLocked returns a new endpoint. Endpoints of the same host and port share
// a connector.
func (c *Connector) newEndpointLocked(r ranked, source int) *endpoint {
	open := c.connectors[r.addr]
	if open == nil {
		open = sync.OnceValues(func() (driver.Connector, error) {
			connector, err := c.set.Connector(r.addr)
			if err == nil && connector == nil {
				err = fmt.Errorf("endpoints: Set.Connector returned neither a connector nor an error for %s", r.addr)
			}
			if _, ok := connector.(driver.Tracker); ok {
				err = fmt.Errorf("endpoints: Set.Connector returned a %T for %s; want one that is not a driver.Tracker, such as that of one server", connector, r.addr)
			}
			return connector, err
		})
		c.connectors[r.addr] = open
	}
	return &endpoint{ranked: r, connector: open, source: source}
}

// advise adopts the advice of connector, which is for addr. The name becomes one for
// all the hosts.
func (c *Connector) advise(connector driver.Connector, addr string) {
	if a, ok := connector.(driver.Advisor); ok {
		c.advice = a.Advice()
	}
	all := c.set.names()
	if strings.Contains(c.advice.Name, addr) {
		all = strings.Replace(c.advice.Name, addr, all, 1)
	}
	c.advice.Name = all
}

// namesShown is how many hosts the name of a pool lists.
const namesShown = 3

// names returns a short list of the hosts for the name of a pool.
func (s Set) names() string {
	more := len(s.Addrs) - namesShown
	if more <= 0 {
		return strings.Join(s.Addrs, ",")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(s.Addrs[:namesShown], ","), more)
}

// Advice implements [driver.Advisor]. It returns the advice of the first endpoint, with
// a name for all of them.
func (c *Connector) Advice() driver.Advice { return c.advice }

// String returns the name in Advice.
func (c *Connector) String() string { return c.advice.Name }

// Format prints String for every verb, because the fields change all the time and the
// connectors know secrets.
func (c *Connector) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// Connect implements [driver.Connector]. It tries the endpoints as the package doc
// says.
func (c *Connector) Connect(ctx context.Context) (driver.Conn, error) {
	c.lookFirst(ctx)
	return c.newRace().run(ctx)
}

// State returns the state of each endpoint, in the order of Addrs. An endpoint that is
// gone is listed as long as it has connections.
func (c *Connector) State() []State {
	c.mu.Lock()
	defer c.mu.Unlock()
	states := make([]State, len(c.endpoints))
	for i, e := range c.endpoints {
		states[i] = State{e.dialed(), e.addr, e.status, e.since, e.cause, e.restEnds, e.open, e.connecting}
	}
	return states
}

// calledOff ends a try whose outcome says nothing about its endpoint, such as one that
// was canceled.
func (c *Connector) calledOff(e *endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.connecting--
}

// failed ends a try that has failed.
func (c *Connector) failed(t *try, s Status) {
	c.calledOff(t.e)
	c.settle(t.e, s, t.err, t.began)
}

// opened says where a connection was opened, and when its try began.
type opened struct {
	at    *endpoint
	began time.Time
}

// isKey reports whether conn can be a key of Connector.conns.
func isKey(conn driver.Conn) bool { return conn != nil && reflect.ValueOf(conn).Comparable() }

// connected ends a try that succeeded. conn counts toward the endpoint of its peer,
// because the driver may have chosen the address. If conn is not used, it is nil.
func (c *Connector) connected(t *try, conn driver.Conn) {
	took := max(time.Since(t.began), 1)
	var ip netip.Addr
	counts := isKey(conn)
	if counts {
		ip = remoteIP(conn)
	}
	c.mu.Lock()
	t.e.connecting--
	t.e.took = took
	if counts {
		e := c.ownerLocked(t.e, ip)
		c.conns[conn] = opened{e, t.began}
		e.open++
	}
	c.mu.Unlock()
}

// ownerLocked returns the endpoint that has the host and port of e and the address ip.
// If there is none, as with a proxy, it returns e.
func (c *Connector) ownerLocked(e *endpoint, ip netip.Addr) *endpoint {
	if !e.ip.IsValid() || !ip.IsValid() || e.ip == ip {
		return e
	}
	for _, other := range c.endpoints {
		if other.addr == e.addr && other.ip == ip {
			return other
		}
	}
	return e
}

// forgetLocked drops the endpoints that are gone and have no connection.
func (c *Connector) forgetLocked() {
	c.endpoints = slices.DeleteFunc(c.endpoints, func(e *endpoint) bool {
		return e.status == Gone && e.load() == 0
	})
}

// settle gives e the status s, the outcome of a try that began at the time began, and
// logs a change. It ignores the failure of a try that began before Forget.
func (c *Connector) settle(e *endpoint, s Status, cause error, began time.Time) {
	c.mu.Lock()
	if cause != nil && began.Before(c.forgot) {
		c.mu.Unlock()
		return
	}
	was := e.status
	changed := e.settle(s, cause, began, time.Now())
	is := e.status
	c.mu.Unlock()
	if changed {
		c.logChange(e, was, is, cause)
	}
	if cause != nil {
		c.lookSoon()
	}
}

// logChange logs one line about a change of status.
func (c *Connector) logChange(e *endpoint, was, is Status, cause error) {
	log := c.set.Logger.WithValues("endpoint", e.String(), "was", was.String())
	if cause != nil {
		log = log.WithValues("error", cause)
	}
	if p := (*panicError)(nil); errors.As(cause, &p) {
		log = log.WithValues("stack", string(p.stack))
	}
	log.Info("endpoint is "+is.String(), "set", c.String())
}

// Forget implements [driver.Tracker]. It ends the rests of all endpoints, including
// those after a rejected login, and makes Track look up the names soon. Pool.Reset
// calls it.
func (c *Connector) Forget() {
	c.mu.Lock()
	c.forgot = time.Now()
	for _, e := range c.endpoints {
		e.forget()
	}
	c.mu.Unlock()
	c.lookSoon()
}

// Ended implements [driver.Tracker]. The connection no longer counts toward its
// endpoint. If it was useless, the endpoint is down.
func (c *Connector) Ended(conn driver.Conn, useless bool) {
	if !isKey(conn) {
		return
	}
	c.mu.Lock()
	o, known := c.conns[conn]
	if !known {
		c.mu.Unlock()
		return
	}
	delete(c.conns, conn)
	e := o.at
	e.open--
	c.forgetLocked()
	c.mu.Unlock()
	if useless {
		c.settle(e, Down, errUseless, o.began)
	}
}
