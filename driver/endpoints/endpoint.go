package endpoints

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// Status says whether an endpoint can be used. The package doc has the diagram.
type Status uint8

// The statuses.
const (
	Untried  Status = iota // no Connect has ended yet
	Up                     // the last Connect succeeded
	Down                   // the last Connect failed, or takes too long
	Full                   // it has no room for another connection
	Unfit                  // Set.Want rejected it
	Refused                // the last Connect failed with a permanent error
	Gone                   // lookups no longer find it
	statuses = iota
)

// String returns the name of the status in lower case.
func (s Status) String() string {
	return [statuses]string{"untried", "up", "down", "full", "unfit", "refused", "gone"}[s]
}

const (
	firstRest = 100 * time.Millisecond // after the first failure in a row; each further one doubles it
	longRest  = 10 * time.Second       // the limit of the doubling, before jitter
	jitter    = 0.2                    // the fraction by which a rest is longer or shorter

	// refusedRest is how long an endpoint rests after a permanent error. Accounts
	// get locked by a few wrong passwords a minute, not by one.
	refusedRest = time.Minute

	// maxPause bounds the pause that a server may ask for.
	maxPause = 5 * time.Minute

	// probation is how long after a useless connection a successful Connect does
	// not make an endpoint up.
	probation = time.Minute

	minHeadStart   = 250 * time.Millisecond // of an endpoint that has answered before
	firstHeadStart = time.Second            // of an endpoint that has not

	// leastHeadStart is the least for a caller in a hurry. RFC 8305 recommends no
	// less between two connection attempts.
	leastHeadStart = 100 * time.Millisecond
)

// target is an address to connect to: host:port and, if the host is a name that was
// looked up, one of the addresses of the name.
type target struct {
	addr string
	ip   netip.Addr
}

// String returns the address that is dialed, with the name that it was found by.
func (t target) String() string {
	if !t.ip.IsValid() {
		return t.addr
	}
	return t.dialed() + " (" + t.addr + ")"
}

// dialed returns the host:port to dial.
func (t target) dialed() string {
	if !t.ip.IsValid() {
		return t.addr
	}
	return driver.DialAddress(driver.WithAddress(context.Background(), t.addr, t.ip), t.addr)
}

// ranked is a target with its rank among the targets of the same item of Set.Addrs.
type ranked struct {
	target
	priority int     // of its SRV record, otherwise 0; the lowest comes first
	weight   float64 // its share of the connections to targets of the same priority; more than 0
}

// endpoint is one server. It is guarded by Connector.mu, except target, source and
// connector, which never change.
type endpoint struct {
	ranked
	source    int // index in Set.Addrs of the item that it was found by
	connector func() (driver.Connector, error)

	missing time.Time // the first lookup that did not find it; zero if the last one did

	status   Status
	since    time.Time // when status changed last
	cause    error     // why it is not up
	failures int       // in a row; failures of tries that overlap count as one
	failed   time.Time // the last failure that counts
	restEnds time.Time // until then, it is tried only if nothing better is left
	barred   bool      // until restEnds, it is tried only if every endpoint is barred
	useless  time.Time // the last useless connection

	took       time.Duration // how long the last successful Connect took; 0 if there was none
	connecting int
	open       int
}

// headStart returns how long a Connect tries e alone. left is the time that the Connect
// has left, patience the time that the pool's caller has. A hurry must not cost e its
// turn if e is as quick as usual.
func (e *endpoint) headStart(left, patience time.Duration, share float64) time.Duration {
	d := firstHeadStart
	if e.took > 0 {
		d = max(minHeadStart, 4*e.took)
	}
	hurried := max(share*float64(patience), float64(max(leastHeadStart, 2*e.took)))
	return time.Duration(min(float64(d), hurried, share*float64(left)))
}

// settle gives e the status s, the outcome of a try that began at the time began, or
// of a lookup. cause is the error of the try, if it failed. settle reports whether the
// status has changed. Nothing else changes a status.
func (e *endpoint) settle(s Status, cause error, began, now time.Time) (changed bool) {
	switch {
	case e.status == Gone && s != Untried: // until lookups find it again
		return false
	case s == Up && e.status == Down && now.Sub(e.useless) < probation: // the new connection may be useless too
		e.rest(Down, e.cause, now)
		return false
	case s == Untried || s == Up:
		e.forget()
	case s != Gone && e.barred && now.Before(e.restEnds) && barAfter(s, cause) == 0: // perhaps from before that
		return false
	case s != Gone:
		if cause == errUseless {
			e.useless = now
		}
		if !began.Before(e.failed) {
			e.failures++
			e.failed = now
		}
		e.rest(s, cause, now)
	}
	e.cause = cause
	changed = e.status != s
	if changed {
		e.status, e.since = s, now
	}
	return changed
}

// forget ends the rest of e, and forgets the failures that would make the next rest
// longer.
func (e *endpoint) forget() {
	e.failures, e.failed, e.restEnds, e.barred, e.useless = 0, time.Time{}, time.Time{}, false, time.Time{}
}

// rest starts a rest of e after cause, which gave it the status s.
func (e *endpoint) rest(s Status, cause error, now time.Time) {
	pause := barAfter(s, cause)
	e.barred = pause > 0
	if !e.barred {
		pause = min(firstRest<<min(e.failures-1, 10), longRest)
		pause = time.Duration(float64(pause) * (1 + jitter*(2*rand.Float64()-1)))
	}
	e.restEnds = now.Add(pause)
}

// barAfter returns how long an endpoint is barred after cause, which gave it the status
// s: because the error was permanent, or because the server asked for a pause. Zero means
// not at all.
func barAfter(s Status, cause error) time.Duration {
	if s == Refused {
		return refusedRest
	}
	pause, _ := driver.RetryAfter(cause)
	return min(pause, maxPause)
}

// statusAfter returns the status of an endpoint whose Connect failed with err.
func statusAfter(err error) Status {
	switch {
	case errors.As(err, new(*unfitError)):
		return Unfit
	case driver.IsFull(err):
		return Full
	case driver.IsPermanent(err):
		return Refused
	}
	return Down
}

// State is the state of one endpoint.
type State struct {
	Addr   string // what is dialed: host:port, or ip:port if the host was looked up
	Name   string // host:port, as in Set.Addrs or in the SRV record
	Status Status
	Since  time.Time // when Status changed last; zero if it never has
	Err    error     // why the endpoint is not up; nil if it is

	// Until RestEnds, the endpoint is tried only if the others fail. Zero means that
	// it does not rest.
	RestEnds time.Time

	Open       int // connections whose Close has not returned
	Connecting int // Connects in progress
}

// String returns one line about the endpoint, for logs.
func (s State) String() string {
	text := fmt.Sprintf("%s %v, %d open", s.Addr, s.Status, s.Open)
	if s.Err != nil {
		text += ": " + s.Err.Error()
	}
	return text
}

// remoteIP returns the IP address of the peer of c, if c knows it.
func remoteIP(c driver.Conn) (ip netip.Addr) {
	defer func() { _ = recover() }() // a panic here is no reason to lose a good connection
	r, ok := driver.As[interface{ RemoteAddr() net.Addr }](c)
	if !ok {
		return netip.Addr{}
	}
	tcp, ok := r.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap()
}
