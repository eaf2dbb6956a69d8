package imap

import (
	"strings"
	"sync"

	"github.com/emersion/go-imap/v2/imapclient"
)

// IdleCommand is an IDLE in progress. Until Close, no other command can be sent.
type IdleCommand struct {
	c      *Conn
	cmd    *imapclient.IdleCommand
	wire   *idling
	mu     sync.Mutex // held by Idle and Close
	closed bool
	err    error      // result of Close
	wait   sync.Mutex // held by Wait; never together with mu
}

// Idle sends an IDLE command: the server then reports changes at once; see
// [Conn.Updates]. Idle blocks until the server has agreed. go-imap restarts IDLE every
// 28 minutes; [Watch] does so much more often, because routers and servers are less
// patient than the standard.
func (c *Conn) Idle() (*IdleCommand, error) {
	i := &IdleCommand{c: c, wire: &idling{}}
	c.track(i) // before it blocks, so that Close finds it
	if err := i.start(); err != nil {
		c.untrack(i)
		return nil, err
	}
	return i, nil
}

func (i *IdleCommand) start() (err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.c.wire.idle.Store(i.wire)
	if i.cmd, err = i.c.client.Idle(); err != nil {
		i.c.wire.idle.Store(nil)
		i.closed, i.err = true, i.c.explain("IDLE", err)
	}
	return i.err
}

// Close asks the server to end the IDLE, but does not wait for the answer. It may be
// called again.
func (i *IdleCommand) Close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.closed {
		i.closed = true
		i.err = i.c.explain("IDLE", i.cmd.Close())
		i.c.wire.idle.Store(nil)
	}
	return i.err
}

// Wait blocks until the IDLE has ended, after Close or because the connection ended. It
// does not return if the server ends the IDLE, so call Close from time to time.
// ([Watch] checks for that twice a minute.)
func (i *IdleCommand) Wait() error {
	i.wait.Lock()
	defer i.wait.Unlock()
	err := i.cmd.Wait()
	i.c.untrack(i)
	return i.c.explain("IDLE", err)
}

func (i *IdleCommand) finish() {
	_ = i.Close()
	if i.cmd != nil { // nil if the server has not agreed
		_ = i.Wait()
	}
}

// idling is the state of an IDLE, as the wire sees it. A server may end an IDLE on its
// own, which go-imap does not notice. If go-imap then sent DONE, the server would take
// that for a command, and go-imap would not understand the answer.
type idling struct {
	mu   sync.Mutex // guards the fields below
	tag  string     // of the command; go-imap restarts IDLE with a new one
	over bool       // the server has ended the IDLE
}

// receive notes whether line, from the server, ends the IDLE.
func (i *idling) receive(line string) {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.tag != "" && strings.HasPrefix(line, i.tag+" ") {
		i.over = true
	}
}

// drop reports whether b, which go-imap is sending, must not be sent.
func (i *idling) drop(b []byte) bool {
	if i == nil {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if tag, ok := strings.CutSuffix(string(b), " IDLE\r\n"); ok {
		i.tag, i.over = tag, false
	}
	return i.over && string(b) == "DONE\r\n"
}

// endedByServer reports whether the server ended the IDLE before Close.
func (i *IdleCommand) endedByServer() bool {
	i.wire.mu.Lock()
	defer i.wire.mu.Unlock()
	return i.wire.over
}
