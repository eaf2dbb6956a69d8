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

// Bind makes I/O obey ctx: soon after ctx ends, blocked I/O and all later I/O
// fails with an error that wraps the error of ctx and its cause, and the
// connection is unusable. Deadlines keep working; whichever comes first counts.
//
// unbind ends this. It waits for a cancellation in progress; afterward, the end
// of ctx has no effect. Calling it again does no harm. Binds nest, as when a
// method that binds its own context is called under a Bind: I/O obeys all of
// them, and each unbind ends its own. If ctx has already ended, Bind cancels I/O at
// once. If ctx can't end, Bind costs nothing.
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
	stop := context.AfterFunc(ctx, c.cancelFn)
	return func() {
		stop()
		c.mu.Lock() // waits for a cancel in progress, which holds mu
		defer c.mu.Unlock()
		c.bound = slices.DeleteFunc(c.bound, func(b binding) bool { return b.id == id })
	}
}

// cancel ends all I/O if a bound context has ended. It may run late, after the
// unbind of its own Bind, so it checks only the contexts that are bound now.
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
