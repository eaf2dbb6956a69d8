package tcp

import (
	"errors"
	"os"
	"syscall"
	"time"
)

const hasUserTimeout = true

// tcpUserTimeout is TCP_USER_TIMEOUT, which package syscall lacks.
const tcpUserTimeout = 18

// setUserTimeout returns a Control function for net.Dialer.
func setUserTimeout(d time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var errSet error
		err := c.Control(func(fd uintptr) {
			errSet = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(d.Milliseconds()))
		})
		return errors.Join(err, os.NewSyscallError("setsockopt TCP_USER_TIMEOUT", errSet))
	}
}
