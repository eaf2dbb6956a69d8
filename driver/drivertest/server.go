package drivertest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
)

// Server is the side of the peer in [Run]: a healthy server of the protocol,
// with switches for its faults. [Serve] makes one of a listener; a driver whose
// transport does not implement net.Conn brings its own. Its methods may be
// called from any goroutine.
type Server interface {
	// AwaitOpen waits until the server sees exactly n open connections. Those
	// that are still connecting count, and so do those that the client has
	// forgotten to close. It returns the error of ctx if that ends first.
	AwaitOpen(ctx context.Context, n int) error

	// Silence stops all answers for good, on the connections there are and on
	// new ones, which are accepted. The server still sees what comes in and
	// when a client closes. The channel is closed when the next bytes come in
	// on any connection.
	Silence() (received <-chan struct{})

	// Hangup closes all connections as a server does that shuts down. New
	// ones are accepted.
	Hangup()

	// Reset ends all connections with a reset, as far as the transport knows
	// resets. New ones are accepted.
	Reset()

	// Refuse makes every new connection fail at once, for good.
	Refuse()
}

// Serve runs serve, which is to accept connections and to speak the protocol on
// them, with a listener whose connections the returned Server rules. serve
// returns when the listener is closed, which comes at the end of t, and then
// all connections are closed.
//
// Any server that takes a net.Listener will do; [Each] makes one of a function
// for one connection. TLS belongs into serve, which gives its listener to
// [crypto/tls.NewListener]: then a handshake can be met by silence as well.
func Serve(t testing.TB, ln net.Listener, serve func(net.Listener)) Server {
	s := &server{Listener: ln, conns: map[*serverConn]bool{}, changed: make(chan struct{})}
	served := make(chan struct{})
	go func() { // ends when the listener is closed
		defer close(served)
		serve(s)
	}()
	t.Cleanup(func() {
		s.Refuse()
		s.Hangup()
		<-served
	})
	return s
}

// Each returns a serve function for [Serve] that runs handle for each
// connection, on a goroutine of its own, and closes the connection when handle
// returns. handle returns when I/O fails.
func Each(handle func(net.Conn)) func(net.Listener) {
	return func(ln net.Listener) {
		var handlers sync.WaitGroup
		defer handlers.Wait()
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			handlers.Go(func() { // ends when its connection does
				defer c.Close()
				handle(c)
			})
		}
	}
}

// server is the Server of Serve, and the listener that serve gets.
type server struct {
	net.Listener

	mu       sync.Mutex // guards the fields below; held across no I/O but Close
	conns    map[*serverConn]bool
	changed  chan struct{} // closed and replaced when conns changes
	refusing bool
	received chan struct{} // nil until Silence; closed by the first bytes after it
	heard    bool          // received is closed
}

// Accept returns the next connection, ruled by s.
func (s *server) Accept() (net.Conn, error) {
	inner, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusing { // it came in while Refuse closed the listener
		inner.Close()
		return nil, net.ErrClosed
	}
	c := &serverConn{Conn: inner, server: s}
	s.conns[c] = true
	s.changedLocked()
	return c, nil
}

func (s *server) changedLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *server) AwaitOpen(ctx context.Context, n int) error {
	for {
		s.mu.Lock()
		open, changed := len(s.conns), s.changed
		s.mu.Unlock()
		if open == n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("drivertest: %d connections are open, want %d: %w", open, n, ctx.Err())
		}
	}
}

func (s *server) Silence() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received, s.heard = make(chan struct{}), false
	return s.received
}

func (s *server) Hangup() { s.endAll(net.Conn.Close) }

func (s *server) Reset() {
	s.endAll(func(c net.Conn) error {
		switch c := c.(type) {
		case interface{ SetLinger(sec int) error }: // TCP: Close resets
			c.SetLinger(0)
		case interface{ Cut() }: // a network in memory
			c.Cut()
		}
		return c.Close()
	})
}

func (s *server) endAll(end func(net.Conn) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		end(c.Conn)
	}
	clear(s.conns)
	s.changedLocked()
}

func (s *server) Refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.refusing {
		s.refusing = true
		s.Listener.Close()
	}
}

// gone takes c off the open connections.
func (s *server) gone(c *serverConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[c] {
		delete(s.conns, c)
		s.changedLocked()
	}
}

// hear notes that bytes came in, and reports whether they are to be ignored.
func (s *server) hear() (silent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.received == nil {
		return false
	}
	if !s.heard {
		s.heard = true
		close(s.received)
	}
	return true
}

func (s *server) isSilent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received != nil
}

// serverConn is a connection as the protocol's server sees it.
type serverConn struct {
	net.Conn
	server *server
}

// Read drops all that comes in while the server is silent, so that the end of
// the connection is seen all the same.
func (c *serverConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if n > 0 && c.server.hear() {
			n = 0
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			c.server.gone(c)
		}
		if n > 0 || err != nil || len(b) == 0 {
			return n, err
		}
	}
}

// Write drops what goes out while the server is silent.
func (c *serverConn) Write(b []byte) (int, error) {
	if c.server.isSilent() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *serverConn) Close() error {
	c.server.gone(c)
	return c.Conn.Close()
}
