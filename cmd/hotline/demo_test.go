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
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/internal/testport"
	"github.com/hotline-go/hotline/internal/testserver"
	"github.com/hotline-go/hotline/pool"
)

func TestDemoShowsBothWaysAndTheOutage(t *testing.T) {
	r := hotline(t.Context(), "demo", "--for", "1s")
	r.wantSuccess(t)
	wantNarrow(t, r.out)
	assert.Contains(t, r.out, "an answer takes 1ms and a login 5ms")
	assert.Regexp(t, `(?m)^ +requests/s +p50 +p99 +failed
tcp, a connect per request +[\d,]+ +[\d.]+[ nµm]s +[\d.]+[ nµm]s +0
tcp, a pool +[\d,]+ +[\d.]+[ nµm]s +[\d.]+[ nµm]s +0
tls, a connect per request +[\d,]+ +[\d.]+[ nµm]s +[\d.]+[ nµm]s +0
tls, a pool +[\d,]+ +[\d.]+[ nµm]s +[\d.]+[ nµm]s +0
imaps, a connect per request +[\d,]+ +[\d.]+[ nµm]s +[\d.]+[ nµm]s +0
imaps, a pool +[\d,]+ +[\d.]+[ nµm]s +[\d.]+[ nµm]s +0

The server crashed while the pool was under load, and came back. The times until
the first answer and until all were connected count from its return:

 +down for +requests +retried +lost +first answer +all connected +most open
tcp +[\d.]+[ nµm]s +[\d,]+ +[1-9][\d,]* +0 +[\d.]+[ nµm]s +[\d.]+[ nµm]s +8 of 8
tls +[\d.]+[ nµm]s +[\d,]+ +[1-9][\d,]* +0 +[\d.]+[ nµm]s +[\d.]+[ nµm]s +8 of 8
imaps +[\d.]+[ nµm]s +[\d,]+ +[1-9][\d,]* +0 +[\d.]+[ nµm]s +[\d.]+[ nµm]s +8 of 8

pool: \d+\.\d times the requests, 0 lost, never more than 8 connections
$`, r.out)
}

func TestDemoSaysWhichPromiseWasNotKept(t *testing.T) {
	kept := func() *sceneResult {
		return &sceneResult{name: "tcp", connect: newTally(), pool: newTally(), outage: outageResult{load: newTally()}, most: demoMaxOpen}
	}
	assert.NoError(t, demoErr([]*sceneResult{kept(), kept()}))
	for _, tc := range []struct {
		name  string
		spoil func(*sceneResult)
		want  string
	}{
		{"without pool", func(r *sceneResult) { r.connect.failed(time.Now(), io.EOF) }, "demo of tcp: 1 request failed; first error: EOF"},
		{"with pool", func(r *sceneResult) { r.pool.failed(time.Now(), io.EOF) }, "demo of tcp: 1 request failed; first error: EOF"},
		{"in the outage", func(r *sceneResult) { r.outage.load.failed(time.Now(), io.EOF) }, "demo of tcp: 1 request failed; first error: EOF"},
		{"too many connections", func(r *sceneResult) { r.most++ }, "demo of tcp: a pool with MaxOpen 8 had 9 connections"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spoiled := kept()
			tc.spoil(spoiled)
			assert.EqualError(t, demoErr([]*sceneResult{kept(), spoiled}), tc.want)
		})
	}
}

func TestTheVerdictCountsWhatThePoolLost(t *testing.T) {
	r := &sceneResult{name: "tcp", connect: newTally(), pool: newTally(), outage: outageResult{load: newTally()}, most: 1}
	r.connect.elapsed, r.pool.elapsed = time.Second, time.Second
	for i := range 39 {
		r.pool.succeeded(1, 1, 2)
		if i < 10 {
			r.connect.succeeded(1, 1, 2)
		}
	}
	var out bytes.Buffer
	assert.Equal(t, "pool: 3.9 times the requests, 0 lost, never more than 1 connection", verdict(&out, []*sceneResult{r}))
	assert.Contains(t, verdict(terminal{&out}, []*sceneResult{r}), "\x1b[1;32m", "green")
	r.pool.failed(time.Now(), io.EOF)
	r.outage.load.failed(time.Now(), io.EOF)
	assert.Contains(t, verdict(&out, []*sceneResult{r}), " 2 lost")
	assert.Contains(t, verdict(terminal{&out}, []*sceneResult{r}), "\x1b[1;31m", "red")
}

func TestDemoReportsASceneThatCannotStart(t *testing.T) {
	c := demoCommand{For: time.Second}
	s := scene{"broken", silent, func(tcp.Config) (driver.Connector, error) { return nil, io.ErrNoProgress }, pingOnce}
	_, err := c.play(t.Context(), console{err: io.Discard}, []scene{s})
	require.EqualError(t, err, "demo of broken: "+io.ErrNoProgress.Error())
	assert.ErrorIs(t, s.withPool(t.Context(), console{}, nil, &sceneResult{}, time.Second), io.ErrNoProgress)
}

func TestEachWayMakesTheRequestOfTheScene(t *testing.T) {
	var asked atomic.Int64
	s := scene{"counted", new(testserver.Ping).Serve, pingConnector, func(context.Context, pinger) error { asked.Add(1); return nil }}
	r := &sceneResult{}
	require.NoError(t, s.withoutPool(t.Context(), r, 10*time.Millisecond))
	require.NoError(t, s.withPool(t.Context(), console{}, nil, r, 30*time.Millisecond))
	assert.Equal(t, r.connect.requests()+r.pool.requests()+r.outage.load.requests(), asked.Load())
	assert.Equal(t, demoMaxOpen, r.most)
}

// A server notices the end of a connection only when it reads, so it may count one too
// many.
func TestSocketsCountFromBeforeTheDialUntilAfterTheClose(t *testing.T) {
	server, _ := serve(t, silent)
	var s sockets
	connector, err := pingConnector(tcp.Config{Address: server.Addr(), Dial: s.dial})
	require.NoError(t, err)
	dial := func() net.Conn {
		c, err := s.dial(t.Context(), "tcp", server.Addr())
		require.NoError(t, err)
		return c
	}
	first := dial()
	for range 3 {
		require.NoError(t, dial().Close())
	}
	assert.Equal(t, 2, s.peak())
	assert.Equal(t, 1, s.open)
	require.NoError(t, first.Close())
	assert.Error(t, first.Close())
	_, err = s.dial(t.Context(), "tcp", testport.Refused(t))
	require.Error(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = connector.Connect(ctx)
	require.Error(t, err)
	assert.Zero(t, s.open)
	assert.Equal(t, 2, s.peak())
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
	connector, err := pingConnector(tcp.Config{Address: server.Addr()})
	require.NoError(t, err)
	p, err := pool.New[pinger](connector, pool.Config{})
	require.NoError(t, err)
	defer p.Close()
	o := outage{name: "tcp", server: server, pool: p, request: pingOnce}
	began := time.Now()
	require.ErrorContains(t, o.play(t.Context(), time.Second), "address taken")
	assert.Less(t, time.Since(began), demoTimeout)
}

func TestTheDemosDriversAreNotOffered(t *testing.T) {
	for _, name := range driver.Drivers() {
		assert.NotContains(t, name, "demo")
	}
}

func TestDemoCallsAWrongPasswordPermanent(t *testing.T) {
	server, _ := serve(t, (&testserver.Ping{User: demoUser, Password: "right"}).Serve)
	connector, err := pingConnector(tcp.Config{Address: server.Addr()})
	require.NoError(t, err)
	_, err = connector.Connect(t.Context())
	assert.ErrorContains(t, err, `login refused: "ERR wrong user or password"`)
	assert.True(t, driver.IsPermanent(err), err)
	server.Close()
	_, err = connector.Connect(t.Context())
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

func TestTheDemosConnectorKeepsTheContract(t *testing.T) {
	drivertest.Run(t, func(t testing.TB) drivertest.Subject {
		ln, err := testserver.TCP("127.0.0.1:0")
		require.NoError(t, err)
		connector, err := pingConnector(tcp.Config{Address: ln.Addr().String(), Dial: new(sockets).dial})
		require.NoError(t, err)
		ping := &testserver.Ping{User: demoUser, Password: demoPassword}
		return drivertest.Subject{
			Connector: connector,
			Server:    drivertest.Serve(t, ln, ping.Serve),
			Exchange:  func(c driver.Conn) error { return c.(pinger).Ping(context.Background()) },
			Leftover: func(c driver.Conn) error {
				if _, err := io.WriteString(c.(net.Conn), "ECHO a\nECHO b\n"); err != nil {
					return err
				}
				_, err := io.ReadFull(c.(net.Conn), make([]byte, len("a\n")))
				return err
			},
			Secrets: []string{demoPassword},
		}
	})
}
