package conn

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// aLongTimeAgo is a deadline that has passed.
var aLongTimeAgo = time.Unix(1, 0)

// binding is a Bind in force.
type binding struct {
	ctx context.Context
	id  uint64
}

// Bind makes I/O obey ctx: soon after ctx ends, blocked I/O and all I/O after
// it fails, with an error that wraps that of ctx and its cause, and the
// connection is of no more use. Deadlines go on working; the first to come
// counts.
//
// unbind ends that. It waits for a cancellation that is under way; after it,
// the end of ctx does nothing. Calling it again does no harm. Binds nest, as
// where a method that binds a context of its own is called under a Bind: all
// of them are obeyed, and each unbind ends its own. A ctx that has ended
// already cancels at once; one that can't end costs nothing.
func (c *Conn) Bind(ctx context.Context) (unbind func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	c.mu.Lock()
	c.binds++
	id := c.binds
	c.bound = append(c.bound, binding{ctx, id})
	c.mu.Unlock()
	if ctx.Err() != nil {
		c.cancel()
	}
	stop := context.AfterFunc(ctx, c.fire)
	return func() {
		stop()
		c.mu.Lock() // a cancel that holds it is under way
		defer c.mu.Unlock()
		c.bound = slices.DeleteFunc(c.bound, func(b binding) bool { return b.id == id })
	}
}

// cancel ends all I/O if a bound context has ended. It may come late, when its
// own Bind is over: then it finds no context, or others that still live, or
// one that has ended too.
func (c *Conn) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.bound {
		why := b.ctx.Err()
		if why == nil {
			continue
		}
		if cause := context.Cause(b.ctx); cause != why {
			why = fmt.Errorf("%w: %w", why, cause)
		}
		if c.moveLocked(cancelled, "bind", why) {
			c.nc.SetDeadline(aLongTimeAgo)
		}
		return
	}
}
