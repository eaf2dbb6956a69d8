package imap

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/emersion/go-imap/v2"
)

// AppendCommand is an APPEND in progress. Write the message, then call Close, then
// Wait. No other command can be sent before Close.
type AppendCommand struct {
	c       *Conn
	cmd     appending
	mu      sync.Mutex // guards the fields below; held by each method, even across I/O
	written int64
	size    int64
	closed  bool
	err     error // result of Close
}

// appending is the part of go-imap's AppendCommand that we use.
type appending interface {
	io.WriteCloser
	answer[*imap.AppendData]
}

// Append sends an APPEND command for a message of size bytes. The options may be nil.
// Append blocks until the server asks for the message or refuses it; Wait returns
// a refusal as an error.
//
// Nothing is sent if a flag is invalid, or if the mailbox name is longer than 800
// bytes.
//
// If the server refuses a message before receiving it, go-imap closes the connection.
// The error is then both the server's answer and driver.IsBad.
func (c *Conn) Append(mailbox string, size int64, options *imap.AppendOptions) *AppendCommand {
	if err := checkAppend(mailbox, size, options); err != nil {
		return &AppendCommand{c: c, cmd: unsent[*imap.AppendData]{err}, closed: true, err: c.explain("APPEND", err)}
	}
	a := &AppendCommand{c: c, size: size}
	a.mu.Lock()
	defer a.mu.Unlock()
	c.track(a) // before it blocks, so that Close finds it
	a.cmd = c.client.Append(mailbox, size, options)
	return a
}

var _ io.WriteCloser = (*AppendCommand)(nil)

// Write sends part of the message. It fails and sends nothing if the message would
// exceed its announced size.
func (a *AppendCommand) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, err := a.cmd.Write(b)
	a.written += int64(n)
	if errors.As(err, new(*imap.Error)) {
		_ = a.closeLocked() // ends the connection, so that the error is driver.IsBad
	}
	return n, a.c.explain("APPEND", err)
}

// Close ends the message. If the message is shorter than its size, Close ends the
// connection, because the server would take the next commands for the rest of the
// message.
func (a *AppendCommand) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.closeLocked()
}

func (a *AppendCommand) closeLocked() error {
	if a.closed {
		return a.err
	}
	a.closed = true
	// If the server has refused the literal, even an empty Write fails.
	if _, err := a.cmd.Write(nil); err == nil && a.written < a.size {
		_ = a.c.conn.CloseWithError(fmt.Errorf("%w: %d bytes of %d", errShortAppend, a.written, a.size))
	}
	a.err = a.c.explain("APPEND", a.cmd.Close())
	return a.err
}

var (
	errShortAppend = errors.New("the appended message was shorter than announced")
	errUnclosed    = errors.New("imap: APPEND: call Close before Wait")
)

// Wait blocks until the server has answered. Call Close first.
func (a *AppendCommand) Wait() (*imap.AppendData, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		return nil, errUnclosed
	}
	data, err := a.cmd.Wait()
	a.c.untrack(a)
	return data, a.c.explain("APPEND", err)
}

// incomplete reports whether the server may still be waiting for bytes.
func (a *AppendCommand) incomplete() bool {
	if !a.mu.TryLock() {
		return true // in use
	}
	defer a.mu.Unlock()
	return !a.closed
}

func (a *AppendCommand) finish() {
	_ = a.Close()
	_, _ = a.Wait()
}
