package pool

import (
	"time"
)

// waiter is a caller of Acquire in the queue. It is settled exactly once,
// under Pool.mu: by deliver, by fail, or by its own leaving. Whoever takes it
// out of the queue settles it.
type waiter[C any] struct {
	next, prev *waiter[C]
	queued     bool          // in the queue; guarded by Pool.mu
	order      uint64        // of arrival; see attempt.order
	joined     time.Duration // on the pool's clock

	// Set by whoever settles the waiter, before it sends on ready.
	lease Lease[C]
	err   error
	ready chan struct{} // holds one; reused with the waiter
}

// queue is the waiters in order of arrival, the oldest at head.
type queue[C any] struct {
	head, tail *waiter[C]
	len        int
}

// pushBack adds w as the youngest.
func (q *queue[C]) pushBack(w *waiter[C]) {
	w.prev, w.next, w.queued = q.tail, nil, true
	if q.tail == nil {
		q.head = w
	} else {
		q.tail.next = w
	}
	q.tail = w
	q.len++
}

// pushFront adds w as the oldest: it has waited before, and what it got was
// of no use.
func (q *queue[C]) pushFront(w *waiter[C]) {
	w.prev, w.next, w.queued = nil, q.head, true
	if q.head == nil {
		q.tail = w
	} else {
		q.head.prev = w
	}
	q.head = w
	q.len++
}

// remove takes w out.
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
