//go:build unix && !aix

package conn

import (
	"io"
	"net"
	"os"
	"syscall"
)

// socket peeks at a stream socket of the operating system.
type socket struct {
	raw    syscall.RawConn
	recvFn func(fd uintptr) // s.recv, made once so that peek does not allocate
	found  error            // the result of recv
	buf    [1]byte
}

// newSocket returns nil if nc is not a socket.
func newSocket(nc net.Conn) *socket {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	s := &socket{raw: raw}
	s.recvFn = s.recv
	return s
}

// peek returns nil if there is nothing to read, ErrUnread if there are bytes,
// io.EOF if the peer has closed, or the error of the socket. It never blocks:
// unlike RawConn.Read, Control neither waits for a Read in progress nor fails
// after a deadline.
func (s *socket) peek() error {
	if err := s.raw.Control(s.recvFn); err != nil {
		return err
	}
	return s.found
}

// recv peeks at fd and sets s.found.
func (s *socket) recv(fd uintptr) {
	for {
		n, _, err := syscall.Recvfrom(int(fd), s.buf[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN || err == syscall.EWOULDBLOCK:
			s.found = nil
		case err != nil:
			s.found = os.NewSyscallError("recvfrom", err)
		case n > 0:
			s.found = ErrUnread
		default:
			s.found = io.EOF
		}
		return
	}
}
