package imap

import (
	"sync"
	"sync/atomic"

	"github.com/emersion/go-imap/v2/imapclient"
)

// Update is unsolicited news about the selected mailbox. Exactly one field is set, not
// counting Lost.
type Update struct {
	// NumMessages is the current number of messages. Nil means no news.
	NumMessages *uint32

	// Expunged is the number of a message that was removed; the numbers after it
	// decrease by one. Zero means none.
	Expunged uint32

	// Changed is the number of a message whose flags have changed. Treat it as
	// a hint: it may come late, after other updates. Zero means none.
	Changed uint32

	// Lost is how many updates before this one were dropped because they were not
	// read in time.
	Lost int
}

// updates holds the channel from which a holder reads updates.
type updates struct {
	ch   chan Update
	mu   sync.Mutex // guards lost
	lost int

	// renumbered counts the holder's commands that change the numbers of messages.
	// The server reports such changes in the answer, not as updates.
	renumbered atomic.Int64
}

// updateBuffer is how many updates can wait to be read. After a lost one, the holder
// must search for changes.
const updateBuffer = 64

// Updates returns a channel for the updates that arrive from now on, until the end of
// the lease. The server sends them with the answers to commands, such as NOOP, and
// during an IDLE.
//
// The channel is never closed and never blocks the connection: if it is full, updates
// are dropped and counted in [Update].Lost.
func (c *Conn) Updates() <-chan Update {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.updates == nil {
		c.updates = &updates{ch: make(chan Update, updateBuffer)}
	}
	return c.updates.ch
}

// endUpdates ends the subscription of Updates.
func (c *Conn) endUpdates() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.updates = nil
}

// subscribed returns the updates of the holder, or nil.
func (c *Conn) subscribed() *updates {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.updates
}

// renumber must be called before sending a command that updates.renumbered counts.
func (c *Conn) renumber() {
	if to := c.subscribed(); to != nil {
		to.renumbered.Add(1)
	}
}

// publish sends u to the holder. It never blocks.
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

// handler returns the functions that the client calls with updates. It calls them in
// the goroutine that reads, except Fetch, which it calls in a goroutine of its own.
func (c *Conn) handler() *imapclient.UnilateralDataHandler {
	return &imapclient.UnilateralDataHandler{
		Expunge: func(seqNum uint32) { c.publish(Update{Expunged: seqNum}) },
		Mailbox: func(data *imapclient.UnilateralDataMailbox) {
			if data.NumMessages != nil {
				c.publish(Update{NumMessages: data.NumMessages})
			}
		},
		Fetch: func(msg *imapclient.FetchMessageData) {
			for msg.Next() != nil { // otherwise the reader would block forever
			}
			c.publish(Update{Changed: msg.SeqNum})
		},
	}
}
