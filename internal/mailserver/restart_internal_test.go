//go:build linux

package mailserver

import (
	"context"
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnAddressIsOnlyForTheServer(t *testing.T) {
	own := address(t)
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

func TestALockThatWasLeftBehindDoesNotHoldUpTheNextStart(t *testing.T) {
	s := Start(t, Dovecot, Options{})
	s.Stop()
	s.write("run/instances.lock", "")
	s.Start()
}
