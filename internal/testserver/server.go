package testserver

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// TCP listens on address, as in 127.0.0.1:0, whose port 0 is any that is free.
func TCP(address string) (net.Listener, error) { return net.Listen("tcp", address) }

// Server is a listener with a protocol, and with its connections under
// control. [Start] makes one. Kill, Restart and Close are for one goroutine at
// a time; the other methods may be called from any.
type Server struct {
	listen func(address string) (net.Listener, error)
	serve  func(net.Listener)
	addr   string
	served chan struct{} // closed when serve has returned

	mu       sync.Mutex // guards the fields below; held across no I/O but Close
	listener net.Listener
	running  bool
	conns    map[*serverConn]bool
	stats    Stats
	changed  chan struct{} // closed and replaced when conns changes
}

// Stats counts what a server has seen, restarts included.
type Stats struct {
	Open     int // connections open now
	Most     int // the most that were open at once
	Accepted int // connections so far
}

// Start listens on address and runs serve with the listener, in a goroutine
// that ends at Kill or Close. serve accepts connections until that fails, and
// returns when it is done with them; all of them fail at Kill and Close.
// Restart calls listen and serve again.
//
// The error is that of listen.
func Start(listen func(address string) (net.Listener, error), address string, serve func(net.Listener)) (*Server, error) {
	s := &Server{listen: listen, serve: serve, addr: address, conns: map[*serverConn]bool{}, changed: make(chan struct{})}
	if err := s.Restart(); err != nil {
		return nil, err
	}
	return s, nil
}

// Addr returns the address, which stays the same through restarts.
func (s *Server) Addr() string { return s.addr }

// Restart listens on the same address again, after Kill or Close. On a server
// that runs it does nothing.
func (s *Server) Restart() error {
	s.mu.Lock()
	running := s.running
	s.mu.Unlock()
	if running {
		return nil
	}
	inner, err := s.listen(s.addr)
	if err != nil {
		return fmt.Errorf("testserver: %w", err)
	}
	s.addr = inner.Addr().String()
	s.served = make(chan struct{})
	s.mu.Lock()
	s.listener, s.running = inner, true
	s.mu.Unlock()
	go func() { // ends when the listener is closed
		defer close(s.served)
		s.serve(&listener{inner, s})
	}()
	return nil
}

// Kill stops the server as a crash does: new connections are refused and those
// that are open are reset, where the network knows resets. It waits until serve
// has returned.
func (s *Server) Kill() { s.stop(reset) }

// Close stops the server and closes all connections. It waits until serve has
// returned. Closing a server that is not running does nothing.
func (s *Server) Close() { s.stop(func(net.Conn) {}) }

// stop closes the listener and all connections, each after prepare.
func (s *Server) stop(prepare func(net.Conn)) {
	s.mu.Lock()
	if s.running {
		s.running = false
		s.listener.Close()
	}
	for c := range s.conns {
		prepare(c.Conn)
		c.Conn.Close()
	}
	clear(s.conns)
	s.changedLocked()
	s.mu.Unlock()
	<-s.served
}

// reset makes the coming Close of c a reset.
func reset(c net.Conn) {
	switch c := c.(type) {
	case interface{ SetLinger(sec int) error }: // TCP
		_ = c.SetLinger(0) // it fails on a dead socket only
	case interface{ Cut() }: // a network in memory
		c.Cut()
	}
}

// Stats returns the counts up to now.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// AwaitOpen waits until exactly n connections are open. It returns the error
// of ctx if that ends first.
func (s *Server) AwaitOpen(ctx context.Context, n int) error {
	for {
		s.mu.Lock()
		open, changed := s.stats.Open, s.changed
		s.mu.Unlock()
		if open == n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("testserver: %d connections are open, want %d: %w", open, n, ctx.Err())
		}
	}
}

// changedLocked counts the connections and wakes AwaitOpen.
func (s *Server) changedLocked() {
	s.stats.Open = len(s.conns)
	s.stats.Most = max(s.stats.Most, s.stats.Open)
	close(s.changed)
	s.changed = make(chan struct{})
}

// accepted takes c in, or reports that the server has stopped meanwhile.
func (s *Server) accepted(c *serverConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		s.conns[c] = true
		s.stats.Accepted++
		s.changedLocked()
	}
	return s.running
}

// gone takes c off the open connections.
func (s *Server) gone(c *serverConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[c] {
		delete(s.conns, c)
		s.changedLocked()
	}
}

// listener is what the protocol accepts connections from.
type listener struct {
	net.Listener
	server *Server
}

// Accept returns the next connection, as one of the server's.
func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &serverConn{inner, l.server}
	if !l.server.accepted(c) {
		reset(inner)
		inner.Close()
		return nil, net.ErrClosed
	}
	return c, nil
}

// serverConn is a connection that tells the server of its end.
type serverConn struct {
	net.Conn
	server *Server
}

func (c *serverConn) Close() error {
	c.server.gone(c)
	return c.Conn.Close()
}
