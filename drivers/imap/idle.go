package imap

import (
	"sync"

	"github.com/emersion/go-imap/v2/imapclient"
)

// IdleCommand is an IDLE under way. Until Close, no other command can be sent.
type IdleCommand struct {
	c      *Conn
	cmd    *imapclient.IdleCommand
	mu     sync.Mutex // held by Close
	closed bool
	err    error      // of Close
	wait   sync.Mutex // held by Wait; never with mu
}

// Idle sends an IDLE command: the server now tells at once what changes, see
// [Conn.Updates]. It blocks until the server has agreed. go-imap begins IDLE
// anew every 28 minutes; [Watch] does so much more often, because routers and
// servers are less patient than the standard.
func (c *Conn) Idle() (*IdleCommand, error) {
	cmd, err := c.client.Idle()
	if err != nil {
		return nil, c.explain("IDLE", err)
	}
	i := &IdleCommand{c: c, cmd: cmd}
	c.begin(i)
	return i, nil
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
	_ = i.Wait()
}
