//go:build !unix || aix

package conn

import "net"

// socket is unused here: these systems can't peek at a socket.
type socket struct{}

// newSocket returns nil, so that Check tries a short read.
func newSocket(net.Conn) *socket { return nil }

func (*socket) peek() error { return nil }
