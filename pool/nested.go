package pool

import "context"

// maxNested is the largest MaxOpen for which the pool detects a caller that would wait
// for itself. The cost is a context that Do allocates.
const maxNested = 3

// holding is the context of a function to which Do has lent a connection.
type holding[C any] struct {
	context.Context
	lease Lease[C]
}

// Value returns h if key is its pool.
func (h *holding[C]) Value(key any) any {
	if p, ok := key.(*Pool[C]); ok && p == h.lease.slot.pool {
		return h
	}
	return h.Context.Value(key)
}

// heldUp returns how many connections are held by the Do calls of p that ctx comes
// from. It is not called under mu, because Value may be code of the caller.
func (p *Pool[C]) heldUp(ctx context.Context) (n int) {
	for {
		h, ok := ctx.Value(p).(*holding[C])
		if !ok {
			return n
		}
		if h.lease.slot.load().isLease(h.lease.word) { // else this goroutine has outlived its Do
			n++
		}
		ctx = h.Context
	}
}
