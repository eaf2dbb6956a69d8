package tcp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/pool"
)

// hiding is a Ping that hides the errors of its I/O.
func hiding(_ context.Context, c net.Conn) error {
	if _, err := c.Read(make([]byte, 1)); err != nil {
		return errors.New("no answer")
	}
	return nil
}

// careless is a Ping that ignores all errors.
func careless(_ context.Context, c net.Conn) error {
	_, _ = c.Read(make([]byte, 1))
	return nil
}

// balancer is a load balancer without a server: it accepts connections.
func balancer(t *testing.T, handle func(net.Conn)) (*memnet.Network, tcp.Config) {
	nw := new(memnet.Network)
	l, err := nw.Listen("server:1")
	require.NoError(t, err)
	serveOn(t, l, handle)
	return nw, tcp.Config{Address: "server:1", Dial: nw.DialContext}
}

func closes(net.Conn)        {}
func staysSilent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
func replies(c net.Conn) {
	_, _ = c.Read(make([]byte, 64))
	_, _ = io.WriteString(c, "PONG\n")
	staysSilent(c)
}

func TestAPoolBehindABalancerWithoutAServerIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, config := balancer(t, closes)
		config.PingBytes, config.PongBytes = "PING\n", "PONG\n"
		connector, err := tcp.NewConnector(config)
		require.NoError(t, err)
		p, err := pool.New[*tcp.Conn](connector, pool.Config{MinIdle: 2})
		require.NoError(t, err)
		defer p.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err = p.Ready(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "tcp: ping after connect to server:1")
		assert.Zero(t, p.Stats().Open)
		assert.Positive(t, p.Stats().ConnectFailures)
	})
}

func TestConnectFailsIfThePingGetsNoAnswer(t *testing.T) {
	for _, tc := range []struct {
		name   string
		peer   func(net.Conn)
		config tcp.Config
		took   time.Duration
		want   error
	}{
		{"accepts and closes, ping and pong", closes, tcp.Config{PingBytes: "PING\n", PongBytes: "PONG\n"}, 0, nil},
		{"accepts and closes, a function", closes, tcp.Config{Ping: hiding}, 0, nil},
		{"accepts and closes, a careless function", closes, tcp.Config{Ping: careless}, 0, io.EOF},
		{"accepts and is silent, ping and pong", staysSilent, tcp.Config{PingBytes: "PING\n", PongBytes: "PONG\n"}, time.Second, context.DeadlineExceeded},
		{"accepts and is silent, a function", staysSilent, tcp.Config{Ping: hiding}, time.Second, context.DeadlineExceeded},
		{"accepts and is silent, a careless function", staysSilent, tcp.Config{Ping: careless}, time.Second, context.DeadlineExceeded},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nw, config := balancer(t, tc.peer)
				tc.config.Address, tc.config.Dial = config.Address, config.Dial
				connector, err := tcp.NewConnector(tc.config)
				require.NoError(t, err)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				c, err := connector.Connect(ctx)
				assert.Nil(t, c)
				require.ErrorContains(t, err, "tcp: ping after connect to server:1: ")
				if tc.want != nil {
					assert.ErrorIs(t, err, tc.want)
				}
				assert.False(t, driver.IsPermanent(err), "the server may come back")
				assert.Equal(t, tc.took, time.Since(start))
				assert.Zero(t, nw.Stats().Open)
			})
		})
	}
}

func TestWithoutThePingConnectSucceedsWithoutAServer(t *testing.T) {
	for name, peer := range map[string]func(net.Conn){"accepts and closes": closes, "accepts and is silent": staysSilent} {
		t.Run(name, func(t *testing.T) {
			for _, config := range []tcp.Config{{PingBytes: "a", PongBytes: "b"}, {Ping: noPing}, {}} {
				_, at := balancer(t, peer)
				config.Address, config.Dial = at.Address, at.Dial
				config.SkipConnectPing = config.Ping != nil || config.PingBytes != ""
				_, err := connect(t, config)
				assert.NoError(t, err)
			}
		})
	}
	connector, err := driver.OpenConnector("tcp", "tcp://"+serve(t, "tcp", staysSilent)+"?ping=a&pong=b&connect_ping=false")
	require.NoError(t, err)
	_, err = connectTo(t, connector)
	assert.NoError(t, err)
}

func TestThePingOfConnectDoesNotCount(t *testing.T) {
	for name, config := range map[string]tcp.Config{
		"ping and pong": {PingBytes: "PING\n", PongBytes: "PONG\n"},
		"a function": {Ping: func(_ context.Context, c net.Conn) error {
			_, _ = io.WriteString(c, "PING\n")
			_, err := io.ReadFull(c, make([]byte, 5))
			return errors.Join(err, c.SetDeadline(time.Unix(1, 0)))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			config.Address = serve(t, "tcp", replies)
			c, err := connect(t, config)
			require.NoError(t, err)
			assert.Zero(t, c.Sent())
			assert.Zero(t, c.Received())
			assert.True(t, c.IsValid())
			_, err = io.WriteString(c, "the deadline of the ping is gone")
			assert.NoError(t, err)
		})
	}
}

func TestConnectRefusesAnythingButPong(t *testing.T) {
	for _, tc := range []struct{ name, says, want string }{
		{"another answer", "BUSY\n", `tcp: ping after connect to server:1: the answer begins with "BUSY\n", want "PONG\n"`},
		{"an extra byte", "PONG\n!", "unread bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			nw, config := balancer(t, func(c net.Conn) {
				_, _ = c.Read(make([]byte, 64))
				_, _ = io.WriteString(c, tc.says)
				staysSilent(c)
			})
			config.PingBytes, config.PongBytes = "PING\n", "PONG\n"
			_, err := connect(t, config)
			require.ErrorContains(t, err, tc.want)
			assert.False(t, driver.IsPermanent(err))
			assert.Zero(t, nw.Stats().Open)
		})
	}
}

func TestTheClassOfAnErrorOfPingSurvivesInConnect(t *testing.T) {
	nw, config := balancer(t, staysSilent)
	config.Ping = func(context.Context, net.Conn) error { return driver.Full(errors.New("421 busy"), 0) }
	_, err := connect(t, config)
	require.EqualError(t, err, "tcp: ping after connect to server:1: 421 busy")
	assert.True(t, driver.IsFull(err))
	assert.Zero(t, nw.Stats().Open)
}

func TestConnectPingsTheConnectionThatTheHandshakeReturned(t *testing.T) {
	var order []string
	_, config := balancer(t, staysSilent)
	config.Handshake = func(_ context.Context, c net.Conn) (net.Conn, error) {
		order = append(order, "handshake")
		return &layer{c}, nil
	}
	config.Ping = func(_ context.Context, c net.Conn) error {
		_, ok := c.(interface{ NetConn() net.Conn }).NetConn().(*layer)
		assert.True(t, ok, "%T", c)
		order = append(order, "ping")
		return nil
	}
	_, err := connect(t, config)
	require.NoError(t, err)
	assert.Equal(t, []string{"handshake", "ping"}, order)
}

// layer is a connection over another one.
type layer struct{ net.Conn }

func (l *layer) NetConn() net.Conn { return l.Conn }

func TestAPingThatPanicsInConnectClosesTheSocket(t *testing.T) {
	nw, config := balancer(t, staysSilent)
	config.Ping = noPing
	connector, err := tcp.NewConnector(config)
	require.NoError(t, err)
	assert.PanicsWithValue(t, "pinged", func() { _, _ = connector.Connect(t.Context()) })
	assert.Zero(t, nw.Stats().Open)
}
