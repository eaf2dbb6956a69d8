package tls_test

import (
	"context"
	stdtls "crypto/tls"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/internal/testcert"
)

// A load balancer may end TLS itself, and have no server behind it.
func TestConnectFailsIfThePingOverTLSGetsNoAnswer(t *testing.T) {
	closes := func(*stdtls.Conn) {}
	staysSilent := func(c *stdtls.Conn) { _, _ = io.Copy(io.Discard, c) }
	for _, tc := range []struct {
		name string
		peer func(*stdtls.Conn)
		took time.Duration
		want error
	}{
		{"accepts and closes", closes, 0, io.EOF},
		{"accepts and is silent", staysSilent, time.Second, context.DeadlineExceeded},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := testcert.NewCA()
				nw, config := secure(t, ca, ca.ServerConfig(), tc.peer)
				config.TCP.PingBytes, config.TCP.PongBytes = "PING\n", "PONG\n"
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				c, err := mustConnector(t, config).Connect(ctx)
				assert.Nil(t, c)
				require.ErrorContains(t, err, "tcp: ping after connect to localhost:1: ")
				assert.ErrorIs(t, err, tc.want)
				assert.False(t, driver.IsPermanent(err))
				assert.Equal(t, tc.took, time.Since(start))
				assert.Zero(t, nw.Stats().Open)

				config.TCP.SkipConnectPing = true
				c, err = mustConnector(t, config).Connect(t.Context())
				require.NoError(t, err)
				assert.NoError(t, c.Close())
			})
		})
	}
}

func TestThePingOfConnectOverTLSDoesNotCount(t *testing.T) {
	ca := testcert.NewCA()
	_, config := secure(t, ca, ca.ServerConfig(), echo)
	config.TCP.PingBytes, config.TCP.PongBytes = "PING\n", "PING\n"
	c, err := connect(t, config)
	require.NoError(t, err)
	assert.Zero(t, c.Sent())
	assert.Zero(t, c.Received())
	wantEcho(t, c)
}

var _ driver.Receiver = (*tls.Conn)(nil)
