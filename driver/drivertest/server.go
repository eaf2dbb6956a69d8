package drivertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// Server is the peer in [Run]: a healthy server of the protocol, with methods that
// make it fail. [Serve] makes one from a listener, and [Relay] from a running server.
// If the driver's transport does not implement net.Conn, its test needs a Server of
// its own. Any goroutine may call the methods.
type Server interface {
	// AwaitOpen waits until the server sees exactly n open connections.
	// Connections that are still connecting count, and so do connections that the
	// client forgot to close. It returns the error of ctx if ctx ends first.
	AwaitOpen(ctx context.Context, n int) error

	// Silence permanently stops all answers, on open connections and on new
	// ones, which are still accepted. The server still receives data and notices
	// when a client closes. The channel is closed when the next bytes arrive on
	// any connection.
	Silence() (received <-chan struct{})

	// Hangup closes all connections, like a server that shuts down, but new ones
	// are still accepted.
	Hangup()

	// Reset ends all connections with a reset, if the transport has resets. New
	// ones are still accepted.
	Reset()

	// Refuse makes every new connection fail at once, permanently.
	Refuse()
}

// Serve runs serve, which accepts connections from a listener and speaks the
// protocol on them. The returned Server controls these connections. At the end of
// t, Serve closes the listener and all connections, and waits for serve to return.
//
// Any server that takes a net.Listener works; [Each] makes serve from a function
// for one connection. For TLS, serve passes its listener to
// [crypto/tls.NewListener], so that Silence also affects handshakes.
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

// Each returns a serve function for [Serve] that runs handle for each connection,
// on its own goroutine, and closes the connection when handle returns. handle must
// return when I/O fails.
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

// server is the Server that Serve returns, and the listener that serve gets.
type server struct {
	net.Listener

	mu       sync.Mutex // guards the fields below; not held across I/O, except Close
	conns    map[*serverConn]bool
	changed  chan struct{} // closed and replaced when conns changes
	refusing bool
	received chan struct{} // nil until Silence; closed by the first bytes after it
	heard    bool          // received is closed
	gathers  bool          // see gather
	canned   string        // see answerWith
}

// Accept returns the next connection, as a serverConn.
func (s *server) Accept() (net.Conn, error) {
	inner, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusing { // the connection arrived while Refuse closed the listener
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

// gone removes c from the open connections.
func (s *server) gone(c *serverConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[c] {
		delete(s.conns, c)
		s.changedLocked()
	}
}

// noteReceived records that bytes arrived, and reports whether to ignore them.
func (s *server) noteReceived() (silent bool) {
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

// answerWith makes the server answer the next data on each connection with line,
// and then close the connection. An empty line ends that.
func (s *server) answerWith(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.canned = line
}

func (s *server) cannedAnswer() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.canned
}

func (s *server) isSilent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received != nil
}

// gatherTime is how long an answer waits for others while a server gathers.
const gatherTime = 20 * time.Millisecond

// gather turns gathering on or off: answers wait for others, so that the answers
// to requests made together arrive together.
func (s *server) gather(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gathers = on
}

func (s *server) isGathering() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gathers
}

// serverConn is a connection as the protocol's server sees it.
type serverConn struct {
	net.Conn
	server *server

	mu   sync.Mutex // guards held; kept while held is written, to keep the order
	held []byte     // answers that wait; see server.gather
}

// Read drops all data while the server is silent, but still sees the end of the
// connection.
func (c *serverConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if n > 0 && c.server.noteReceived() {
			n = 0
		}
		if n > 0 && c.sendCanned() {
			return 0, net.ErrClosed
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			c.server.gone(c)
		}
		if n > 0 || err != nil || len(b) == 0 {
			return n, err
		}
	}
}

// sendCanned sends the canned answer, if there is one, closes c, and reports
// whether it did.
func (c *serverConn) sendCanned() bool {
	line := c.server.cannedAnswer()
	if line == "" {
		return false
	}
	_, _ = io.WriteString(c.Conn, line+"\n")
	_ = c.Close()
	return true
}

// Write drops all data while the server is silent.
func (c *serverConn) Write(b []byte) (int, error) {
	if c.sendCanned() {
		return 0, net.ErrClosed
	}
	if c.server.isSilent() || c.hold(b) {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// hold reports whether it keeps b for later.
func (c *serverConn) hold(b []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.held) == 0 {
		if !c.server.isGathering() {
			return false
		}
		time.AfterFunc(gatherTime, c.release)
	}
	c.held = append(c.held, b...)
	return true
}

// release writes the held answers in one piece.
func (c *serverConn) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.Conn.Write(c.held) // after an error, the next Read fails too
	c.held = nil
}

func (c *serverConn) Close() error {
	c.server.gone(c)
	return c.Conn.Close()
}
