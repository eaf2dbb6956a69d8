package pool

import (
	"context"
	"time"
)

// waiter is a caller of Acquire in the queue. It is settled exactly once, under
// Pool.mu: it gets a lease or an error, or it leaves. Whoever takes it out of the
// queue settles it.
type waiter[C any] struct {
	next, prev *waiter[C]
	queued     bool          // in the queue; guarded by Pool.mu
	order      uint64        // of arrival; see attempt.order
	began      time.Duration // its Acquire, on the pool's clock
	joined     time.Duration // the same, or later if it got a dead connection first
	crowded    bool          // it joined when only a release could serve it

	ctx context.Context // of its Acquire, while queued; Connect gets its values

	// Set by whoever settles the waiter, before it sends on ready.
	lease Lease[C]
	err   error
	ready chan struct{} // holds one; reused with the waiter
}

// settle gives w its lease or its error. w is no longer in the queue.
func (w *waiter[C]) settle(l Lease[C], err error) {
	w.lease, w.err = l, err
	w.ready <- struct{}{} // holds one, so this never blocks
}

// take empties a settled waiter, so that it keeps no connection alive.
func (w *waiter[C]) take() (Lease[C], error) {
	l, err := w.lease, w.err
	w.lease, w.err = Lease[C]{}, nil
	return l, err
}

// queue holds the waiters in order of arrival, the oldest at head.
type queue[C any] struct {
	head, tail *waiter[C]
	len        int
	arrivals   uint64 // waiters so far
}

// pushBack adds w at the end.
func (q *queue[C]) pushBack(w *waiter[C]) {
	q.arrivals++
	w.order = q.arrivals
	w.prev, w.next, w.queued = q.tail, nil, true
	if q.tail == nil {
		q.head = w
	} else {
		q.tail.next = w
	}
	q.tail = w
	q.len++
}

// insert puts w, which got a dead connection, back where it belongs by the age of
// its Acquire: behind the waiters that began earlier, if any. It takes the order
// of the next waiter, so that the orders in the queue never fall.
func (q *queue[C]) insert(w *waiter[C]) {
	at := q.head
	for at != nil && at.began < w.began {
		at = at.next
	}
	if at == nil {
		q.pushBack(w)
		return
	}
	w.order = at.order
	w.prev, w.next, w.queued = at.prev, at, true
	if at.prev == nil {
		q.head = w
	} else {
		at.prev.next = w
	}
	at.prev = w
	q.len++
}

// remove takes w out of the queue.
func (q *queue[C]) remove(w *waiter[C]) {
	if w.prev == nil {
		q.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next, w.queued = nil, nil, false
	q.len--
}
