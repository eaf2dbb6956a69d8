package imap

import (
	"errors"
	"sync"

	"github.com/emersion/go-imap/v2/imapclient"
)

// begun is a command whose end its holder has not seen yet.
type begun interface {
	// finish makes the command let go of the client's reader and writer, and
	// waits for its end. It throws away what the holder did not read.
	finish()
}

// Query is a command under way whose answer is a T.
type Query[T any] struct {
	c    *Conn
	name string
	mu   sync.Mutex // one goroutine waits at a time
	wait func() (T, error)
}

// answer is a command of go-imap whose answer is a T.
type answer[T any] interface{ Wait() (T, error) }

// query follows cmd, which was sent.
func query[T any](c *Conn, name string, cmd answer[T]) *Query[T] {
	q := &Query[T]{c: c, name: name, wait: cmd.Wait}
	c.begin(q)
	return q
}

// unless is query for a command that is sent if mistake is nil.
func unless[T any](c *Conn, name string, mistake error, send func() answer[T]) *Query[T] {
	if mistake != nil {
		return query(c, name, unsent[T]{mistake})
	}
	return query(c, name, send())
}

// Wait blocks until the server has answered, the connection has failed, or the
// context of Bind has ended. It may be called again.
func (q *Query[T]) Wait() (T, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	v, err := q.wait()
	q.c.end(q)
	return v, q.c.explain(q.name, err)
}

func (q *Query[T]) finish() { _, _ = q.Wait() }

// waiter is a function as what go-imap returns for a command, and waiter0 one
// for a command without data.
type (
	waiter[T any] func() (T, error)
	waiter0       func() error
)

// Wait calls w.
func (w waiter[T]) Wait() (T, error) { return w() }

// Wait calls w.
func (w waiter0) Wait() error { return w() }

// Command is a command under way that is answered by yes or no.
type Command struct{ query Query[struct{}] }

// command follows cmd, which was sent.
func (c *Conn) command(name string, cmd interface{ Wait() error }) *Command {
	m := &Command{query: Query[struct{}]{c: c, name: name, wait: func() (struct{}, error) { return struct{}{}, cmd.Wait() }}}
	c.begin(&m.query)
	return m
}

// Wait is [Query.Wait].
func (m *Command) Wait() error {
	_, err := m.query.Wait()
	return err
}

// Stream is a command under way whose answer comes in parts.
type Stream[T comparable] struct {
	c     *Conn
	name  string
	mu    sync.Mutex // one goroutine uses it at a time
	cmd   parts[T]
	ended error // why there are no more parts, though there may have been

	// broken is whether a part failed while it was read. go-imap reads it once
	// more when it goes on, which must not meet its other goroutine.
	broken bool
}

// parts is how go-imap hands out the parts of an answer. The zero T is the end.
type parts[T any] interface {
	Next() T
	Close() error
}

var errAbandoned = errors.New("left unread when the connection was reset or closed")

// stream follows cmd, which was sent.
func stream[T comparable](c *Conn, name string, cmd parts[T]) *Stream[T] {
	s := &Stream[T]{c: c, name: name, cmd: cmd}
	c.begin(s)
	return s
}

// Next blocks until the next part is there and returns it, or the zero value
// when there are no more; Close then tells why.
func (s *Stream[T]) Next() (part T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nextLocked()
}

func (s *Stream[T]) nextLocked() (part T) {
	if s.ended != nil {
		return part
	}
	s.mendLocked()
	return s.cmd.Next()
}

// mendLocked waits for the end of a client that has failed.
func (s *Stream[T]) mendLocked() {
	if s.broken {
		<-s.c.client.Closed()
	}
}

// Close reads the parts that are left, throws them away, and returns the error
// of the command. It may be called again.
func (s *Stream[T]) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeLocked()
}

func (s *Stream[T]) closeLocked() error {
	s.mendLocked()
	err := s.cmd.Close()
	s.c.end(s)
	if err == nil {
		err = s.ended
	}
	return s.c.explain(s.name, err)
}

// Collect returns the parts that are left, and the error of the command.
func (s *Stream[T]) Collect() (all []T, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var zero T
	for part := s.nextLocked(); part != zero; part = s.nextLocked() {
		all = append(all, part)
	}
	return all, s.closeLocked()
}

func (s *Stream[T]) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = errAbandoned
	_ = s.closeLocked()
}

// expunge is an EXPUNGE. go-imap takes a zero among the numbers, which a server
// should not send, for their end: it waits for the answer then without reading
// what comes before it, which is as long as the server likes.
type expunge struct{ *imapclient.ExpungeCommand }

// Close reads the numbers that are left, and returns the error of the command.
func (e expunge) Close() error {
	answered := make(chan struct{})
	defer close(answered)
	go func() { // ends with the command
		for {
			e.Next()
			select {
			case <-answered:
				return
			default:
			}
		}
	}()
	return e.ExpungeCommand.Close()
}
