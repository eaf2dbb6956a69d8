package endpoints_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/driver/endpoints"
	"github.com/hotline-go/hotline/pool"
)

const (
	ip1 = "10.0.0.1:1"
	ip2 = "10.0.0.2:1"
	ip3 = "10.0.0.3:1"
)

// openNamed returns a pool of connections to the addresses of db.test.
func openNamed(t *testing.T, f *farm, n *names, cfg pool.Config) (*endpoints.Connector, *pool.Pool[*conn]) {
	c := f.new(endpoints.Set{Addrs: []string{"db.test:1"}, Order: endpoints.LeastOpen, Resolver: n})
	cfg.MaxIdleTime, cfg.MaxLifetime = -1, -1
	return c, openPool(t, c, cfg)
}

func TestAllAddressesOfANameAreUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, ip1, ip2, ip3)
		n := names{delay: 50 * time.Millisecond}
		n.set("db.test", "10.0.0.1", "::ffff:10.0.0.2", "10.0.0.3")
		c, p := openNamed(t, f, &n, pool.Config{MaxOpen: 30})
		fill(t, p, 30)
		assert.Equal(t, []int{10, 10, 10}, f.open())
		s := c.State()[0]
		assert.Equal(t, []any{ip1, "db.test:1", endpoints.Up, 10, 0}, []any{s.Addr, s.Name, s.Status, s.Open, s.Connecting})
		assert.Equal(t, "10.0.0.1:1 up, 10 open", s.String())
		assert.Equal(t, 1, n.lookups, "the first connects share one lookup")
	})
}

// The pool replaces connections to an address that is gone, and opens the new ones
// first. Connections to other addresses stay.
func TestConnectionsMoveWhenTheAddressesOfANameChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, ip1, ip2, ip3)
		var n names
		n.set("db.test", "10.0.0.1", "10.0.0.2")
		c, p := openNamed(t, f, &n, pool.Config{MaxOpen: 20})
		fill(t, p, 16)
		var lease pool.Lease[*conn]
		for lease == (pool.Lease[*conn]{}) || lease.Conn().addr != ip1 {
			before := lease
			var err error
			lease, err = p.Acquire(t.Context())
			require.NoError(t, err)
			defer before.Release()
		}

		n.set("db.test", "10.0.0.2", "10.0.0.3")
		least := 16
		for range 90 {
			advance(time.Second)
			open := f.open()
			least = min(least, open[0]+open[1]+open[2])
		}
		assert.GreaterOrEqual(t, least, 16, "the new one is open before the old one is closed")
		assert.Equal(t, []int{1, 8}, f.open()[:2], "a holder keeps its connection")
		assert.Equal(t, "gone up up", states(c))
		lease.Release()
		assert.Equal(t, []int{0, 8, 8}, f.open())
		assert.Equal(t, "up up", states(c))
		assert.Equal(t, int64(8), p.Stats().Closed.Reset)
	})
}

// uncounted is a connection that can't be a key of a map.
type uncounted struct {
	*conn
	_ []int
}

// connectFunc is a connector.
type connectFunc func(ctx context.Context) (driver.Conn, error)

func (f connectFunc) Connect(ctx context.Context) (driver.Conn, error) { return f(ctx) }

func TestConnectionsThatCannotBeCountedDoNotKeepOthersFromMoving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, ip1, ip2)
		var n names
		n.set("db.test", "10.0.0.1")
		made := 0
		c := f.new(endpoints.Set{Addrs: []string{"db.test:1"}, Resolver: &n, Connector: func(addr string) (driver.Connector, error) {
			return connectFunc(func(ctx context.Context) (driver.Conn, error) {
				c, err := dialer{f, addr}.Connect(ctx)
				if made++; err == nil && made%2 == 0 {
					return uncounted{conn: c.(*conn)}, nil
				}
				return c, err
			}), nil
		}})
		p, err := pool.New[driver.Conn](c, pool.Config{MaxOpen: 4, MaxConnecting: 1, MaxIdleTime: -1, MaxLifetime: -1})
		require.NoError(t, err)
		defer p.Close()
		require.NoError(t, p.Warm(t.Context(), 4))
		n.set("db.test", "10.0.0.2")
		advance(2 * time.Minute)
		assert.Equal(t, []int{2, 2}, f.open())
	})
}

// One address is replaced by another, and later a fourth is added.
func TestLeastOpenSharesEvenlyAfterTheAddressesHaveChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, ip1, ip2, ip3, "10.0.0.4:1", "10.0.0.5:1")
		var n names
		n.set("db.test", "10.0.0.1", "10.0.0.2", "10.0.0.3")
		c := f.new(endpoints.Set{Addrs: []string{"db.test:1"}, Order: endpoints.LeastOpen, Resolver: &n})
		p := openPool(t, c, pool.Config{MaxOpen: 60, MaxLifetime: 10 * time.Minute, MaxIdleTime: -1})
		fill(t, p, 60)
		evenly(t, f.open()[:3])
		n.set("db.test", "10.0.0.2", "10.0.0.3", "10.0.0.4")
		advance(2 * time.Minute)
		assert.Zero(t, f.open()[0])
		evenly(t, f.open()[1:4])
		n.set("db.test", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5")
		advance(13 * time.Minute)
		evenly(t, f.open()[1:])
	})
}

// Field failure 21: two resolvers that disagree, or one whose answers alternate, move
// all connections each time.
func TestAnswersThatFlickerMoveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, ip1, ip2)
		var n names
		n.set("db.test", "10.0.0.1")
		c, p := openNamed(t, f, &n, pool.Config{MaxOpen: 10})
		fill(t, p, 10)
		for i := range 40 {
			n.set("db.test", fmt.Sprintf("10.0.0.%d", i%2+1))
			advance(30 * time.Second)
		}
		assert.Equal(t, []int{10, 0}, f.open())
		assert.Equal(t, []int{10, 0}, f.connects())
		assert.Equal(t, "up untried", states(c))
		f.wantLog(`"endpoint is up" "endpoint"="10.0.0.1:1 (db.test:1)"`)

		n.set("db.test", "10.0.0.2") // this one stays
		advance(2 * time.Minute)
		assert.Equal(t, []int{0, 10}, f.open())
		n.set("db.test", "10.0.0.1", "10.0.0.2")
		advance(2 * time.Minute)
		assert.Equal(t, []int{0, 10}, f.open(), "no connection moves to a new address")
		f.wantLog(`"endpoint is gone" "endpoint"="10.0.0.1:1`, `"endpoint is up" "endpoint"="10.0.0.2:1`)
	})
}

// Until it is gone, a missing address is the last resort.
func TestAMissingAddressGetsNoNewConnectionUnlessTheOthersFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, ip1, ip2)
		var n names
		n.set("db.test", "10.0.0.1", "10.0.0.2")
		c := f.new(endpoints.Set{Addrs: []string{"db.test:1"}, Order: endpoints.LeastOpen, Resolver: &n})
		connect(t, f, c)
		connect(t, f, c)
		n.set("db.test", "10.0.0.2")
		advance(30 * time.Second)
		for range 4 {
			connect(t, f, c)
		}
		assert.Equal(t, []int{1, 5}, f.connects())
		f.all(drivertest.Fail(errScripted), ip2)
		addr, _ := connect(t, f, c)
		assert.Equal(t, ip1, addr)
	})
}

// After failures, lookups are only a second apart. Two in a row that lack an address
// are then not enough.
func TestAnAddressIsNotGoneBeforeHalfOfRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, ip1, ip2)
		f.all(drivertest.Fail(errScripted), ip2)
		var n names
		n.set("db.test", "10.0.0.1")
		c, p := openNamed(t, f, &n, pool.Config{MaxOpen: 2})
		fill(t, p, 1)
		n.set("db.test", "10.0.0.2")
		advance(30 * time.Second)
		before := n.lookups
		for range 14 {
			connect(t, f, c) // after a failure at 10.0.0.2
			advance(time.Second)
		}
		assert.Greater(t, n.lookups-before, 3)
		assert.NotContains(t, states(c), "gone")
		advance(30 * time.Second)
		assert.Contains(t, states(c), "gone")
	})
}

func TestAResolverThatIsDownChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, ip1, ip2)
		var n names
		n.set("db.test", "10.0.0.1", "10.0.0.2")
		_, p := openNamed(t, f, &n, pool.Config{MaxOpen: 10})
		fill(t, p, 10)
		n.fail(errScripted)
		advance(time.Hour)
		n.fail(nil)
		n.set("db.test") // "no such host" is not a reason to close connections either
		advance(time.Hour)
		p.Reset()
		n.mu.Lock()
		n.hang = true
		n.mu.Unlock()
		for range 60 { // meanwhile, lookups hang
			advance(time.Second)
			p.Reset()
			began := time.Now()
			fill(t, p, 10)
			assert.Zero(t, time.Since(began), "nobody waits for a resolver")
		}
		assert.Equal(t, []int{5, 5}, f.open())
		n.mu.Lock()
		n.hang = false
		n.mu.Unlock()
		n.set("db.test", "10.0.0.1", "10.0.0.2")
		advance(time.Minute)
		f.wantLog("is up", "is up", `"lookups fail; the endpoints stay as they were" "error"="endpoints: look up db.test: scripted error"`, "lookups work again")
	})
}

// The driver may be able to look up the name itself. The resolver is asked again later.
func TestAResolverThatIsDownAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, ip1, "db.test:1")
		var n names
		n.hang = true
		c := f.new(endpoints.Set{Addrs: []string{"db.test:1"}, Resolver: &n, Share: 1})
		addr, took := connect(t, f, c)
		assert.Equal(t, "db.test:1", addr, "the driver finds it")
		assert.Equal(t, 2500*time.Millisecond, took, "a quarter of the deadline, whatever the share of a host")
		n.hang = false
		n.set("db.test", "10.0.0.1")
		advance(30 * time.Second)
		addr, _ = connect(t, f, c)
		assert.Equal(t, ip1, addr)
	})
}

// After a failure the names are looked up at once: a failover may change them.
func TestNamesAreLookedUpAgainAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, ip1, ip2)
		var n names
		n.set("db.test", "10.0.0.1")
		_, p := openNamed(t, f, &n, pool.Config{MaxOpen: 1})
		fill(t, p, 1)
		advance(10 * time.Second)
		f.all(drivertest.Fail(errScripted), ip1)
		f.servers[ip1].KillAll()
		n.set("db.test", "10.0.0.2")
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for {
			err := p.Do(ctx, func(_ context.Context, c *conn) error { return c.Use() })
			if err == nil {
				break
			}
			require.NoError(t, ctx.Err(), "%v", err)
			advance(10 * time.Millisecond)
		}
		assert.Less(t, time.Since(began), time.Second)
	})
}

// A driver that looks the name up itself may reach another address.
func TestAConnectionCountsForTheAddressOfItsPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, ip1, ip2)
		var n names
		n.set("db.test", "10.0.0.1", "10.0.0.2")
		c, err := endpoints.New(endpoints.Set{
			Addrs: []string{"db.test:1"}, Resolver: &n,
			Connector: func(string) (driver.Connector, error) { return f.servers[ip2], nil },
		})
		require.NoError(t, err)
		p := openPool(t, c, pool.Config{MaxOpen: 10})
		fill(t, p, 10)
		assert.Equal(t, []int{0, 10}, []int{c.State()[0].Open, c.State()[1].Open})
		p.Reset()
		synctest.Wait()
		assert.Equal(t, []int{0, 0}, []int{c.State()[0].Open, c.State()[1].Open})
	})
}

func TestServiceRecordsAreEndpointsByTheirPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, ip1, "10.0.0.2:2", "10.0.0.3:3")
		n := names{records: map[string][]*net.SRV{"_mail._tcp.example.test": {
			{Target: "two.example.test.", Port: 2, Priority: 20},
			{Target: "one.example.test.", Port: 1, Priority: 10},
			{Target: "10.0.0.3", Port: 3, Priority: 30},
			{Target: "."},
		}}}
		n.set("one.example.test", "10.0.0.1")
		n.set("two.example.test", "10.0.0.2")
		n.fail(errScripted)
		c := f.new(endpoints.Set{Addrs: []string{"example.test"}, SRV: "mail", Resolver: &n})
		_, _, err := tryConnect(f, c)
		assert.EqualError(t, err, "endpoints: no server is known: endpoints: look up _mail._tcp.example.test: scripted error")
		n.fail(nil)
		advance(time.Second)
		for _, want := range f.addrs() {
			addr, _ := connect(t, f, c)
			assert.Equal(t, want, addr)
			f.all(drivertest.Fail(errScripted), want)
			_, _, _ = tryConnect(f, c)
		}
		assert.Equal(t, "down down down", states(c))

		n.mu.Lock()
		n.records["_mail._tcp.example.test"] = n.records["_mail._tcp.example.test"][:1]
		n.mu.Unlock()
		for range 4 {
			advance(time.Minute)
			_, _, _ = tryConnect(f, c)
		}
		assert.Equal(t, "gone down gone", states(c), "their connections have not ended")

		n.records["_mail._tcp.nothing.test"] = []*net.SRV{{Target: "."}}
		c = f.new(endpoints.Set{Addrs: []string{"nothing.test"}, SRV: "mail", Resolver: &n})
		_, _, err = tryConnect(f, c)
		assert.ErrorContains(t, err, "the domain has no such service")
	})
}

// oddNames is a resolver with a host whose lookup hangs, and records with a fault.
type oddNames struct {
	*names
	hangs string
	fault error // returned with the records
}

func (n oddNames) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if host == n.hangs {
		<-ctx.Done()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return n.names.LookupNetIP(ctx, network, host)
}

func (n oddNames) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	cname, records, err := n.names.LookupSRV(ctx, service, proto, name)
	return cname, records, cmp.Or(err, n.fault)
}

// slowNames is a resolver that takes 2 seconds for each answer.
type slowNames struct{ *names }

func (n slowNames) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if err := n.wait(ctx); err != nil {
		return nil, err
	}
	return n.names.LookupNetIP(ctx, network, host)
}

func (n slowNames) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if err := n.wait(ctx); err != nil {
		return "", nil, err
	}
	return n.names.LookupSRV(ctx, service, proto, name)
}

func (n slowNames) wait(ctx context.Context) error {
	select {
	case <-time.After(2 * time.Second):
	case <-ctx.Done():
	}
	return ctx.Err()
}

// A Connect has less time for its lookup than the pool has.
func TestLookupsThatAConnectCutsShortDoNotReplaceThatOfThePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, ip1)
		n := names{records: map[string][]*net.SRV{"_mail._tcp.example.test": {{Target: "one.example.test.", Port: 1}}}}
		n.set("one.example.test", "10.0.0.1")
		c := f.new(endpoints.Set{Addrs: []string{"example.test"}, SRV: "mail", Resolver: slowNames{&n}})
		go tryConnect(f, c)
		synctest.Wait() // its lookup is in progress
		openPool(t, c, pool.Config{})
		for range 5 {
			_, _, _ = tryConnect(f, c)
			advance(time.Second)
		}
		connect(t, f, c)
	})
}

// The other hosts are used all the same.
func TestARecordWithAFaultKeepsNoOtherHostFromItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, ip1, ip2)
		n := names{records: map[string][]*net.SRV{"_mail._tcp.example.test": {
			{Target: "hangs.example.test.", Port: 1, Priority: 10},
			{Target: "one.example.test.", Port: 1, Priority: 20},
			{Target: "two.example.test.", Port: 1, Priority: 30},
		}}}
		n.set("one.example.test", "10.0.0.1")
		n.set("two.example.test", "10.0.0.2")
		for name, odd := range map[string]oddNames{
			"a host whose lookup hangs": {&n, "hangs.example.test", nil},
			"a malformed record":        {&n, "", &net.DNSError{Err: "malformed", Name: "example.test"}}, // net.Resolver returns the others
		} {
			c := f.new(endpoints.Set{Addrs: []string{"example.test"}, SRV: "mail", Resolver: odd})
			addr, _, err := tryConnect(f, c)
			require.NoError(t, err, name)
			assert.Equal(t, ip1, addr, name)
			assert.Len(t, c.State(), 2, name)
		}
	})
}

// A record of a host that no longer exists is left behind.
func TestAHostWithoutAddressesDoesNotKeepOthersFromMoving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, ip1, ip2)
		n := names{records: map[string][]*net.SRV{"_mail._tcp.example.test": {
			{Target: "nowhere.example.test.", Port: 1},
			{Target: "one.example.test.", Port: 1},
		}}}
		n.set("one.example.test", "10.0.0.1")
		c := f.new(endpoints.Set{Addrs: []string{"example.test"}, SRV: "mail", Resolver: &n})
		p := openPool(t, c, pool.Config{MaxOpen: 4, MaxIdleTime: -1, MaxLifetime: -1})
		fill(t, p, 4)
		n.set("one.example.test", "10.0.0.2")
		advance(2 * time.Minute)
		assert.Equal(t, []int{0, 4}, f.open())

		n.set("nowhere.example.test", "10.0.0.1")
		advance(time.Minute)
		assert.Equal(t, "up untried", states(c))
		n.set("nowhere.example.test") // no answer, so it may still exist
		advance(10 * time.Minute)
		assert.Equal(t, "up untried", states(c))
	})
}

// Hosts of the same priority share the connections by their weights (RFC 2782), and
// the addresses of a host share evenly. Hosts of other priorities are spare.
func TestServiceRecordsShareByTheirWeights(t *testing.T) {
	for order, tolerance := range map[endpoints.Order]float64{endpoints.InOrder: 0.01, endpoints.LeastOpen: 0.01, endpoints.Random: 0.1} {
		bubble(t, order.String(), func(t *testing.T) {
			f := newFarm(t, ip1, ip2, ip3, "10.0.0.4:1")
			n := names{records: map[string][]*net.SRV{"_mail._tcp.example.test": {
				{Target: "spare.example.test.", Port: 1, Priority: 20, Weight: 60000},
				{Target: "one.example.test.", Port: 1, Priority: 10, Weight: 20},
				{Target: "two.example.test.", Port: 1, Priority: 10, Weight: 60},
			}}}
			n.set("one.example.test", "10.0.0.1")
			n.set("two.example.test", "10.0.0.2", "10.0.0.3")
			n.set("spare.example.test", "10.0.0.4")
			c := f.new(endpoints.Set{Addrs: []string{"example.test"}, SRV: "mail", Resolver: &n, Order: order})
			connectN := func(n int, want ...float64) {
				t.Helper()
				before := f.connects()
				for range n {
					connect(t, f, c)
				}
				for i, connects := range f.connects() {
					assert.InDelta(t, want[i]*float64(n), connects-before[i], tolerance*float64(n), f.addrs()[i])
				}
			}
			connectN(800, 0.25, 0.375, 0.375, 0)
			f.all(drivertest.Fail(errScripted), ip1, ip2, ip3)
			_, _ = connect(t, f, c)
			assert.Equal(t, 1, f.servers["10.0.0.4:1"].Counts().Open)
			f.all(nil, ip1, ip2, ip3)
			advance(time.Minute)
			connectN(800, 0.25, 0.375, 0.375, 0)
		})
	}
}

// A host of weight 0 has a small share. If all hosts have weight 0, all shares are
// equal.
func TestAWeightOfZeroIsLikeOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, ip1, ip2, ip3)
		n := names{records: map[string][]*net.SRV{"_mail._tcp.example.test": {
			{Target: "10.0.0.1", Port: 1}, {Target: "10.0.0.2", Port: 1}, {Target: "10.0.0.3", Port: 1},
		}}}
		c := f.new(endpoints.Set{Addrs: []string{"example.test"}, SRV: "mail", Resolver: &n})
		for range 30 {
			connect(t, f, c)
		}
		assert.Equal(t, []int{10, 10, 10}, f.open())
		n.mu.Lock()
		n.records["_mail._tcp.example.test"][2].Weight = 10
		n.mu.Unlock()
		advance(time.Minute)
		for range 90 { // the next lookup has the weight
			connect(t, f, c)
		}
		assert.Equal(t, []int{10, 10, 100}, f.open())
	})
}

// A wrong host in a record makes only that endpoint fail.
func TestAConnectorThatCannotBeMadeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := names{records: map[string][]*net.SRV{"_mail._tcp.example.test": {{Target: "10.0.0.1.", Port: 1}, {Target: "10.0.0.2.", Port: 1}}}}
		f := newFarm(t, ip2)
		asked := map[string]int{}
		c, err := endpoints.New(endpoints.Set{
			Addrs: []string{"example.test"}, SRV: "mail", Resolver: &n,
			Connector: func(addr string) (driver.Connector, error) {
				asked[addr]++
				if addr == ip2 {
					return f.servers[ip2], nil
				}
				return nil, errors.New("no")
			},
		})
		require.NoError(t, err)
		f.all(drivertest.Fail(errScripted), ip2)
		for range 2 {
			_, err = c.Connect(t.Context())
			require.ErrorContains(t, err, ip1+": no")
			advance(2 * time.Minute)
		}
		assert.Equal(t, map[string]int{ip1: 1, ip2: 1}, asked)

		records := n.records["_mail._tcp.example.test"]
		for _, now := range [][]*net.SRV{records[:1], records[:1], records} {
			n.records["_mail._tcp.example.test"] = now
			_, _ = c.Connect(t.Context())
			advance(2 * time.Minute)
		}
		assert.Equal(t, map[string]int{ip1: 1, ip2: 2}, asked, "the connector of an address that was gone is made again")
	})
}

// A pool is closed while a lookup is in progress. That says nothing about the resolver.
func TestALookupThatIsCalledOffCountsForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, ip1)
		n := names{records: map[string][]*net.SRV{"_mail._tcp.example.test": {{Target: "10.0.0.1", Port: 1}}}, hang: true}
		c := f.new(endpoints.Set{Addrs: []string{"example.test"}, SRV: "mail", Resolver: &n})
		p := openPool(t, c, pool.Config{MaxOpen: 1})
		advance(time.Second)
		require.NoError(t, p.Close())
		f.wantLog()

		n.hang = false
		addr, _ := connect(t, f, c)
		assert.Equal(t, ip1, addr)
	})
}

// A server whose address is missing is probably gone. A server that is down may come
// back.
func TestAMissingAddressIsTriedAfterThoseThatRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, ip1, ip2)
		var n names
		n.set("db.test", "10.0.0.1", "10.0.0.2")
		c := f.new(endpoints.Set{Addrs: []string{"db.test:1"}, Resolver: &n})
		f.all(drivertest.Fail(errScripted), ip1, ip2)
		_, _, _ = tryConnect(f, c)
		n.set("db.test", "10.0.0.2")
		advance(30 * time.Second)
		_, _, _ = tryConnect(f, c) // 10.0.0.1 is missing, and 10.0.0.2 rests
		f.all(nil, ip1, ip2)
		addr, _ := connect(t, f, c)
		assert.Equal(t, ip2, addr)
	})
}
