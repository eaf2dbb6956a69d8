package endpoints

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hotline-go/hotline/driver"
)

const (
	// lookTimeout bounds one lookup of all names.
	lookTimeout = 5 * time.Second

	// leastBetween is the minimum time between two lookups.
	leastBetween = time.Second

	// maxLooking is how many names, or hosts in the records of a domain, are looked up
	// at the same time.
	maxLooking = 8
)

// source is an item of Set.Addrs. It never changes.
type source struct {
	host, port string // no port with SRV
	static     bool   // never looked up: the host is an IP address, or Refresh is negative
}

func sourcesOf(s Set) (sources []source) {
	for _, addr := range s.Addrs {
		from := source{host: addr}
		if s.SRV == "" {
			from.host, from.port, _ = net.SplitHostPort(addr) // checked
			from.static = isIP(from.host) || s.Refresh < 0
		}
		sources = append(sources, from)
	}
	return sources
}

// looksUp reports whether any source is looked up.
func (c *Connector) looksUp() bool {
	return slices.ContainsFunc(c.sources, func(s source) bool { return !s.static })
}

// Track implements [driver.Tracker]. It looks up the names when that is due, and has
// the connections to addresses that are gone replaced. It returns at once if there are
// no names to look up.
func (c *Connector) Track(ctx context.Context, replace func(match func(driver.Conn) bool)) {
	if !c.looksUp() {
		return
	}
	c.count(1)
	defer c.count(-1)
	usual := c.set.Refresh * 9 / 10 // skips a lookup that was just made for another pool
	due := time.NewTimer(c.set.Refresh)
	defer due.Stop()
	for maxAge := usual; ; {
		c.look(ctx, maxAge, &c.wholly)
		if c.anyMoved() {
			replace(c.moved)
		}
		due.Reset(c.set.Refresh)
		select {
		case <-ctx.Done():
			return
		case <-due.C:
			maxAge = usual
		case <-c.kick:
			maxAge = leastBetween
		}
	}
}

// count adds n to the number of pools in Track.
func (c *Connector) count(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tracks += n
}

// anyMoved reports whether an endpoint that is gone has connections.
func (c *Connector) anyMoved() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.endpoints, func(e *endpoint) bool { return e.status == Gone && e.open > 0 })
}

// moved reports whether the endpoint of conn is gone.
func (c *Connector) moved(conn driver.Conn) bool {
	if !isKey(conn) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	o, known := c.conns[conn]
	return known && o.at.status == Gone
}

// lookSoon makes Track look up the names soon.
func (c *Connector) lookSoon() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// lookFirst looks up the names for a Connect. The first Connect always does so; later
// ones do when that is due, unless a pool is open, whose Track does it. lookFirst takes
// at most a quarter of the time that the Connect has.
func (c *Connector) lookFirst(ctx context.Context) {
	if !c.looksUp() {
		return
	}
	c.mu.Lock()
	maxAge := c.set.Refresh
	switch {
	case len(c.endpoints) == 0: // there is nothing else to try
		maxAge = leastBetween
	case c.tracks > 0:
		maxAge = forever
	}
	c.mu.Unlock()
	if end, ok := ctx.Deadline(); ok {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/4)
		defer cancel()
	}
	c.look(ctx, maxAge, &c.looked)
}

// look looks up all names, unless the lookup that ended at *last was within maxAge. One
// lookup runs at a time; other calls wait for it. The answers of a canceled lookup are
// ignored.
func (c *Connector) look(ctx context.Context, maxAge time.Duration, last *time.Time) {
	if c.isFresh(maxAge, last) {
		return
	}
	select {
	case c.looking <- struct{}{}:
		defer func() { <-c.looking }()
	case <-ctx.Done():
		return
	}
	if c.isFresh(maxAge, last) {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	answers := c.lookAll(bounded)
	if !errors.Is(ctx.Err(), context.Canceled) {
		c.update(answers, ctx.Err() == nil)
	}
}

// isFresh reports whether the lookup that ended at *last, which it reads under mu, was
// within maxAge.
func (c *Connector) isFresh(maxAge time.Duration, last *time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !last.IsZero() && time.Since(*last) < maxAge
}

// answer is the result of the lookup of one source.
type answer struct {
	found []ranked
	err   error // if not nil, found may be incomplete

	// failed has the hosts and ports whose lookup failed, if found is incomplete only
	// because of them.
	failed []string
}

// lookAll looks up every source.
func (c *Connector) lookAll(ctx context.Context) []answer {
	return inParallel(len(c.sources), func(i int) answer {
		s := c.sources[i]
		switch {
		case s.static:
			return answer{found: []ranked{{target: target{addr: c.set.Addrs[i]}, weight: 1}}}
		case c.set.SRV != "":
			return c.lookSRV(ctx, s.host)
		}
		return c.lookHost(ctx, s.host, s.port)
	})
}

// inParallel calls look for each of 0 to n-1, maxLooking at a time, and returns the
// answers.
func inParallel(n int, look func(i int) answer) []answer {
	answers := make([]answer, n)
	room := make(chan struct{}, maxLooking)
	var all sync.WaitGroup
	for i := range n {
		room <- struct{}{}
		all.Go(func() { // ends when the resolver returns, soon after the context of look
			defer func() { <-room }()
			err := safely(func() error {
				answers[i] = look(i)
				return answers[i].err
			})
			answers[i].err = err
		})
	}
	all.Wait()
	return answers
}

// lookHost returns the addresses of a host.
func (c *Connector) lookHost(ctx context.Context, host, port string) (a answer) {
	addr := net.JoinHostPort(host, port)
	if isIP(host) {
		return answer{found: []ranked{{target: target{addr: addr}, weight: 1}}}
	}
	ips, err := c.set.Resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return answer{err: fmt.Errorf("endpoints: look up %s: %w", host, err)}
	}
	if len(ips) == 0 {
		return answer{err: fmt.Errorf("endpoints: look up %s: the host has no address", host)}
	}
	for _, ip := range ips {
		a.found = append(a.found, ranked{target: target{addr, ip.Unmap()}, weight: 1})
	}
	return a
}

// lookSRV returns the addresses of the hosts of a service in domain.
func (c *Connector) lookSRV(ctx context.Context, domain string) (a answer) {
	what := "_" + c.set.SRV + "._tcp." + domain
	_, records, err := c.set.Resolver.LookupSRV(ctx, c.set.SRV, "tcp", domain)
	records = slices.DeleteFunc(slices.Clone(records), func(r *net.SRV) bool {
		return r.Target == "." || r.Target == "" // a bare dot means that there is no such service
	})
	hosts := inParallel(len(records), func(i int) answer { // a host that takes long must not keep the others from their turn
		return c.lookHost(ctx, strings.TrimSuffix(records[i].Target, "."), strconv.Itoa(int(records[i].Port)))
	})
	for i, r := range records {
		one := hosts[i]
		for _, f := range one.found {
			f.priority = int(r.Priority)
			f.weight = max(float64(r.Weight), 1) / float64(len(one.found)) // RFC 2782 gives 0 a small share too
			a.found = append(a.found, f)
		}
		if one.err != nil {
			a.err = one.err
			a.failed = append(a.failed, net.JoinHostPort(strings.TrimSuffix(r.Target, "."), strconv.Itoa(int(r.Port))))
		}
	}
	switch {
	case err != nil: // a net.Resolver may return some records all the same
		a.err, a.failed = fmt.Errorf("endpoints: look up %s: %w", what, err), nil
	case len(a.found) == 0 && a.err == nil:
		a.err = fmt.Errorf("endpoints: look up %s: the domain has no such service", what)
	}
	return a
}

// change is a change of status, to be logged after the lock is released.
type change struct {
	e       *endpoint
	was, is Status
}

// update brings the endpoints up to date with answers, one for each source. wholly is
// whether the lookup had all of its time.
func (c *Connector) update(answers []answer, wholly bool) {
	now := time.Now()
	var changes []change
	var err error
	c.mu.Lock()
	for i, a := range answers {
		if a.err != nil {
			err = a.err
		}
		changes = append(changes, c.updateLocked(i, a, now)...)
	}
	c.forgetLocked()
	slices.SortStableFunc(c.endpoints, (*endpoint).compareRank)
	maps.DeleteFunc(c.connectors, func(addr string, _ func() (driver.Connector, error)) bool {
		return !slices.ContainsFunc(c.endpoints, func(e *endpoint) bool { return e.addr == addr })
	})
	failedBefore := c.lookErr != nil
	c.looked, c.lookErr = now, err
	if wholly {
		c.wholly = now
	}
	c.mu.Unlock()
	for _, ch := range changes {
		c.logChange(ch.e, ch.was, ch.is, nil)
	}
	switch {
	case err != nil && !failedBefore:
		c.set.Logger.Error(err, "lookups fail; the endpoints stay as they were", "set", c.String())
	case err == nil && failedBefore:
		c.set.Logger.Info("lookups work again", "set", c.String())
	}
}

// updateLocked brings the endpoints of one source up to date.
func (c *Connector) updateLocked(source int, a answer, now time.Time) (changes []change) {
	settle := func(e *endpoint, s Status) {
		was := e.status
		if e.settle(s, nil, now, now) && was != Untried {
			changes = append(changes, change{e, was, s})
		}
	}
	listed := map[target]bool{}
	for _, r := range a.found {
		listed[r.target] = true
		e := c.findLocked(source, r.target)
		if e == nil {
			e = c.newEndpointLocked(r, source)
			c.endpoints = append(c.endpoints, e)
		}
		e.priority, e.weight = r.priority, r.weight
		e.missing = time.Time{}
		if e.status == Gone {
			settle(e, Untried)
		}
	}
	if a.err != nil && a.failed == nil {
		return changes // the others may still exist
	}
	for _, e := range c.endpoints {
		switch {
		case e.source != source || listed[e.target] || e.status == Gone || slices.Contains(a.failed, e.addr):
		case e.missing.IsZero() && e.hasIP():
			e.missing = now
		case !e.hasIP() || now.Sub(e.missing) >= c.set.Refresh/2:
			settle(e, Gone)
		}
	}
	return changes
}

// hasIP reports whether e has an IP address. An endpoint without one stands for its
// name until a lookup succeeds.
func (e *endpoint) hasIP() bool { return e.ip.IsValid() || isIPAddr(e.addr) }

// isIPAddr reports whether the host of addr is an IP address.
func isIPAddr(addr string) bool {
	_, err := netip.ParseAddrPort(addr)
	return err == nil
}

// findLocked returns the endpoint of source for t, or nil.
func (c *Connector) findLocked(source int, t target) *endpoint {
	i := slices.IndexFunc(c.endpoints, func(e *endpoint) bool { return e.source == source && e.target == t })
	if i < 0 {
		return nil
	}
	return c.endpoints[i]
}
