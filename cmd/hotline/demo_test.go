package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/internal/testserver"
	"github.com/hotline-go/hotline/pool"
)

func TestDemoShowsBothWaysAndTheOutage(t *testing.T) {
	r := hotline(t.Context(), "demo", "--for", "1s")
	r.wantSuccess(t)
	assert.Contains(t, r.out, "an answer takes 1ms and a login 5ms")
	assert.Regexp(t, `(?m)^ +requests/s +p50 +p99 +failed
tcp, a connect per request +[\d,]+ +[\d.µms]+ +[\d.µms]+ +0
tcp, a pool +[\d,]+ +[\d.µms]+ +[\d.µms]+ +0
tls, a connect per request +[\d,]+ +[\d.µms]+ +[\d.µms]+ +0
tls, a pool +[\d,]+ +[\d.µms]+ +[\d.µms]+ +0
imaps, a connect per request +[\d,]+ +[\d.µms]+ +[\d.µms]+ +0
imaps, a pool +[\d,]+ +[\d.µms]+ +[\d.µms]+ +0

The server crashed while the pool was under load, and came back:

 +down for +requests +retried +lost +first answer +all connected +most open
tcp +[\d.µms]+ +[\d,]+ +[1-9][\d,]* +0 +after [\d.µms]+ +after [\d.µms]+ +8 of 8
tls +[\d.µms]+ +[\d,]+ +[1-9][\d,]* +0 +after [\d.µms]+ +after [\d.µms]+ +8 of 8
imaps +[\d.µms]+ +[\d,]+ +[1-9][\d,]* +0 +after [\d.µms]+ +after [\d.µms]+ +8 of 8
$`, r.out)
}

func TestDemoSaysWhichPromiseWasNotKept(t *testing.T) {
	kept := func() *sceneResult {
		return &sceneResult{name: "tcp", connect: newTally(), pool: newTally(), outage: outageResult{load: newTally(), most: demoMaxOpen}}
	}
	assert.NoError(t, demoErr([]*sceneResult{kept(), kept()}))
	for _, tc := range []struct {
		name  string
		spoil func(*sceneResult)
		want  string
	}{
		{"without pool", func(r *sceneResult) { r.connect.failed(time.Now(), io.EOF) }, "demo of tcp: 1 requests failed; the first: EOF"},
		{"with pool", func(r *sceneResult) { r.pool.failed(time.Now(), io.EOF) }, "demo of tcp: 1 requests failed; the first: EOF"},
		{"in the outage", func(r *sceneResult) { r.outage.load.failed(time.Now(), io.EOF) }, "demo of tcp: 1 requests failed; the first: EOF"},
		{"too many connections", func(r *sceneResult) { r.outage.most++ }, "demo of tcp: the server counted 9 connections of a pool with MaxOpen 8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spoiled := kept()
			tc.spoil(spoiled)
			assert.EqualError(t, demoErr([]*sceneResult{kept(), spoiled}), tc.want)
		})
	}
}

func TestDemoReportsASceneThatCannotStart(t *testing.T) {
	c := demoCommand{For: time.Second}
	s := scene{"broken", silent, func(string) string { return "gopher://host" }, pingOnce}
	_, err := c.play(t.Context(), console{err: io.Discard}, []scene{s})
	require.ErrorContains(t, err, `demo of broken: no driver for "gopher"`)
	assert.ErrorContains(t, s.withPool(t.Context(), console{}, nil, &sceneResult{}, time.Second), "no driver")
	s.dsn = func(addr string) string { return "demo://" + addr + "?x" }
	assert.ErrorContains(t, s.withoutPool(t.Context(), &sceneResult{}, time.Second), "unknown parameter x")
}

func TestEachWayMakesTheRequestOfTheScene(t *testing.T) {
	var asked atomic.Int64
	s := scene{"counted", new(testserver.Ping).Serve, func(addr string) string { return "demo://" + addr + "?" },
		func(context.Context, pinger) error { asked.Add(1); return nil }}
	r := &sceneResult{}
	require.NoError(t, s.withoutPool(t.Context(), r, 10*time.Millisecond))
	require.NoError(t, s.withPool(t.Context(), console{}, nil, r, 30*time.Millisecond))
	assert.Equal(t, r.connect.requests()+r.pool.requests()+r.outage.load.requests(), asked.Load())
}

func TestOutageEndsWhenTheServerCannotComeBack(t *testing.T) {
	listens := 0
	once := func(address string) (net.Listener, error) {
		if listens++; listens > 1 {
			return nil, errors.New("address taken")
		}
		return testserver.TCP(address)
	}
	server, err := testserver.Start(once, "127.0.0.1:0", new(testserver.Ping).Serve)
	require.NoError(t, err)
	defer server.Close()
	p, err := pool.Open[pinger]("demo", "demo://"+server.Addr(), pool.Config{})
	require.NoError(t, err)
	defer p.Close()
	o := outage{name: "tcp", server: server, pool: p, request: pingOnce}
	began := time.Now()
	require.ErrorContains(t, o.play(t.Context(), time.Second), "address taken")
	assert.Less(t, time.Since(began), demoTimeout)
}

func TestDemoDriverLogsIn(t *testing.T) {
	server, _ := serve(t, (&testserver.Ping{User: "ada", Password: "s3 cret"}).Serve)
	hotline(t.Context(), "ping", "demo://ada:s3%20cret@"+server.Addr()).wantSuccess(t)
	c, err := demoDriver{}.Open("demo://ada:s3%20cret@" + server.Addr())
	require.NoError(t, err)
	assert.NoError(t, c.(pinger).Ping(t.Context()))
	assert.NoError(t, c.Close())
}

func TestDemoDriverRefuses(t *testing.T) {
	for dsn, want := range map[string]string{
		"demo:ada":                  "dsn: no scheme",
		"demo://a%20b:pw@host:1":    "demo: user and password: want no spaces in the user, and no line ends",
		"demo://ada:p%0Aw@host:1":   "demo: user and password: want no spaces",
		"demo://ada:pw@host:1?x=1":  "dsn: unknown parameter x",
		"demo://ada:s3cret@host":    "tcp: address",
		"demo://ada:s3cret@:1/path": "tcp: address",
		"demo://ada:pw@h:1?ca=x":    "dsn: unknown parameter ca",
		"demos://ada:pw@h:1?cb=x":   "dsn: unknown parameter cb",
		"demos://ada:pw@h:1?cert=x": "tls: cert, key: want both or none",
	} {
		_, err := demoDriver{}.Open(dsn)
		require.ErrorContains(t, err, want, dsn)
		assert.NotContains(t, err.Error(), "s3cret")
	}
}

func TestDemoDriverCallsAWrongPasswordPermanent(t *testing.T) {
	server, _ := serve(t, (&testserver.Ping{User: "ada", Password: "right"}).Serve)
	_, err := demoDriver{}.Open("demo://ada:wrong@" + server.Addr())
	assert.True(t, driver.IsPermanent(err), err)
	server.Close()
	_, err = demoDriver{}.Open("demo://ada:wrong@" + server.Addr())
	assert.Error(t, err)
	assert.False(t, driver.IsPermanent(err), err)
}

// failingConn fails to write, or to read.
type failingConn struct {
	net.Conn
	bytes.Buffer
	write error
}

func (c *failingConn) Write(b []byte) (int, error) { return len(b), c.write }
func (c *failingConn) Read(b []byte) (int, error)  { return c.Buffer.Read(b) }

func TestLoginPassesOnErrorsOfIO(t *testing.T) {
	assert.ErrorIs(t, login(&failingConn{write: io.ErrClosedPipe}, "a", "b"), io.ErrClosedPipe)
	assert.ErrorIs(t, login(&failingConn{}, "a", "b"), io.EOF)
}

func TestDemoDriverKeepsTheContract(t *testing.T) {
	drivertest.Run(t, func(t testing.TB) drivertest.Subject {
		ln, err := testserver.TCP("127.0.0.1:0")
		require.NoError(t, err)
		connector, err := demoDriver{}.OpenConnector("demo://ada:s3cret@" + ln.Addr().String())
		require.NoError(t, err)
		ping := &testserver.Ping{User: "ada", Password: "s3cret"}
		return drivertest.Subject{
			Connector: connector,
			Server:    drivertest.Serve(t, ln, ping.Serve),
			Exchange:  func(c driver.Conn) error { return c.(pinger).Ping(context.Background()) },
			Secrets:   []string{"s3cret"},
		}
	})
}
