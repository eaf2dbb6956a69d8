package tcp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/internal/memnet"
)

var _ interface {
	net.Conn
	driver.Pinger
	driver.Binder
	driver.Validator
	driver.SessionResetter
} = (*tcp.Conn)(nil)

// answering starts a server that answers the first bytes it reads with says, byte
// by byte.
func answering(t *testing.T, says string, got chan<- string) (config tcp.Config) {
	return tcp.Config{SkipConnectPing: true, Address: serve(t, "tcp", func(c net.Conn) {
		b := make([]byte, 64)
		n, _ := c.Read(b)
		got <- string(b[:n])
		for i := range len(says) {
			_, _ = io.WriteString(c, says[i:i+1])
		}
		_, _ = io.Copy(io.Discard, c)
	})}
}

func TestPingSendsThePingAndReadsThePong(t *testing.T) {
	got := make(chan string, 1)
	config := answering(t, "PO\x00NG\n", got)
	config.PingBytes, config.PongBytes = "PI\x00NG\n", "PO\x00NG\n"
	c, err := connect(t, config)
	require.NoError(t, err)
	require.NoError(t, c.Ping(t.Context()))
	assert.Equal(t, "PI\x00NG\n", <-got)
}

func TestAnyAnswerExceptPongIsAnError(t *testing.T) {
	for _, says := range []string{"BUSY\n", "PO\n", "PONG\r\n"} {
		t.Run(says, func(t *testing.T) {
			config := answering(t, says, make(chan string, 1))
			config.PingBytes, config.PongBytes = "PING\n", "PONG\n"
			c, err := connect(t, config)
			require.NoError(t, err)
			err = c.Ping(t.Context())
			require.ErrorContains(t, err, "tcp: ping "+config.Address+": the answer begins with \"")
			require.ErrorContains(t, err, `, want "PONG\n"`)
			assert.True(t, driver.IsBad(err), "the rest of the answer would answer the next request")
			assert.False(t, c.IsValid())
		})
	}
}

func TestAPingThatThePeerRepeatsIsNotShown(t *testing.T) {
	config := tcp.Config{PingBytes: "auth hunter2\n", PongBytes: "-ERR unknown command PING\r\n", SkipConnectPing: true}
	config.Address = serve(t, "tcp", func(c net.Conn) {
		_, _ = c.Read(make([]byte, 64))
		_, _ = io.WriteString(c, "-ERR unknown command AUTH hunter2\r\n")
		_, _ = io.Copy(io.Discard, c)
	})
	c, err := connect(t, config)
	require.NoError(t, err)
	err = c.Ping(t.Context())
	assert.EqualError(t, err, "tcp: ping "+config.Address+": the answer begins with (not shown, because it repeats what was sent), "+
		`want "-ERR unknown command PING\r\n"`)
}

func TestTextOfAPeerThatAFunctionReturnsIsQuotedAndBounded(t *testing.T) {
	const raw = "\x1b[31mred\n"
	_, err := connect(t, tcp.Config{Address: serve(t, "tcp", echo), Handshake: func(context.Context, net.Conn) (net.Conn, error) {
		return nil, driver.Permanent(errors.New(raw + strings.Repeat("x", 1<<20)))
	}})
	assert.ErrorContains(t, err, `: \x1b[31mred\nxxx`)
	assert.Less(t, len(err.Error()), 2000)
	assert.True(t, driver.IsPermanent(err))

	config := tcp.Config{Address: serve(t, "tcp", echo), Ping: func(context.Context, net.Conn) error { return errors.New(raw) }}
	_, err = connect(t, config)
	assert.ErrorContains(t, err, `: \x1b[31mred\n`)
	config.SkipConnectPing = true
	c, err := connect(t, config)
	require.NoError(t, err)
	assert.ErrorContains(t, c.Ping(t.Context()), `: \x1b[31mred\n`)
}

func TestPingFailsIfThePeerHasClosed(t *testing.T) {
	for _, tc := range []struct {
		name   string
		config tcp.Config
	}{
		{"ping and pong", tcp.Config{PingBytes: "a", PongBytes: "b"}},
		{"a function", tcp.Config{Ping: func(_ context.Context, c net.Conn) error {
			_, err := c.Read(make([]byte, 1))
			return err
		}}},
		{"a check of the socket", tcp.Config{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var nw memnet.Network
			l, err := nw.Listen("server:1")
			require.NoError(t, err)
			serveOn(t, l, func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) })
			tc.config.Address, tc.config.Dial, tc.config.SkipConnectPing = "server:1", nw.DialContext, true
			c, err := connect(t, tc.config)
			require.NoError(t, err)
			if tc.name == "a check of the socket" {
				require.NoError(t, c.Ping(t.Context()), "while it lives")
			}
			nw.Cut()
			err = c.Ping(t.Context())
			require.Error(t, err)
			assert.True(t, driver.IsBad(err), err)
		})
	}
}

func TestPingOfASilentPeerEndsWithItsContext(t *testing.T) {
	read := func(_ context.Context, c net.Conn) error {
		_, err := c.Read(make([]byte, 1))
		return err
	}
	for _, config := range []tcp.Config{{PingBytes: "a", PongBytes: "b"}, {Ping: read}} {
		synctest.Test(t, func(t *testing.T) {
			var nw memnet.Network
			silent(t, &nw, "server:1")
			config.Address, config.Dial, config.SkipConnectPing = "server:1", nw.DialContext, true
			c, err := connect(t, config)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			err = c.Ping(ctx)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.ErrorContains(t, err, "tcp: ping server:1: ")
			assert.Equal(t, time.Second, time.Since(start))
		})
	}
}

func TestPingIsTheFunctionOfTheConfig(t *testing.T) {
	errBusy := errors.New("421 busy")
	c, err := connect(t, tcp.Config{Address: serve(t, "tcp", echo), SkipConnectPing: true, Ping: func(_ context.Context, c net.Conn) error {
		wantEcho(t, c)
		return errBusy
	}})
	require.NoError(t, err)
	err = c.Ping(t.Context())
	require.ErrorIs(t, err, errBusy)
	assert.True(t, driver.IsBad(err))
	assert.False(t, c.IsValid())
}

func TestAPanickingPingLeavesTheConnectionUnbound(t *testing.T) {
	c, err := connect(t, tcp.Config{Address: serve(t, "tcp", echo), Ping: noPing, SkipConnectPing: true})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	assert.PanicsWithValue(t, "pinged", func() { _ = c.Ping(ctx) })
	cancel()
	wantEcho(t, c)
}
