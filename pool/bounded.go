package pool

import (
	"context"
	"sync"
	"time"
)

// boundedContext ends with its parent or after limit, as a context of
// context.WithTimeout does, but makes that context only when it is asked for
// its deadline or its end. Most calls of ResetSession do no I/O and never ask,
// and a timer for each would cost more than they do.
type boundedContext struct {
	context.Context // the parent
	limit           time.Duration

	mu     sync.Mutex // guards the fields below
	inner  context.Context
	cancel context.CancelFunc
}

// made returns the inner context, nil if nobody asked for it.
func (b *boundedContext) made() context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.inner
}

// make returns the inner context; its time starts at the first call.
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

// Value asks the inner context where there is one, so that package context
// finds its own and starts no goroutine to watch this one.
func (b *boundedContext) Value(key any) any {
	if c := b.made(); c != nil {
		return c.Value(key)
	}
	return b.Context.Value(key)
}

// release frees what the context holds. It ends the context for whoever kept
// it.
func (b *boundedContext) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cancel != nil {
		b.cancel()
	}
}
