package imap

import (
	"errors"

	"github.com/emersion/go-imap/v2"
)

// selection is the selected mailbox, or none.
type selection struct {
	mailbox  string
	readOnly bool
}

// selecting must be called before sending a command that changes the selection to next.
// Call done with the result of the command. The results may come in any order; the last
// command sent counts.
//
// go-imap also knows the selection, but only a moment after Wait has returned.
func (c *Conn) selecting(next selection) (done func(error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.selects++
	this := c.selects
	return func(err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		var answer *imap.Error
		switch {
		case this < c.answered:
			return
		case err == nil:
			c.selected = next
		case errors.As(err, &answer) && answer.Type == imap.StatusResponseTypeNo:
			c.selected = selection{} // a failed SELECT unselects the mailbox before it
		}
		c.answered = this
	}
}

// selection returns the current selection.
func (c *Conn) selection() selection {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.selected
}
