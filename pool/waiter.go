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
	began      time.Duration // its Acquire, on the pool's clock
	joined     time.Duration // the same, or later if it was served a dead connection

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

// insert adds w where its Acquire belongs by age: before all but those who were
// served a dead connection as w was, and began earlier. It takes their order,
// so that the queue stays in that of arrival.
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
