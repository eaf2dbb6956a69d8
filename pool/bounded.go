package pool

import (
	"context"
	"sync"
	"time"
)

// boundedContext ends with its parent or after limit, like a context from
// context.WithTimeout. But it makes that context only when its deadline or its Done
// channel is first used. Most calls to ResetSession do no I/O and use neither, and
// a timer for each would cost more than the call itself.
type boundedContext struct {
	context.Context // the parent
	limit           time.Duration

	mu     sync.Mutex // guards the fields below
	inner  context.Context
	cancel context.CancelFunc
}

// made returns the inner context, or nil before make was called.
func (b *boundedContext) made() context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.inner
}

// make returns the inner context. The limit runs from the first call.
func (b *boundedContext) make() context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inner == nil {
		b.inner, b.cancel = context.WithTimeout(b.Context, b.limit)
	}
	return b.inner
}

func (b *boundedContext) Deadline() (time.Time, bool) { return b.make().Deadline() }
func (b *boundedContext) Done() <-chan struct{}       { return b.make().Done() }

func (b *boundedContext) Err() error {
	if c := b.made(); c != nil {
		return c.Err()
	}
	return b.Context.Err()
}

// Value asks the inner context if there is one. That way, package context finds a
// context of its own types and needs no goroutine to watch this one.
func (b *boundedContext) Value(key any) any {
	if c := b.made(); c != nil {
		return c.Value(key)
	}
	return b.Context.Value(key)
}

// release frees the timer. It ends the context, in case the driver kept it.
func (b *boundedContext) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cancel != nil {
		b.cancel()
	}
}
