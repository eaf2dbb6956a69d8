//go:build linux

package realserver

import (
	"testing"

	"github.com/hotline-go/hotline/driver/drivertest"
)

// Relay returns the address of a relay to the server, and the drivertest.Server that
// controls its connections, so that the conformance suite can run against the server.
func (s *Server) Relay(t testing.TB) (addr string, rules drivertest.Server) {
	rules, addr = drivertest.Relay(t, "tcp", s.Addr)
	return addr, rules
}
