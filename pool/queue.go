package pool

import (
	"context"
	"time"
)

// waiter is a caller of Acquire in the queue. Under Pool.mu, exactly one goroutine
// takes it out of the queue: either one that gives it a lease or an error, or its own,
// when it leaves.
type waiter[C any] struct {
	next, prev *waiter[C]
	queued     bool          // in the queue; guarded by Pool.mu
	order      uint64        // of arrival; see attempt.order
	began      time.Duration // when its Acquire began, on the pool's clock
	joined     time.Duration // when it last joined the queue: began, or later if it got a dead connection first
	due        time.Time     // when its caller gives up; zero = never
	holds      int           // connections held by the Do calls from which its context comes
	counted    bool          // in Stats.Waits
	crowded    bool          // when it joined, only a release could serve it

	ctx context.Context // of its Acquire, while queued; Connect and Ping get its values

	// Set by settle before it sends on ready.
	lease Lease[C]
	err   error
	ready chan struct{} // has room for one; reused with the waiter
}

// settle gives w, which is no longer in the queue, its lease or its error.
func (w *waiter[C]) settle(l Lease[C], err error) {
	w.lease, w.err = l, err
	w.ready <- struct{}{} // has room for one, so this never blocks
}

// take returns the result of a settled waiter and clears it, so that it keeps no
// connection alive.
func (w *waiter[C]) take() (Lease[C], error) {
	l, err := w.lease, w.err
	w.lease, w.err = Lease[C]{}, nil
	return l, err
}

// queue is a list of the waiters in order of arrival, the oldest at head.
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

// insert puts w, which got a dead connection, back in the queue behind the waiters whose
// Acquire began earlier. w gets the order of the waiter behind it, so that the orders in
// the queue never decrease.
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
