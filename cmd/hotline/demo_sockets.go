package main

import (
	"context"
	"net"
	"sync"
)

// sockets dials the connections of a pool, and counts them from before the dial until
// after the close. A server would count a closed connection until it notices the end,
// which may be after the next one has begun.
type sockets struct {
	mu   sync.Mutex // guards the fields below
	open int
	most int // the most that were open at once
}

// dial is for tcp.Config.Dial.
func (s *sockets) dial(ctx context.Context, network, address string) (net.Conn, error) {
	s.add(1)
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		s.add(-1)
		return nil, err
	}
	return &socket{c.(*net.TCPConn), sync.OnceFunc(func() { s.add(-1) })}, nil
}

func (s *sockets) add(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open += n
	s.most = max(s.most, s.open)
}

// peak returns the most that were open at once.
func (s *sockets) peak() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}

// socket is a connection that is counted.
type socket struct {
	*net.TCPConn
	closed func()
}

func (s *socket) Close() error {
	defer s.closed()
	return s.TCPConn.Close()
}
