package benchmarks

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/internal/memnet"
)

// dialFunc connects to an address.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// near is the dialer of package net.
var near dialFunc = new(net.Dialer).DialContext

// far returns a dialFunc to a TCP server that is rtt milliseconds away: the path goes
// through a network in memory with that latency.
func far(tb testing.TB, address string, rtt int) dialFunc {
	if rtt == 0 {
		return near
	}
	oneWay := time.Duration(rtt) * time.Millisecond / 2
	nw := new(memnet.Network)
	nw.SetLatency(oneWay, oneWay)
	l, err := nw.Listen(address)
	require.NoError(tb, err)
	serve(tb, l, func(c net.Conn) { relay(tb, c, address) })
	return nw.DialContext
}

// relay connects c to address, until one of the two closes.
func relay(tb testing.TB, c net.Conn, address string) {
	defer c.Close()
	server, err := net.Dial("tcp", address)
	if !assert.NoError(tb, err) {
		return
	}
	done := make(chan struct{})
	go func() { // ends with c or the server
		defer close(done)
		_, _ = io.Copy(server, c)
		server.Close()
	}()
	_, _ = io.Copy(c, server)
	c.Close()
	<-done
}

func TestAFarServerIsARoundTripAway(t *testing.T) {
	const rtt = 10
	addr := serveEcho(t)
	began := time.Now()
	c, err := far(t, addr, rtt)(t.Context(), "tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	for trips := 1; trips <= 3; trips++ { // the first is the dial
		assert.GreaterOrEqual(t, time.Since(began), time.Duration(trips*rtt)*time.Millisecond)
		require.NoError(t, echo(c, make([]byte, echoSize)))
	}
}

func TestAFarEndIsPassedOn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 1)
	serve(t, l, func(c net.Conn) {
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			ended <- err
		}
		c.Close()
	})
	dial := far(t, l.Addr().String(), 1)
	for _, clientLeaves := range []bool{true, false} {
		c, err := dial(t.Context(), "tcp", l.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		if clientLeaves {
			require.NoError(t, c.Close())
			require.ErrorIs(t, <-ended, io.EOF)
			continue
		}
		_, err = c.Write(make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
	}
}
