package imap

import (
	"sync"

	"github.com/emersion/go-imap/v2/imapclient"
)

// IdleCommand is an IDLE under way. Until Close, no other command can be sent.
type IdleCommand struct {
	c      *Conn
	cmd    *imapclient.IdleCommand
	mu     sync.Mutex // held by Idle and Close
	closed bool
	err    error      // of Close
	wait   sync.Mutex // held by Wait; never with mu
}

// Idle sends an IDLE command: the server now tells at once what changes, see
// [Conn.Updates]. It blocks until the server has agreed. go-imap begins IDLE
// anew every 28 minutes; [Watch] does so much more often, because routers and
// servers are less patient than the standard.
func (c *Conn) Idle() (*IdleCommand, error) {
	i := &IdleCommand{c: c}
	c.begin(i) // before it blocks, for Close
	if err := i.start(); err != nil {
		c.end(i)
		return nil, err
	}
	return i, nil
}

func (i *IdleCommand) start() (err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.cmd, err = i.c.client.Idle(); err != nil {
		i.closed, i.err = true, i.c.explain("IDLE", err)
	}
	return i.err
}

// Close tells the server to end IDLE. It does not wait for its answer. It may
// be called again.
func (i *IdleCommand) Close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.closed {
		i.closed = true
		i.err = i.c.explain("IDLE", i.cmd.Close())
	}
	return i.err
}

// Wait blocks until IDLE has ended: after Close, or because the connection
// has.
func (i *IdleCommand) Wait() error {
	i.wait.Lock()
	defer i.wait.Unlock()
	err := i.cmd.Wait()
	i.c.end(i)
	return i.c.explain("IDLE", err)
}

func (i *IdleCommand) finish() {
	_ = i.Close()
	if i.cmd != nil { // else the server has not agreed
		_ = i.Wait()
	}
}
