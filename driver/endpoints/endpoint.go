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
	Up                     // the last Connect worked
	Down                   // the last Connect failed, or takes too long
	Full                   // it has no room for one more connection
	Unfit                  // Set.Want refused it
	Refused                // it refuses as it is configured: the error was permanent
	Gone                   // lookups no longer have it
	statuses = iota
)

func (s Status) String() string {
	return [statuses]string{"untried", "up", "down", "full", "unfit", "refused", "gone"}[s]
}

const (
	firstRest = 100 * time.Millisecond // after a failure; twice as long after each that follows
	longRest  = 10 * time.Second       // the longest of these, before jitter
	jitter    = 0.2                    // of a rest, either way

	// refusedRest is how long an endpoint rests after a permanent error. Accounts
	// get locked by a few wrong passwords a minute, not by one.
	refusedRest = time.Minute

	// maxPause bounds the pause that a server may ask for.
	maxPause = 5 * time.Minute

	// youth is how long a Connect that works proves nothing after a useless
	// connection.
	youth = time.Minute

	minHeadStart   = 250 * time.Millisecond // of an endpoint that has answered before
	firstHeadStart = time.Second            // of one that has not

	// leastHeadStart is that for a caller in a hurry. It is the least that RFC 8305
	// recommends between two connection attempts.
	leastHeadStart = 100 * time.Millisecond
)

// target is an address to connect to: host:port and, if its host is a name that was
// looked up, one of the addresses of the name.
type target struct {
	addr string
	ip   netip.Addr
}

// String names what is dialed, and the name that it was found by.
func (t target) String() string {
	if !t.ip.IsValid() {
		return t.addr
	}
	return t.dialed() + " (" + t.addr + ")"
}

// dialed is the host:port to dial.
func (t target) dialed() string {
	if !t.ip.IsValid() {
		return t.addr
	}
	return driver.DialAddress(driver.WithAddress(context.Background(), t.addr, t.ip), t.addr)
}

// ranked is a target and its place among those of an item of Set.Addrs.
type ranked struct {
	target
	priority int     // of its SRV record, otherwise 0; the lowest comes first
	weight   float64 // its part of the connections to those of that priority; more than 0
}

// endpoint is one server. Guarded by Connector.mu. The target, source and connector
// never change.
type endpoint struct {
	ranked
	source    int // index in Set.Addrs of the item that it was found by
	connector func() (driver.Connector, error)

	missing time.Time // the first lookup that did not have it; zero = the last one had it

	status   Status
	since    time.Time // of status
	cause    error     // why it is not up
	failures int       // in a row; those of tries side by side count as one
	failed   time.Time // the last one that counts
	restEnds time.Time // it is not tried before, unless nothing better is left
	barred   bool      // not even then
	useless  time.Time // the last useless connection

	took       time.Duration // the last Connect that worked; 0 = none has
	connecting int
	open       int
}

// headStart is how long e alone is tried by a Connect that has left time, for a caller
// that has patience. A hurry must not cost e its turn if it is as quick as usual.
func (e *endpoint) headStart(left, patience time.Duration, share float64) time.Duration {
	d := firstHeadStart
	if e.took > 0 {
		d = max(minHeadStart, 4*e.took)
	}
	hurried := max(share*float64(patience), float64(max(leastHeadStart, 2*e.took)))
	return time.Duration(min(float64(d), hurried, share*float64(left)))
}

// settle gives e the status s at the time now, because of cause if that is not nil.
// That is the outcome of a try that began at the time began. It reports whether the
// status has changed. Nothing else changes a status.
func (e *endpoint) settle(s Status, cause error, began, now time.Time) (changed bool) {
	switch {
	case e.status == Gone && s != Untried: // until lookups have it again
		return false
	case s == Up && e.status == Down && now.Sub(e.useless) < youth: // to connect is easy
		e.rest(Down, e.cause, now)
		return false
	case s == Untried || s == Up:
		e.forget()
	case s != Gone:
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

// forget ends the rest of e, and forgets the failures that would prolong the next.
func (e *endpoint) forget() {
	e.failures, e.failed, e.restEnds, e.barred, e.useless = 0, time.Time{}, time.Time{}, false, time.Time{}
}

// rest starts a rest of e, because of cause.
func (e *endpoint) rest(s Status, cause error, now time.Time) {
	pause, hint := e.pauseAfter(s, cause)
	e.restEnds, e.barred = now.Add(pause), hint
}

// pauseAfter returns how long e rests after cause. asked reports whether the server
// asked for that.
func (e *endpoint) pauseAfter(s Status, cause error) (pause time.Duration, asked bool) {
	if s == Refused {
		return refusedRest, true
	}
	if pause, _ := driver.RetryAfter(cause); pause > 0 {
		return min(pause, maxPause), true
	}
	pause = min(firstRest<<min(e.failures-1, 10), longRest)
	return time.Duration(float64(pause) * (1 + jitter*(2*rand.Float64()-1))), false
}

// statusAfter is the status of an endpoint whose Connect failed with err.
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
	Name   string // host:port, as it was given or as the record of a service has it
	Status Status
	Since  time.Time // of Status; zero if it has never changed
	Err    error     // why the endpoint is not up; nil if it is

	// Until RestEnds, the endpoint is tried only if the others fail. Zero means that
	// it does not rest.
	RestEnds time.Time

	Open       int // connections, until their Close has returned
	Connecting int
}

// String is one line about the endpoint, for logs.
func (s State) String() string {
	text := fmt.Sprintf("%s %v, %d open", s.Addr, s.Status, s.Open)
	if s.Err != nil {
		text += ": " + s.Err.Error()
	}
	return text
}

// remoteIP returns the IP address of the peer of c, if c knows it.
func remoteIP(c driver.Conn) (ip netip.Addr) {
	defer func() { _ = recover() }() // a connection that works is not lost for this
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
