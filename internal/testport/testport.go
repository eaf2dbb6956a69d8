// Package testport has addresses for tests that no other process gets meanwhile: one for
// a server, even while it is down, and one where nothing listens.
package testport

import (
	"net"
	"testing"
)

// Refused returns an address that refuses connections until t ends. It is the client's end
// of a connection.
func Refused(t testing.TB) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().String()
}
