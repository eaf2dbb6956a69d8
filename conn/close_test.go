package conn_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/internal/testcert"
)

func TestCloseIsIdempotent(t *testing.T) {
	c, s := open(t)
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	require.NoError(t, c.CloseWithError(errors.New("too late")))
	assert.Equal(t, io.EOF, read(s))
	wantDead(t, c, net.ErrClosed)
	wantError(t, c.Err(), "close", net.ErrClosed)
	wantError(t, read(c), "read", net.ErrClosed)
	wantError(t, c.SetDeadline(time.Time{}), "set", net.ErrClosed)
	c.Bind(t.Context())()
}

func TestCloseReturnsTheErrorOfTheWrappedConnection(t *testing.T) {
	nc, _ := dial(t, new(memnet.Network))
	require.NoError(t, nc.Close())
	c := conn.New(nc)
	wantError(t, c.SetDeadline(time.Time{}), "set", net.ErrClosed)
	assert.ErrorIs(t, c.Close(), net.ErrClosed)
	assert.NoError(t, c.Close())
}

func TestCloseUnblocksIOAndSaysWhy(t *testing.T) {
	for _, name := range []string{"read", "write"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := open(t)
				blocked := make(chan error, 1)
				go func() {
					op := c.Read
					if name == "write" {
						op = c.Write
					}
					_, err := op(make([]byte, 1<<20))
					blocked <- err
				}()
				synctest.Wait()
				bye := errors.New("BYE shutting down")
				require.NoError(t, c.CloseWithError(bye))
				err := <-blocked
				wantError(t, err, name, net.ErrClosed)
				assert.ErrorIs(t, err, bye)
				assert.True(t, driver.IsBad(err))
				wantDead(t, c, bye)
			})
		})
	}
}

// tlsPair makes a TLS connection in memory.
func tlsPair(t *testing.T) (client, server *tls.Conn) {
	t.Helper()
	ca := testcert.NewCA()
	nc, ns := dial(t, new(memnet.Network))
	client, server = tls.Client(nc, ca.ClientConfig()), tls.Server(ns, ca.ServerConfig())
	shaken := make(chan error, 1)
	go func() { shaken <- server.Handshake() }()
	require.NoError(t, client.Handshake())
	require.NoError(t, <-shaken)
	return client, server
}

func TestCloseOfTLSSaysGoodbye(t *testing.T) {
	nc, s := tlsPair(t)
	c := conn.New(nc)
	require.NoError(t, c.Close())
	alert, err := io.ReadAll(s.NetConn()) // crypto/tls would accept a bare FIN too
	require.NoError(t, err)
	assert.NotEmpty(t, alert)
	assert.ErrorIs(t, read(nc.NetConn()), net.ErrClosed)
}

// fill fills the buffers of nc, so that there is no room for a farewell.
func fill(t *testing.T, nc *tls.Conn) {
	raw := nc.NetConn()
	require.NoError(t, raw.SetWriteDeadline(time.Now().Add(time.Second)))
	raw.Write(make([]byte, 1<<20))
	require.NoError(t, raw.SetWriteDeadline(time.Time{}))
}

func TestCloseOfTLSGivesAStuckPeerASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, _ := tlsPair(t)
		c := conn.New(nc)
		fill(t, nc)
		start := time.Now()
		c.Close()
		assert.Equal(t, time.Second, time.Since(start))
	})
}

func TestCloseOfFailedTLSDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, _ := tlsPair(t)
		c := conn.New(nc)
		fill(t, nc)
		require.NoError(t, c.SetDeadline(time.Now().Add(time.Second)))
		_, err := c.Write(make([]byte, 1))
		require.Error(t, err)
		start := time.Now()
		require.NoError(t, c.Close())
		assert.Zero(t, time.Since(start))
		assert.ErrorIs(t, read(nc.NetConn()), net.ErrClosed)
	})
}
