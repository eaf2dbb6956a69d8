package endpoints_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/driver/endpoints"
	"github.com/hotline-go/hotline/pool"
)

func TestMain(m *testing.M) {
	serveIfAsked()
	goleak.VerifyTestMain(m)
}

// conn is a connection of a farm.
type conn struct {
	*drivertest.FakeConn
	addr string // of its server
}

// RemoteAddr returns the address of the server.
func (c *conn) RemoteAddr() net.Addr {
	addr, err := netip.ParseAddrPort(c.addr)
	if err != nil {
		return nil
	}
	return net.TCPAddrFromAddrPort(addr)
}

// farm has fake servers, and the lines that were logged about them.
type farm struct {
	t       testing.TB
	servers map[string]*drivertest.Fake // by the address that is dialed

	mu    sync.Mutex // guards lines
	lines []string
}

// newFarm returns a farm with a server at each of addrs.
func newFarm(t testing.TB, addrs ...string) *farm {
	f := &farm{t: t, servers: map[string]*drivertest.Fake{}}
	for _, addr := range addrs {
		f.servers[addr] = drivertest.NewFake(t)
		f.servers[addr].Wrap = func(c *drivertest.FakeConn) driver.Conn { return &conn{c, addr} }
	}
	return f
}

// new returns a connector for s. Without Addrs, it connects to all servers of the farm.
// Without a Resolver, it looks up no names.
func (f *farm) new(s endpoints.Set) *endpoints.Connector {
	f.t.Helper()
	if s.Addrs == nil {
		s.Addrs = f.addrs()
	}
	if s.Resolver == nil {
		s.Refresh = -1
	}
	s.Logger = f.logger()
	if s.Connector == nil {
		s.Connector = func(addr string) (driver.Connector, error) { return dialer{f, addr}, nil }
	}
	c, err := endpoints.New(s)
	require.NoError(f.t, err)
	return c
}

// addrs returns the addresses of the servers, sorted.
func (f *farm) addrs() (addrs []string) {
	for addr := range f.servers {
		addrs = append(addrs, addr)
	}
	slices.Sort(addrs)
	return addrs
}

func (f *farm) logger() logr.Logger {
	return funcr.New(func(_, args string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.lines = append(f.lines, args)
	}, funcr.Options{})
}

// wantLog fails the test unless there is one line since the last call for each of
// words, and contains it.
func (f *farm) wantLog(words ...string) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Len(f.t, f.lines, len(words), "%q", f.lines)
	for i, w := range words {
		assert.Contains(f.t, f.lines[i], w)
	}
	f.lines = nil
}

// all makes every connect to addrs run step.
func (f *farm) all(step drivertest.Step, addrs ...string) {
	for _, addr := range addrs {
		f.servers[addr].Always(drivertest.Connect, step)
	}
}

// open returns how many connections each server counts, in the order of addrs.
func (f *farm) open() (open []int) {
	synctest.Wait()
	for _, addr := range f.addrs() {
		open = append(open, f.servers[addr].Counts().Open)
	}
	return open
}

// connects returns how many connects each server has seen, in the order of addrs.
func (f *farm) connects() (connects []int) {
	synctest.Wait()
	for _, addr := range f.addrs() {
		connects = append(connects, f.servers[addr].Counts().Connects)
	}
	return connects
}

// dialer connects to the server at the address in the context, or else at addr.
type dialer struct {
	f    *farm
	addr string
}

func (d dialer) Connect(ctx context.Context) (driver.Conn, error) {
	addr := driver.DialAddress(ctx, d.addr)
	server := d.f.servers[addr]
	if server == nil {
		return nil, fmt.Errorf("nobody is at %s", addr)
	}
	return server.Connect(ctx)
}

func (d dialer) Advice() driver.Advice { return driver.Advice{Name: "fake " + d.addr, MaxOpen: 7} }

// connect makes a connection within 10 seconds, or fails the test. It returns the
// server's address and how long Connect took.
func connect(t testing.TB, f *farm, c driver.Connector) (addr string, took time.Duration) {
	t.Helper()
	addr, took, err := tryConnect(f, c)
	require.NoError(t, err)
	return addr, took
}

// tryConnect is connect, except that it may fail.
func tryConnect(f *farm, c driver.Connector) (addr string, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	began := time.Now()
	made, err := c.Connect(ctx)
	took = time.Since(began)
	if err != nil {
		return "", took, err
	}
	f.t.Cleanup(func() { made.Close() })
	return made.(*conn).addr, took, nil
}

// openPool returns a pool of the connections of c, which is closed when t ends.
func openPool(t testing.TB, c driver.Connector, cfg pool.Config) *pool.Pool[*conn] {
	t.Helper()
	p, err := pool.New[*conn](c, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return p
}

// fill opens connections, all at the same time, until n are open.
func fill(t testing.TB, p *pool.Pool[*conn], n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(t, p.Warm(ctx, n))
}

// advance lets d pass in a bubble, and waits until all other goroutines are blocked.
func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// bubble runs fn as a subtest, in a bubble of its own.
func bubble(t *testing.T, name string, fn func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, fn) })
}

// states lists the status of each endpoint.
func states(c *endpoints.Connector) string {
	var all []string
	for _, s := range c.State() {
		all = append(all, s.Status.String())
	}
	return strings.Join(all, " ")
}

// names is a resolver.
type names struct {
	mu      sync.Mutex // guards the fields below
	hosts   map[string][]string
	records map[string][]*net.SRV
	err     error         // if not nil, each lookup fails with it
	hang    bool          // each lookup takes until its context ends
	delay   time.Duration // of each lookup
	lookups int
}

// set makes host resolve to ips from now on.
func (n *names) set(host string, ips ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts == nil {
		n.hosts = map[string][]string{}
	}
	n.hosts[host] = ips
}

// fail makes all lookups fail with err from now on, or succeed if err is nil.
func (n *names) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.err = err
}

// begin counts a lookup, and fails or hangs as scripted.
func (n *names) begin(ctx context.Context) error {
	n.mu.Lock()
	n.lookups++
	err, hang := n.err, n.hang
	n.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if n.delay > 0 {
		<-time.After(n.delay)
	}
	return err
}

func (n *names) LookupNetIP(ctx context.Context, _, host string) (ips []netip.Addr, err error) {
	if err := n.begin(ctx); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, ip := range n.hosts[host] {
		ips = append(ips, netip.MustParseAddr(ip))
	}
	if len(ips) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return ips, nil
}

func (n *names) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if err := n.begin(ctx); err != nil {
		return "", nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	name = "_" + service + "._" + proto + "." + name
	if n.records[name] == nil {
		return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return name, n.records[name], nil
}
