package imap

import (
	"errors"
	"sync"

	"github.com/emersion/go-imap/v2/imapclient"
)

// outstanding is a command that its holder has not finished yet with Wait, Close or
// Collect.
type outstanding interface {
	// finish ends the command, so that it no longer occupies the client's reader
	// and writer, and waits for its answer. It discards the unread parts.
	finish()
}

// Query is a command in progress whose answer is a T.
type Query[T any] struct {
	c    *Conn
	name string
	mu   sync.Mutex // held by Wait, even across I/O
	wait func() (T, error)
}

// answer is a go-imap command whose answer is a T.
type answer[T any] interface{ Wait() (T, error) }

// query returns a Query for cmd, which has been sent.
func query[T any](c *Conn, name string, cmd answer[T]) *Query[T] {
	q := &Query[T]{c: c, name: name, wait: cmd.Wait}
	c.track(q)
	return q
}

// checkedQuery sends a command and returns its Query. If err is not nil, it sends
// nothing, and the Query returns err.
func checkedQuery[T any](c *Conn, name string, err error, send func() answer[T]) *Query[T] {
	if err != nil {
		return query(c, name, unsent[T]{err})
	}
	return query(c, name, send())
}

// Wait blocks until the server has answered, the connection has failed, or the
// context of Bind has ended. It may be called again.
func (q *Query[T]) Wait() (T, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	v, err := q.wait()
	q.c.untrack(q)
	return v, q.c.explain(q.name, err)
}

func (q *Query[T]) finish() { _, _ = q.Wait() }

// waiter makes a go-imap command of a function. waiter0 makes one whose answer has no
// data.
type (
	waiter[T any] func() (T, error)
	waiter0       func() error
)

// Wait calls w.
func (w waiter[T]) Wait() (T, error) { return w() }

// Wait calls w.
func (w waiter0) Wait() error { return w() }

// Command is a command in progress whose answer has no data.
type Command struct{ query Query[struct{}] }

// command returns a Command for cmd, which has been sent.
func (c *Conn) command(name string, cmd interface{ Wait() error }) *Command {
	m := &Command{query: Query[struct{}]{c: c, name: name, wait: func() (struct{}, error) { return struct{}{}, cmd.Wait() }}}
	c.track(&m.query)
	return m
}

// unsent returns a Command that is not sent, because of err.
func (c *Conn) unsent(name string, err error) *Command {
	return c.command(name, waiter0(func() error { return err }))
}

// Wait blocks until the server has answered; see [Query.Wait].
func (m *Command) Wait() error {
	_, err := m.query.Wait()
	return err
}

// Stream is a command in progress whose answer comes in parts. Read it to the end or
// Close it, because an unread answer may block the connection.
type Stream[T comparable] struct {
	c     *Conn
	name  string
	mu    sync.Mutex // guards the fields below; held by each method, even across I/O
	cmd   parts[T]
	ended error // if not nil, the command was abandoned and returns no more parts

	// broken is set when reading a part has failed. If we went on, go-imap would
	// read the part again, which must not race with its other goroutine.
	broken bool
}

// parts is a go-imap command whose answer comes in parts. A zero T ends them.
type parts[T any] interface {
	Next() T
	Close() error
}

var errAbandoned = errors.New("the answer was left unread when the connection was reset or closed")

// stream returns a Stream for cmd, which has been sent.
func stream[T comparable](c *Conn, name string, cmd parts[T]) *Stream[T] {
	s := &Stream[T]{c: c, name: name, cmd: cmd}
	c.track(s)
	return s
}

// Next blocks until the next part arrives and returns it, or the zero value if
// there are no more. Close then returns the error, if any.
func (s *Stream[T]) Next() (part T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nextLocked()
}

func (s *Stream[T]) nextLocked() (part T) {
	if s.ended != nil {
		return part
	}
	s.awaitClientLocked()
	return s.cmd.Next()
}

// awaitClientLocked waits until the client has ended, if reading a part failed.
func (s *Stream[T]) awaitClientLocked() {
	if s.broken {
		<-s.c.client.Closed()
	}
}

// Close reads and discards the remaining parts, and returns the error of the
// command. It may be called again.
func (s *Stream[T]) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeLocked()
}

func (s *Stream[T]) closeLocked() error {
	s.awaitClientLocked()
	err := s.cmd.Close()
	s.c.untrack(s)
	if err == nil {
		err = s.ended
	}
	return s.c.explain(s.name, err)
}

// Collect returns the remaining parts and the error of the command.
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

// expunge is an EXPUNGE that copes with servers that wrongly send the number zero.
// go-imap takes a zero for the end of the numbers, and then waits for the answer
// without reading the numbers before it, of which there may be any number.
type expunge struct{ *imapclient.ExpungeCommand }

// Close reads the remaining numbers and returns the error of the command.
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
