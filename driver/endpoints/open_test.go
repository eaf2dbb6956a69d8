package endpoints_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/driver/dsn"
	"github.com/hotline-go/hotline/driver/endpoints"
	"github.com/hotline-go/hotline/internal/registry"
	"github.com/hotline-go/hotline/pool"
)

// opened registers the driver "fake" and returns the DSNs that it is opened with.
func opened(t *testing.T) (dsns *[]string) {
	dsns = new([]string)
	previous := registry.Replace("fake", nil)
	driver.RegisterFunc("fake", func(text string) (driver.Connector, error) {
		*dsns = append(*dsns, text)
		_, err := dsn.Parse(text)
		return drivertest.NewFake(t), err
	})
	t.Cleanup(func() { registry.Replace("fake", previous) })
	return dsns
}

func TestEachHostGetsTheRestOfTheDSN(t *testing.T) {
	for _, tc := range []struct {
		dsn  string
		want []string
	}{
		{"fake://a:1,b:2", []string{"fake://a:1", "fake://b:2"}},
		{"fake://me:p%40,w@a:1,[::1]:2/x?y=z,1&hosts_order=random&w=v", []string{"fake://me:p%40,w@a:1/x?y=z,1&w=v", "fake://me:p%40,w@[::1]:2/x?y=z,1&w=v"}},
		{"fake://a:1/?hosts_order=in_order&hosts_refresh=1m&hosts_share=0.5", []string{"fake://a:1/"}},
		{"fake://a:1/x,y", []string{"fake://a:1/x,y"}},
		{"fake://a/x,y?z=1,2", []string{"fake://a/x,y?z=1,2"}},
		{"fake://me:a,b@c", []string{"fake://me:a,b@c"}},
		{"fake:///run/a,b.sock", []string{"fake:///run/a,b.sock"}},
		{"fake://example.test/x?hosts_srv=mail", []string{"fake://example.test:1/x"}},
	} {
		dsns := opened(t)
		_, err := endpoints.Open("fake", tc.dsn, logr.Discard())
		require.NoError(t, err, tc.dsn)
		assert.Equal(t, tc.want, *dsns)
	}
}

func TestADSNWithOneHostAndNoParameterIsLeftToTheDriver(t *testing.T) {
	opened(t)
	for _, text := range []string{"fake://a:1/x?y=z", "fake://me:s3,cret@a"} {
		c, err := endpoints.Open("fake", text, logr.Discard())
		require.NoError(t, err)
		assert.IsType(t, &drivertest.Fake{}, c)
	}
	_, err := endpoints.Open("fake", "a,b:1", logr.Discard())
	assert.EqualError(t, err, "dsn: no scheme; want a URL such as tcp://host:port")
}

func TestABadListIsOneClearErrorThatDoesNotShowTheList(t *testing.T) {
	for list, want := range map[string]string{
		"a:1,,b:1":                        "endpoints: host 2 of 3: it is empty; want host:port between the commas",
		"a:1,b:1,":                        "endpoints: host 3 of 3: it is empty; want host:port between the commas",
		"a:1,s3cret":                      "endpoints: host 2 of 2: its port is missing; want host:port",
		"a:1,s3cret:":                     "endpoints: host 2 of 2: its port is missing; want host:port",
		"a,s3cret":                        "endpoints: host 1 of 2: its port is missing; want host:port",
		"a:1,s3cret:x":                    "endpoints: host 2 of 2: its port is not a number from 1 to 65535",
		"a:0,s3cret:1":                    "endpoints: host 1 of 2: its port is not a number from 1 to 65535",
		"a:1,s3cret:70000":                "endpoints: host 2 of 2: its port is not a number from 1 to 65535",
		"a:1,::1:1":                       "endpoints: host 2 of 2: want host:port, an IPv6 address in brackets",
		"a:1,s3 cret:1":                   "endpoints: host 2 of 2: want a host of letters, digits, dots and dashes, or an IPv6 address in brackets",
		"a:1,b:1,A:1":                     "endpoints: host 3 of 3: it is the same as host 1; list each host once",
		"ada:s3,cret/@a:1":                "endpoints: unexpected @ after the hosts; in user and password, percent-encode everything except letters and digits",
		"a:1,b:1?hosts_order=best":        `endpoints: dsn: parameter hosts_order="best": want in_order or random or least_open`,
		"a:1?hosts_share=2":               `endpoints: dsn: parameter hosts_share="2": want a number from 0 to 1`,
		"a:1?hosts_share=-0":              ``,
		"a:1?hosts_refresh=1ms":           "endpoints: refresh 1ms: want at least 1s, or a negative duration",
		"a:1?hosts_odrer=random":          "endpoints: dsn: unknown parameter hosts_odrer; the nearest known one is hosts_order",
		"a:1?hosts_order=%zz":             "endpoints: dsn: parameter hosts_order: want two hex digits after each %; write %25 for a percent sign",
		"a:1?hosts_srv=mail":              "endpoints: host 1 of 1: want a domain without a port, because SRV records have the port",
		"a?hosts_srv=x&hosts_refresh=-1s": "endpoints: refresh: want a positive duration with an SRV service",
		"/run/x?hosts_order=random":       "endpoints: host 1 of 1: it is empty; want host:port between the commas",
	} {
		opened(t)
		_, err := endpoints.Open("fake", "fake://"+list, logr.Discard())
		if want == "" {
			assert.NoError(t, err, list)
			continue
		}
		require.EqualError(t, err, want, list)
	}
	_, err := endpoints.New(endpoints.Set{Order: 7, Share: 2})
	assert.EqualError(t, err, "endpoints: no hosts; want at least one\nendpoints: Connector: want a function\n"+
		"endpoints: Order(7): want in_order, random, least_open\nendpoints: share 2: want more than 0, up to 1")
}

// The inner set would not learn when its connections end.
func TestASetOfSetsIsRefused(t *testing.T) {
	inner := newFarm(t, "a:1").new(endpoints.Set{})
	_, err := endpoints.New(endpoints.Set{Addrs: []string{"b:1"}, Connector: func(string) (driver.Connector, error) { return inner, nil }})
	assert.EqualError(t, err, "endpoints: Set.Connector returned a *endpoints.Connector for b:1; want one that is not a driver.Tracker, such as that of one server")
}

// A fault outside the list is reported once, not once for each host.
func TestTheFaultOfAParameterIsReportedOnce(t *testing.T) {
	driver.RegisterFunc("faulty", func(string) (driver.Connector, error) { return nil, errScripted })
	defer registry.Replace("faulty", nil)
	for _, text := range []string{"faulty://a:1,b:1", "faulty://a?hosts_srv=x"} {
		_, err := endpoints.Open("faulty", text, logr.Discard())
		assert.Same(t, errScripted, err)
	}
}

// A careless driver repeats the DSN in the errors of Connect.
func TestErrorsAndLogShowNoSecretOfADSNWithSeveralHosts(t *testing.T) {
	driver.Register("chatty", chatty{})
	defer registry.Replace("chatty", nil)
	f := newFarm(t)
	c, err := endpoints.Open("chatty", "chatty://ada:s3cret%25@a:1,b:1?hosts_refresh=-1s", f.logger())
	require.NoError(t, err)
	_, err = c.Connect(t.Context())
	require.Error(t, err)
	for _, text := range append(f.lines, fmt.Sprintf("%v %+v %#v", err, err, err), fmt.Sprintf("%+v %#v", c, c.(*endpoints.Connector).State())) {
		assert.NotContains(t, text, "s3cret")
	}
	assert.Len(t, f.lines, 2)
}

func TestThePoolShowsItsServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "10.0.0.1:1", "10.0.0.2:1")
		f.all(drivertest.Fail(errors.New("no\nroom")), "10.0.0.1:1")
		p := openPool(t, f.new(endpoints.Set{}), pool.Config{})
		assert.Equal(t, "untried", p.Snapshot().Servers[1].Status)
		fill(t, p, 2)
		now := time.Now()
		assert.Equal(t, []pool.ServerInfo{
			{Addr: "10.0.0.1:1", Name: "10.0.0.1:1", Status: "down", Since: now, Error: `drivertest: connect: no\nroom`},
			{Addr: "10.0.0.2:1", Name: "10.0.0.2:1", Status: "up", Since: now, Open: 2},
		}, p.Snapshot().Servers)
	})
}

type chatty struct{}

func (chatty) Open(text string) (driver.Conn, error) { return nil, fmt.Errorf("cannot reach %s", text) }

func TestAThousandHosts(t *testing.T) {
	var list []string
	for i := range 1000 {
		list = append(list, fmt.Sprintf("10.0.%d.%d:1", i/250, i%250))
	}
	dsns := opened(t)
	c, err := endpoints.Open("fake", "fake://"+strings.Join(list, ","), logr.Discard())
	require.NoError(t, err)
	assert.Len(t, *dsns, 1000)
	assert.Equal(t, "fake 10.0.0.0:1,10.0.0.1:1,10.0.0.2:1 and 997 more", c.(*endpoints.Connector).String())
}
