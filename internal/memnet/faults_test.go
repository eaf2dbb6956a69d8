package memnet_test

import (
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/internal/memnet"
)

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

func TestConnCutResetsOnlyThatOne(t *testing.T) {
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

func TestConnSilenceAffectsOnlyThatOne(t *testing.T) {
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
