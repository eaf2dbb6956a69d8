//go:build !linux

package testport

import "testing"

// Reserve returns 127.0.0.1:0, any free port. On Linux, it reserves an address for
// a server.
func Reserve(testing.TB) (addr string) { return "127.0.0.1:0" }
