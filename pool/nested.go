package pool

import "context"

// maxNested is the largest MaxOpen for which the pool detects a caller that would wait
// for itself. For that, Do allocates a context.
const maxNested = 3

// holding is the context of a function to which Do has lent a connection.
type holding[C any] struct {
	context.Context
	lease Lease[C]
}

// Value returns h if key is the pool of its lease.
func (h *holding[C]) Value(key any) any {
	if p, ok := key.(*Pool[C]); ok && p == h.lease.slot.pool {
		return h
	}
	return h.Context.Value(key)
}

// heldBy returns how many connections are held by the Do calls of p from which ctx
// comes. It must not be called under mu, because Value may be the caller's code.
func (p *Pool[C]) heldBy(ctx context.Context) (n int) {
	for {
		h, ok := ctx.Value(p).(*holding[C])
		if !ok {
			return n
		}
		if h.lease.slot.load().isLease(h.lease.word) { // otherwise this goroutine has outlived its Do
			n++
		}
		ctx = h.Context
	}
}
