package testport

import (
	"fmt"
	"syscall"
	"testing"
)

// Reserve returns an address of loopback that is reserved for a server until t ends. It
// binds a socket that does not listen, so that no other process gets the port, even while
// the server is down. Servers set SO_REUSEADDR, so they can still listen on it. On other
// systems than Linux, it returns 127.0.0.1:0, any free port.
func Reserve(t testing.TB) (addr string) {
	t.Helper()
	fd, err := bind()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
}

// bind returns a socket that is bound to any port.
func bind() (fd int, err error) {
	fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		syscall.Close(fd)
	}
	return fd, err
}
