package memnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/net/nettest"

	"github.com/hotline-go/hotline/internal/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen opens a listener that the end of the test closes.
func listen(t *testing.T, nw *memnet.Network, address string) net.Listener {
	t.Helper()
	l, err := nw.Listen(address)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// pair returns both ends of a new connection, which the end of the test closes.
func pair(t *testing.T, nw *memnet.Network) (client, server *memnet.Conn) {
	t.Helper()
	l := listen(t, nw, "")
	c, err := nw.DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	s, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); s.Close() })
	return c.(*memnet.Conn), s.(*memnet.Conn)
}

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	n, err := io.WriteString(c, s)
	require.NoError(t, err)
	require.Equal(t, len(s), n)
}

func wantRead(t *testing.T, c net.Conn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	_, err := io.ReadFull(c, b)
	require.NoError(t, err)
	require.Equal(t, want, string(b))
}

// wantSilent fails if a Read gets anything within d.
func wantSilent(t *testing.T, c net.Conn, d time.Duration) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(d)))
	n, err := c.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "read %d bytes", n)
	require.NoError(t, c.SetReadDeadline(time.Time{}))
}

func wantOpError(t *testing.T, err error, op string, is error) {
	t.Helper()
	require.ErrorIs(t, err, is)
	var oe *net.OpError
	require.ErrorAs(t, err, &oe)
	assert.Equal(t, op, oe.Op)
}

func TestConnBehavesAsANetConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		var nw memnet.Network
		l, err := nw.Listen("server:1")
		if err != nil {
			return nil, nil, nil, err
		}
		c1, err = nw.DialContext(context.Background(), "tcp", "server:1")
		if err != nil {
			return nil, nil, nil, err
		}
		c2, err = l.Accept()
		return c1, c2, func() { c1.Close(); c2.Close(); l.Close() }, err
	})
}

func TestConnAddressesMatch(t *testing.T) {
	var nw memnet.Network
	c1, s1 := pair(t, &nw)
	c2, _ := pair(t, &nw)
	assert.Equal(t, c1.LocalAddr(), s1.RemoteAddr())
	assert.Equal(t, c1.RemoteAddr(), s1.LocalAddr())
	assert.NotEqual(t, c1.LocalAddr(), c2.LocalAddr())
	assert.NotEqual(t, c1.RemoteAddr(), c2.RemoteAddr())
	assert.Equal(t, "mem", c1.LocalAddr().Network())
}

func TestWriteIsBufferedAndBlocksWhenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var nw memnet.Network
		c, s := pair(t, &nw)
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
		n, err := c.Write(make([]byte, 100<<10))
		wantOpError(t, err, "write", os.ErrDeadlineExceeded)
		assert.Equal(t, 64<<10, n)

		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		done := make(chan error, 1)
		go func() {
			_, err := c.Write([]byte("more"))
			done <- err
		}()
		synctest.Wait()
		assert.Empty(t, done)
		_, err = s.Read(make([]byte, 10))
		require.NoError(t, err)
		assert.NoError(t, <-done)
	})
}

func TestCloseEndsTheStreamBehindWhatWasSent(t *testing.T) {
	var nw memnet.Network
	c, s := pair(t, &nw)
	write(t, c, "bye")
	require.NoError(t, c.Close())
	wantRead(t, s, "bye")
	for range 2 {
		_, err := s.Read(make([]byte, 1))
		assert.Equal(t, io.EOF, err) // bare, as net has it
	}
	wantOpError(t, c.Close(), "close", net.ErrClosed)
	wantOpError(t, c.CloseWrite(), "close", net.ErrClosed)
	wantOpError(t, c.SetDeadline(time.Time{}), "set", net.ErrClosed)
	_, err := c.Read(make([]byte, 1))
	wantOpError(t, err, "read", net.ErrClosed)
	_, err = c.Write(make([]byte, 1))
	wantOpError(t, err, "write", net.ErrClosed)
}

func TestFirstWriteToAClosedPeerIsLostAndTheNextFails(t *testing.T) {
	var nw memnet.Network
	c, s := pair(t, &nw)
	require.NoError(t, s.Close())
	write(t, c, "lost")
	_, err := c.Write([]byte("refused"))
	wantOpError(t, err, "write", syscall.EPIPE)
	_, err = c.Read(make([]byte, 1))
	assert.Equal(t, io.EOF, err)
}

func TestCloseWriteLeavesTheOtherDirectionOpen(t *testing.T) {
	var nw memnet.Network
	c, s := pair(t, &nw)
	write(t, c, "request")
	require.NoError(t, c.CloseWrite())
	require.NoError(t, c.CloseWrite())
	got, err := io.ReadAll(s)
	require.NoError(t, err)
	assert.Equal(t, "request", string(got))
	write(t, s, "answer")
	wantRead(t, c, "answer")
	_, err = c.Write([]byte("x"))
	wantOpError(t, err, "write", syscall.EPIPE)
}

func TestCloseUnblocksIO(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var nw memnet.Network
		c, _ := pair(t, &nw)
		errs := make(chan error, 2)
		go func() {
			_, err := c.Read(make([]byte, 1))
			errs <- err
		}()
		go func() {
			_, err := c.Write(make([]byte, 1<<20))
			errs <- err
		}()
		synctest.Wait()
		require.NoError(t, c.Close())
		assert.ErrorIs(t, <-errs, net.ErrClosed)
		assert.ErrorIs(t, <-errs, net.ErrClosed)
	})
}

func TestEmptyReadAndWriteDoNothing(t *testing.T) {
	var nw memnet.Network
	c, s := pair(t, &nw)
	n, err := c.Read(nil)
	assert.NoError(t, err)
	assert.Zero(t, n)
	write(t, c, "")
	write(t, c, "x")
	wantRead(t, s, "x")
}

func TestDeadlineInThePastFailsEvenWithBytesToRead(t *testing.T) {
	var nw memnet.Network
	c, s := pair(t, &nw)
	write(t, s, "x")
	require.NoError(t, c.SetReadDeadline(time.Unix(1, 0)))
	_, err := c.Read(make([]byte, 1))
	wantOpError(t, err, "read", os.ErrDeadlineExceeded)
	require.NoError(t, c.SetReadDeadline(time.Time{}))
	wantRead(t, c, "x")
}

func TestDialWhereNobodyListensIsRefused(t *testing.T) {
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

func TestHangingDialEndsWithItsContextAlone(t *testing.T) {
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

func TestDialAfterTheEndOfItsContextIsNoDial(t *testing.T) {
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

func TestLatencyIsPerDirection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var nw memnet.Network
		nw.SetLatency(30*time.Millisecond, 5*time.Millisecond)
		start := time.Now()
		c, s := pair(t, &nw)
		assert.Equal(t, 35*time.Millisecond, time.Since(start), "dial")

		start = time.Now()
		write(t, c, "ping")
		assert.Zero(t, time.Since(start), "write")
		wantRead(t, s, "ping")
		assert.Equal(t, 30*time.Millisecond, time.Since(start), "to the server")

		start = time.Now()
		write(t, s, "pong")
		require.NoError(t, s.Close())
		wantRead(t, c, "pong")
		assert.Equal(t, 5*time.Millisecond, time.Since(start), "to the client")
		_, err := c.Read(make([]byte, 1))
		assert.Equal(t, io.EOF, err)
	})
}

func TestBytesDoNotOvertakeOnAFasterNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var nw memnet.Network
		c, s := pair(t, &nw)
		nw.SetLatency(time.Second, 0)
		start := time.Now()
		write(t, c, "first")
		nw.SetLatency(0, 0)
		write(t, c, "second")
		wantRead(t, s, "firstsecond")
		assert.Equal(t, time.Second, time.Since(start))
	})
}

func TestCutResetsBothEndsOfEveryConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var nw memnet.Network
		c1, s1 := pair(t, &nw)
		c2, s2 := pair(t, &nw)
		blocked := make(chan error, 1)
		go func() {
			_, err := c1.Read(make([]byte, 1))
			blocked <- err
		}()
		synctest.Wait()
		nw.Cut()
		wantOpError(t, <-blocked, "read", syscall.ECONNRESET)
		for _, c := range []net.Conn{c1, s1, c2, s2} {
			_, err := c.Write([]byte("x"))
			wantOpError(t, err, "write", syscall.ECONNRESET)
		}
		assert.Equal(t, 2, nw.Stats().Open)
		c3, s3 := pair(t, &nw)
		write(t, c3, "x")
		wantRead(t, s3, "x")
	})
}

func TestConnCutResetsThatOneAlone(t *testing.T) {
	var nw memnet.Network
	c1, s1 := pair(t, &nw)
	c2, s2 := pair(t, &nw)
	s1.Cut()
	_, err := c1.Read(make([]byte, 1))
	wantOpError(t, err, "read", syscall.ECONNRESET)
	write(t, c2, "x")
	wantRead(t, s2, "x")
}

func TestSilenceHoldsEverythingBackUntilItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var nw memnet.Network
		c, s := pair(t, &nw)
		write(t, c, "before")
		nw.Silence(true)
		c2, s2 := pair(t, &nw) // the kernel of a stopped peer still accepts
		write(t, c, "held")
		require.NoError(t, c.Close())
		write(t, c2, "held too")
		wantRead(t, s, "before")
		wantSilent(t, s, time.Hour)
		wantSilent(t, s2, time.Hour)

		nw.SetLatency(time.Second, 0)
		start := time.Now()
		nw.Silence(false)
		got, err := io.ReadAll(s)
		require.NoError(t, err)
		assert.Equal(t, "held", string(got))
		assert.Equal(t, time.Second, time.Since(start))
		wantRead(t, s2, "held too")
	})
}

func TestSilentWriteToAClosedPeerLearnsNothing(t *testing.T) {
	var nw memnet.Network
	c, s := pair(t, &nw)
	nw.Silence(true)
	require.NoError(t, s.Close())
	write(t, c, "lost")
	write(t, c, "lost too")
}

func TestConnSilenceIsForThatOneAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var nw memnet.Network
		c1, s1 := pair(t, &nw)
		c2, s2 := pair(t, &nw)
		s1.Silence(true)
		write(t, c1, "held")
		write(t, s1, "held")
		write(t, c2, "through")
		wantRead(t, s2, "through")
		wantSilent(t, s1, time.Hour)
		wantSilent(t, c1, time.Hour)

		nw.Silence(true)
		s1.Silence(false)
		wantSilent(t, c1, time.Hour)
		nw.Silence(false)
		wantRead(t, s1, "held")
		wantRead(t, c1, "held")
	})
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

func TestTimeoutErrorsAreNetTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var nw memnet.Network
		c, _ := pair(t, &nw)
		require.NoError(t, c.SetDeadline(time.Now().Add(time.Second)))
		_, err := c.Read(make([]byte, 1))
		var ne net.Error
		require.True(t, errors.As(err, &ne))
		assert.True(t, ne.Timeout())
	})
}
