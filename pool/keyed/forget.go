package keyed

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hotline-go/hotline/pool"
)

// linkLocked puts e into the table and into the ring, just before the hand, so that the
// hand reaches it last.
func (p *Pool[K, C]) linkLocked(e *entry[K, C]) {
	if p.hand == nil {
		e.next, e.prev, p.hand = e, e, e
	} else {
		e.next, e.prev = p.hand, p.hand.prev
		e.prev.next, e.next.prev = e, e
	}
	p.keys++
	p.table.addLocked(e, p.keys)
	if p.sweeper == nil && p.cfg.IdleAfter > 0 {
		p.sweeper = time.AfterFunc(p.cfg.IdleAfter/2, p.sweep)
	}
}

// unlinkLocked takes e out of the table and the ring.
func (p *Pool[K, C]) unlinkLocked(e *entry[K, C]) {
	if e.next == e {
		p.hand = nil
	} else {
		if p.hand == e {
			p.hand = e.next
		}
		e.prev.next, e.next.prev = e.next, e.prev
	}
	p.keys--
	p.table.removeLocked(e, p.keys)
}

// forget takes e out of the table and the ring, and closes its pool. After Close, end
// closes the pool instead.
func (p *Pool[K, C]) forget(e *entry[K, C]) {
	p.mu.Lock()
	if e.forgotten.Load() {
		p.mu.Unlock()
		return
	}
	e.forgotten.Store(true) // before the pool is closed
	p.unlinkLocked(e)
	p.leaving[e] = struct{}{}
	closed := p.closed.Load()
	if !closed {
		p.doors[e.key] = e.door
		drop := func() { p.dropDoor(e.key, e.door) }
		e.door.onEmpty(drop)
		p.closing.Go(func() { // ends when the driver has closed all connections, or after 5 seconds
			e.once.Do(func() { e.err = errForgotten }) // or waits until it is opened
			if e.opened.Load() {
				e.pool.Close()
			}
			drop() // if the pool had no connection
			p.settle(e)
		})
	}
	p.mu.Unlock()
	if closed {
		p.settle(e)
	}
}

// doorLocked returns the door for a new entry of key: the door of its last pool, if that
// still has connections, or a new one.
func (p *Pool[K, C]) doorLocked(key K) *door {
	d := p.doors[key]
	if d == nil {
		return &door{Gate: p.cfg.Gate}
	}
	delete(p.doors, key)
	return d
}

// dropDoor forgets d, the door of a forgotten key, if it is empty.
func (p *Pool[K, C]) dropDoor(key K, d *door) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.doors[key] == d && d.isEmpty() {
		delete(p.doors, key)
	}
}

// all returns the entries.
func (p *Pool[K, C]) all() []*entry[K, C] {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.allLocked()
}

func (p *Pool[K, C]) allLocked() []*entry[K, C] {
	all := make([]*entry[K, C], 0, p.keys)
	for e := p.hand; len(all) < p.keys; e = e.next {
		all = append(all, e)
	}
	return all
}

// opened returns the entries whose pool is open.
func (p *Pool[K, C]) opened() []*entry[K, C] {
	return slices.DeleteFunc(p.all(), func(e *entry[K, C]) bool { return !e.opened.Load() })
}

// sweep forgets the keys that nobody uses, in the goroutine of a timer.
func (p *Pool[K, C]) sweep() {
	for _, e := range p.opened() {
		p.mu.Lock()
		unused := !e.wasUsed()
		if unused {
			e.unusedFor++
		} else {
			e.unusedFor = 0
		}
		unused = e.unusedFor >= 2
		p.mu.Unlock()
		if unused {
			p.forget(e)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys == 0 || p.closed.Load() {
		p.sweeper = nil // until the next key is added
		return
	}
	p.sweeper.Reset(p.cfg.IdleAfter / 2)
}

// makeRoom forgets keys that are not in use if there are more than MaxKeys. The hand
// moves around the ring, and spares each key that was used since it last passed (the
// clock algorithm).
func (p *Pool[K, C]) makeRoom(fresh *entry[K, C]) {
	if p.cfg.MaxKeys == 0 {
		return
	}
	var victims []*entry[K, C]
	p.mu.Lock()
	surplus := p.keys - p.cfg.MaxKeys
	for tries := 2 * p.keys; tries > 0 && len(victims) < surplus; tries-- {
		e := p.hand
		p.hand = e.next
		if e != fresh && !slices.Contains(victims, e) && !e.wasUsed() {
			victims = append(victims, e)
		}
	}
	p.mu.Unlock()
	for _, e := range victims {
		p.forget(e)
	}
}

// Close closes the pools of all keys at the same time, as [pool.Pool.Close] does. It
// waits at most 5 seconds for the driver to close the connections that are not in use.
func (p *Pool[K, C]) Close() error { return p.end((*pool.Pool[C]).Close) }

// Shutdown shuts the pools of all keys down, as [pool.Pool.Shutdown] does: it waits
// for the leases until ctx ends, and then closes their connections.
func (p *Pool[K, C]) Shutdown(ctx context.Context) error {
	return p.end(func(p *pool.Pool[C]) error { return p.Shutdown(ctx) })
}

// end calls end for all pools at the same time. No new pool is opened from now on.
func (p *Pool[K, C]) end(end func(*pool.Pool[C]) error) error {
	p.mu.Lock()
	p.closed.Store(true)
	all := p.allLocked()
	if p.sweeper != nil {
		p.sweeper.Stop()
	}
	p.mu.Unlock()
	errs := make([]error, len(all))
	var ends sync.WaitGroup
	for i, e := range all {
		ends.Go(func() {
			e.once.Do(func() { e.err = &pool.AcquireError{Pool: p.cfg.Name(e.key), Cause: pool.ErrClosed} })
			if e.opened.Load() {
				errs[i] = end(e.pool)
			}
			p.forget(e)
		})
	}
	ends.Wait()
	p.closing.Wait()
	return errors.Join(errs...)
}
