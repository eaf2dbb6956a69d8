//go:build !linux

package tcp

import (
	"syscall"
	"time"
)

const hasUserTimeout = false

// setUserTimeout is never called, because check rejects the Config.
func setUserTimeout(time.Duration) func(network, address string, c syscall.RawConn) error {
	return nil
}
