package imap

import (
	"strings"
	"sync"

	"github.com/emersion/go-imap/v2/imapclient"
)

// IdleCommand is an IDLE under way. Until Close, no other command can be sent.
type IdleCommand struct {
	c      *Conn
	cmd    *imapclient.IdleCommand
	wire   *idling
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
	i := &IdleCommand{c: c, wire: &idling{}}
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
	i.c.wire.idle.Store(i.wire)
	if i.cmd, err = i.c.client.Idle(); err != nil {
		i.c.wire.idle.Store(nil)
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
		i.c.wire.idle.Store(nil)
	}
	return i.err
}

// Wait blocks until IDLE has ended: after Close, or because the connection
// has. It does not tell that the server has ended it, for which [Watch] looks
// twice a minute; Close it from time to time.
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

// idling is what the wire sees of an IDLE. A server may end it by itself, which
// go-imap does not notice. It ends it once more then, which the server would
// take for a command, and go-imap would not understand the answer to that.
type idling struct {
	mu   sync.Mutex // guards the fields below
	tag  string     // of the command; go-imap begins anew with another one
	over bool       // the server has ended it
}

// hear is told each line that the server sends.
func (i *idling) hear(line string) {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.tag != "" && strings.HasPrefix(line, i.tag+" ") {
		i.over = true
	}
}

// leaveOut is told what go-imap sends, and reports whether it must not be sent.
func (i *idling) leaveOut(b []byte) bool {
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

// endedByServer reports whether the server has ended IDLE, before Close.
func (i *IdleCommand) endedByServer() bool {
	i.wire.mu.Lock()
	defer i.wire.mu.Unlock()
	return i.wire.over
}
