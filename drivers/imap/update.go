package imap

import (
	"sync"
	"sync/atomic"

	"github.com/emersion/go-imap/v2/imapclient"
)

// Update is news about the selected mailbox that no command has asked for. One
// field tells what it is about.
type Update struct {
	// NumMessages is how many messages there are now. Nil: no news.
	NumMessages *uint32

	// Expunged is the number of a message that is gone; those behind it move
	// up by one. Zero: none.
	Expunged uint32

	// Changed is the number of a message whose flags have changed. Take it for
	// a hint: it may come late, after other updates. Zero: none.
	Changed uint32

	// Lost is how many updates before this one nobody has read in time.
	Lost int
}

// updates is where a holder reads updates.
type updates struct {
	ch   chan Update
	mu   sync.Mutex // guards lost
	lost int

	// renumbered counts the commands of the holder whose answer, and no
	// update, tells that messages are gone or others.
	renumbered atomic.Int64
}

// updateBuffer is how many updates may wait. A lost one costs a search for
// what has changed.
const updateBuffer = 64

// Updates returns the channel of updates that come in from now on, until the
// end of the lease. The server sends them with the answers to commands, NOOP
// for one, and while there is an IDLE.
//
// The channel is never closed, and never keeps the connection from going on:
// updates that find it full are counted, see [Update].
func (c *Conn) Updates() <-chan Update {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.updates == nil {
		c.updates = &updates{ch: make(chan Update, updateBuffer)}
	}
	return c.updates.ch
}

// cutUpdates ends what Updates began.
func (c *Conn) cutUpdates() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.updates = nil
}

// subscribed returns where the holder reads updates, or nil.
func (c *Conn) subscribed() *updates {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.updates
}

// renumber is called before a command for updates.renumbered is sent.
func (c *Conn) renumber() {
	if to := c.subscribed(); to != nil {
		to.renumbered.Add(1)
	}
}

// publish gives u to the holder. It never blocks.
func (c *Conn) publish(u Update) {
	to := c.subscribed()
	if to == nil {
		return
	}
	to.mu.Lock()
	defer to.mu.Unlock()
	u.Lost = to.lost
	select {
	case to.ch <- u:
		to.lost = 0
	default:
		to.lost++
	}
}

// handler is what the client calls, from the goroutine that reads, but for
// Fetch, which has one of its own.
func (c *Conn) handler() *imapclient.UnilateralDataHandler {
	return &imapclient.UnilateralDataHandler{
		Expunge: func(seqNum uint32) { c.publish(Update{Expunged: seqNum}) },
		Mailbox: func(data *imapclient.UnilateralDataMailbox) {
			if data.NumMessages != nil {
				c.publish(Update{NumMessages: data.NumMessages})
			}
		},
		Fetch: func(msg *imapclient.FetchMessageData) {
			for msg.Next() != nil { // or the reader waits for ever
			}
			c.publish(Update{Changed: msg.SeqNum})
		},
	}
}
