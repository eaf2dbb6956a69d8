package testport_test

import (
	"context"
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/internal/testport"
)

func TestARefusedAddressBelongsToNobodyElse(t *testing.T) {
	_, err := net.Listen("tcp", testport.Refused(t))
	require.ErrorIs(t, err, syscall.EADDRINUSE)
}

func TestAReservedAddressIsOnlyForTheServer(t *testing.T) {
	own := testport.Reserve(t)
	other := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			assert.NoError(t, syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 0))
		})
	}}
	_, err := other.Listen(context.Background(), "tcp", own)
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	for range 2 {
		server, err := net.Listen("tcp", own)
		require.NoError(t, err)
		server.Close()
	}
}
