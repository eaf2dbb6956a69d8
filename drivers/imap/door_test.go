//go:build linux

package imap_test

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// door is a proxy that counts the connections through it.
type door struct {
	address string
	to      string

	mu    sync.Mutex // guards the fields below
	pairs map[pair]bool
	most  int // the most that were ever open at once
}

// pair is a connection of a client and the one to the server for it.
type pair [2]*net.TCPConn

// newDoor starts a door to the server at the address to. It ends with the test.
func newDoor(t testing.TB, to string) *door {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d := &door{address: l.Addr().String(), to: to, pairs: map[pair]bool{}}
	var all sync.WaitGroup
	all.Go(func() { // ends when l is closed
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			all.Go(func() { d.pass(c.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		d.mu.Lock()
		for p := range d.pairs {
			p.close()
		}
		d.mu.Unlock()
		all.Wait()
	})
	return d
}

// pass connects a client to the server, until either side hangs up.
func (d *door) pass(client *net.TCPConn) {
	server, err := net.Dial("tcp", d.to)
	if err != nil {
		client.Close()
		return
	}
	p := pair{client, server.(*net.TCPConn)}
	d.mu.Lock()
	d.pairs[p] = true
	d.most = max(d.most, d.openLocked())
	d.mu.Unlock()
	var both sync.WaitGroup
	for i := range p {
		both.Go(func() {
			_, _ = io.Copy(p[i], p[1-i])
			p.close()
		})
	}
	both.Wait()
	d.mu.Lock()
	delete(d.pairs, p)
	d.mu.Unlock()
}

// counts returns how many connections neither side has closed: the current number and
// the highest.
func (d *door) counts() (open, most int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.openLocked(), d.most
}

// openLocked asks the kernel, which knows about a close before the door has read up to
// it. So a connection that the client closed before it dialed the next one does not
// count.
func (d *door) openLocked() (n int) {
	for p := range d.pairs {
		if established(p[0]) && established(p[1]) {
			n++
		}
	}
	return n
}

func (p pair) close() {
	p[0].Close()
	p[1].Close()
}

// established reports whether the other side of c has not closed it yet.
func established(c *net.TCPConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	const stateEstablished = 1
	var info [4]byte // the beginning of a struct tcp_info: first the state
	if errClosed := raw.Control(func(fd uintptr) {
		info, err = syscall.GetsockoptInet4Addr(int(fd), syscall.IPPROTO_TCP, syscall.TCP_INFO)
	}); errClosed != nil || err != nil {
		return false
	}
	return info[0] == stateEstablished
}

// sockets counts the sockets that a client has not closed.
type sockets struct{ open atomic.Int32 }

func (s *sockets) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	s.open.Add(1)
	return &socket{c, sync.OnceFunc(func() { s.open.Add(-1) })}, nil
}

type socket struct {
	net.Conn
	closed func()
}

func (s *socket) Close() error {
	s.closed()
	return s.Conn.Close()
}
