package memnet

import (
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
)

// Listen returns a listener on address, which may be any string. If address is empty,
// Listen chooses one. If it is taken, the error is EADDRINUSE. Accept blocks until
// there is a connection or the listener is closed; the connections are of type
// *[Conn].
//
// Close frees the address. It resets connections that wait for Accept, and does not
// affect accepted ones.
func (n *Network) Listen(address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if address == "" {
		address = n.newNameLocked("server")
	}
	if n.listeners[address] != nil {
		err := os.NewSyscallError("bind", syscall.EADDRINUSE)
		return nil, &net.OpError{Op: "listen", Net: "mem", Addr: addr(address), Err: err}
	}
	if n.listeners == nil {
		n.listeners = map[string]*listener{}
	}
	l := &listener{nw: n, addr: addr(address)}
	l.changed.L = &n.mu
	n.listeners[address] = l
	return l, nil
}

// newNameLocked returns an unused address.
func (n *Network) newNameLocked(host string) string {
	n.named++
	return fmt.Sprintf("%s.mem:%d", host, n.named)
}

type listener struct {
	nw   *Network
	addr addr

	// Guarded by nw.mu.
	changed sync.Cond
	queue   []*Conn // accepting ends that wait for Accept
	closed  bool
}

func (l *listener) Accept() (net.Conn, error) {
	l.nw.mu.Lock()
	defer l.nw.mu.Unlock()
	for len(l.queue) == 0 && !l.closed {
		l.changed.Wait()
	}
	if l.closed {
		return nil, l.error("accept", net.ErrClosed)
	}
	c := l.queue[0]
	l.queue = l.queue[1:]
	return c, nil
}

func (l *listener) Close() error {
	l.nw.mu.Lock()
	defer l.nw.mu.Unlock()
	if l.closed {
		return l.error("close", net.ErrClosed)
	}
	l.closed = true
	delete(l.nw.listeners, string(l.addr))
	for _, c := range l.queue {
		c.cutLocked()
		c.closeLocked()
	}
	l.queue = nil
	l.changed.Broadcast()
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }

func (l *listener) error(op string, err error) error {
	return &net.OpError{Op: op, Net: "mem", Addr: l.addr, Err: err}
}
