package conn

import (
	"context"
	"fmt"
	"time"
)

// aLongTimeAgo is a deadline that has passed.
var aLongTimeAgo = time.Unix(1, 0)

// Bind makes I/O obey ctx: soon after ctx ends, blocked I/O and all I/O after
// it fails, with an error that wraps that of ctx and its cause, and the
// connection is of no more use. Deadlines go on working; the first to come
// counts.
//
// unbind ends that. It waits for a cancellation that is under way; after it,
// the end of ctx does nothing. It must be called before the next Bind; calling
// it again does no harm. A ctx that has ended already cancels at once; one that
// can't end costs nothing.
func (c *Conn) Bind(ctx context.Context) (unbind func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	c.mu.Lock()
	c.bound = ctx
	c.binds++
	bind := c.binds
	c.mu.Unlock()
	if ctx.Err() != nil {
		c.cancel()
		return func() {}
	}
	stop := context.AfterFunc(ctx, c.fire)
	return func() {
		stop()
		c.mu.Lock() // a cancel that holds it is under way
		defer c.mu.Unlock()
		if c.binds == bind {
			c.bound = nil
		}
	}
}

// cancel ends all I/O if the bound context has ended. It may come late, when
// its own Bind is over: then it finds no context, or one that still lives, or
// one that has ended too.
func (c *Conn) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bound == nil || c.bound.Err() == nil {
		return
	}
	why := c.bound.Err()
	if cause := context.Cause(c.bound); cause != why {
		why = fmt.Errorf("%w: %w", why, cause)
	}
	if c.moveLocked(cancelled, "bind", why) {
		c.nc.SetDeadline(aLongTimeAgo)
	}
}
