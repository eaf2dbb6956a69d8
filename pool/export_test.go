package pool

import "fmt"

// CheckSlots returns an error if the list of p, or a number derived from its slots and
// attempts, is wrong. No goroutine may be using p.
func (p *Pool[C]) CheckSlots() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var n [phases]int
	for i, s := range *p.slots.Load() {
		w := s.load()
		n[w.phase()]++
		inList := p.list.next(i) == i
		switch {
		case w.has(listed) != inList:
			return fmt.Errorf("slot %d: the flag listed is %v, but its bit in the list is %v", i, w.has(listed), inList)
		case w.phase() == idle && !inList:
			return fmt.Errorf("slot %d is idle but not listed", i)
		case w.phase() != idle && inList && (p.queue.len > 0 || p.closed):
			return fmt.Errorf("slot %d is %v and listed, so its Release would not serve the %d waiters", i, w.phase(), p.queue.len)
		}
	}
	if n[free] != len(p.free) || n[connecting] != len(p.attempts) || n[closing] != p.closing || n[held] != p.pinging {
		return fmt.Errorf("phases %v: want %d free, %d connecting, %d closing, %d held", n, len(p.free), len(p.attempts), p.closing, p.pinging)
	}
	return nil
}

// Arm sets whether Acquire records stacks, until the next sweep of p.
func (p *Pool[C]) Arm(on bool) { p.arm(on) }
