package memnet_test

import (
	"context"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/internal/memnet"
)

func TestDialWithoutAListenerIsRefused(t *testing.T) {
	var nw memnet.Network
	_, err := nw.DialContext(t.Context(), "tcp", "nobody:1")
	wantOpError(t, err, "dial", syscall.ECONNREFUSED)
	assert.EqualError(t, err, "dial tcp nobody:1: connect: "+syscall.ECONNREFUSED.Error())
	assert.Equal(t, memnet.Stats{Dials: 1}, nw.Stats())
}

func TestRefuseLeavesOpenConnectionsAlone(t *testing.T) {
	var nw memnet.Network
	c, s := pair(t, &nw)
	l := listen(t, &nw, "server:1")
	nw.Refuse(true)
	_, err := nw.DialContext(t.Context(), "tcp", l.Addr().String())
	wantOpError(t, err, "dial", syscall.ECONNREFUSED)
	write(t, c, "x")
	wantRead(t, s, "x")
	nw.Refuse(false)
	c2, err := nw.DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	c2.Close()
}

func TestHangingDialEndsOnlyWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var nw memnet.Network
		l := listen(t, &nw, "")
		nw.Hang(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		hung := make(chan error, 1)
		go func() {
			_, err := nw.DialContext(ctx, "tcp", l.Addr().String())
			hung <- err
		}()
		synctest.Wait()
		nw.Hang(false)
		c, err := nw.DialContext(t.Context(), "tcp", l.Addr().String())
		require.NoError(t, err)
		c.Close()
		wantOpError(t, <-hung, "dial", context.DeadlineExceeded)
		assert.Equal(t, time.Minute, time.Since(start))
	})
}

func TestDialAfterTheEndOfItsContextDoesNotCount(t *testing.T) {
	var nw memnet.Network
	l := listen(t, &nw, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := nw.DialContext(ctx, "tcp", l.Addr().String())
	wantOpError(t, err, "dial", context.Canceled)
	assert.Zero(t, nw.Stats())
}

func TestDialCancelledHalfWayLeavesNothingOpen(t *testing.T) {
	for name, after := range map[string]time.Duration{"there": 10, "back": 40} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var nw memnet.Network
				nw.SetLatency(30*time.Millisecond, 30*time.Millisecond)
				l := listen(t, &nw, "")
				ctx, cancel := context.WithTimeout(t.Context(), after*time.Millisecond)
				defer cancel()
				_, err := nw.DialContext(ctx, "tcp", l.Addr().String())
				wantOpError(t, err, "dial", context.DeadlineExceeded)
				assert.Zero(t, nw.Stats().Open)
			})
		})
	}
}

func TestStatsCountDialingEndsUntilTheyAreClosed(t *testing.T) {
	var nw memnet.Network
	c1, s1 := pair(t, &nw)
	c2, s2 := pair(t, &nw)
	assert.Equal(t, memnet.Stats{Dials: 2, Open: 2, MaxOpen: 2}, nw.Stats())
	s1.Close()
	c2.Cut()
	assert.Equal(t, 2, nw.Stats().Open)
	c1.Close()
	c2.Close()
	s2.Close()
	assert.Equal(t, memnet.Stats{Dials: 2, Open: 0, MaxOpen: 2}, nw.Stats())
}

func TestListenOnATakenAddressFails(t *testing.T) {
	var nw memnet.Network
	l := listen(t, &nw, "server:1")
	_, err := nw.Listen("server:1")
	wantOpError(t, err, "listen", syscall.EADDRINUSE)
	require.NoError(t, l.Close())
	listen(t, &nw, "server:1")
}

func TestListenerCloseEndsAcceptAndResetsTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var nw memnet.Network
		l := listen(t, &nw, "server:1")
		c, err := nw.DialContext(t.Context(), "tcp", "server:1")
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, l.Close())
		_, err = c.Read(make([]byte, 1))
		wantOpError(t, err, "read", syscall.ECONNRESET)
		wantOpError(t, l.Close(), "close", net.ErrClosed)

		l = listen(t, &nw, "server:1")
		blocked := make(chan error, 1)
		go func() {
			_, err := l.Accept()
			blocked <- err
		}()
		synctest.Wait()
		require.NoError(t, l.Close())
		wantOpError(t, <-blocked, "accept", net.ErrClosed)
	})
}

func TestAcceptedConnectionsOutliveTheListener(t *testing.T) {
	var nw memnet.Network
	l := listen(t, &nw, "server:1")
	c, err := nw.DialContext(t.Context(), "tcp", "server:1")
	require.NoError(t, err)
	defer c.Close()
	s, err := l.Accept()
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, l.Close())
	write(t, c, "x")
	wantRead(t, s, "x")
}
