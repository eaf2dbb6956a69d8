package imap

import (
	"errors"

	"github.com/emersion/go-imap/v2"
)

// place is a mailbox that is selected, or none.
type place struct {
	mailbox  string
	readOnly bool
}

// move is called before a command is sent that leads to the place to. What it
// returns is called with the result of that command, perhaps not in the order
// in which the commands were sent: the last one sent counts.
//
// go-imap knows the place too, but a moment after Wait has returned.
func (c *Conn) move(to place) (moved func(error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moves++
	this := c.moves
	return func(err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		var answer *imap.Error
		switch {
		case this < c.arrived:
			return
		case err == nil:
			c.at = to
		case errors.As(err, &answer) && answer.Type == imap.StatusResponseTypeNo:
			c.at = place{} // a SELECT that fails leaves the mailbox before
		}
		c.arrived = this
	}
}

// where returns the place where c is.
func (c *Conn) where() place {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}
