package testserver

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// TCP listens on address, such as 127.0.0.1:0; port 0 means any free port.
func TCP(address string) (net.Listener, error) { return net.Listen("tcp", address) }

// Server runs a protocol on a listener, and controls its connections. [Start] makes
// one. Only one goroutine at a time may call Kill, Restart and Close; any may call the
// other methods.
type Server struct {
	listen func(address string) (net.Listener, error)
	serve  func(net.Listener)
	addr   string
	served chan struct{} // closed when serve has returned

	mu       sync.Mutex // guards the fields below; not held across I/O, except Close
	listener net.Listener
	running  bool
	conns    map[*serverConn]bool
	stats    Stats
	changed  chan struct{} // closed and replaced when conns changes
}

// Stats are the counts of a server, including those from before restarts.
type Stats struct {
	Open     int // connections open now
	Most     int // the most that were open at once
	Accepted int // connections so far
}

// Start listens on address and runs serve with the listener, in a goroutine that ends
// at Kill or Close. serve must accept connections until Accept fails, and return when
// it is done with them; all I/O fails at Kill and Close. Restart calls listen and serve
// again.
//
// If listen fails, Start returns its error.
func Start(listen func(address string) (net.Listener, error), address string, serve func(net.Listener)) (*Server, error) {
	s := &Server{listen: listen, serve: serve, addr: address, conns: map[*serverConn]bool{}, changed: make(chan struct{})}
	if err := s.Restart(); err != nil {
		return nil, err
	}
	return s, nil
}

// Addr returns the address. Restarts don't change it.
func (s *Server) Addr() string { return s.addr }

// Restart listens on the same address again, after Kill or Close. If the server is
// running, it does nothing.
func (s *Server) Restart() error {
	s.mu.Lock()
	running := s.running
	s.mu.Unlock()
	if running {
		return nil
	}
	inner, err := s.listen(s.addr)
	if err != nil {
		return err
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

// Kill stops the server as a crash does: new connections are refused and open ones are
// reset, if the network supports resets. It waits until serve has returned.
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

// reset makes the next Close of c a reset.
func reset(c net.Conn) {
	switch c := c.(type) {
	case interface{ SetLinger(sec int) error }: // TCP
		_ = c.SetLinger(0) // fails only on a dead socket
	case interface{ Cut() }: // a network in memory
		c.Cut()
	}
}

// Stats returns the current counts.
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

// changedLocked updates the counts of open connections and wakes AwaitOpen.
func (s *Server) changedLocked() {
	s.stats.Open = len(s.conns)
	s.stats.Most = max(s.stats.Most, s.stats.Open)
	close(s.changed)
	s.changed = make(chan struct{})
}

// accepted adds c to the open connections. It reports false if the server has stopped
// in the meantime.
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

// gone removes c from the open connections.
func (s *Server) gone(c *serverConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[c] {
		delete(s.conns, c)
		s.changedLocked()
	}
}

// listener is the listener that the protocol gets.
type listener struct {
	net.Listener
	server *Server
}

// Accept returns the next connection, as a serverConn.
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

// serverConn is a connection that reports its end to the server.
type serverConn struct {
	net.Conn
	server *Server
}

func (c *serverConn) Close() error {
	c.server.gone(c)
	return c.Conn.Close()
}
