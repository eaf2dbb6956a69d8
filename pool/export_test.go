package pool

import "fmt"

// CheckSlots returns what is wrong with the list of p and the numbers derived from
// its slots and attempts. No goroutine may be using p.
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
			return fmt.Errorf("slot %d: the flag listed is %v, its bit %v", i, w.has(listed), inList)
		case w.phase() == idle && !inList:
			return fmt.Errorf("slot %d is idle and not listed", i)
		case w.phase() != idle && inList && (p.queue.len > 0 || p.closed):
			return fmt.Errorf("slot %d is %v and listed, so its Release would not serve the %d waiters", i, w.phase(), p.queue.len)
		}
	}
	if n[free] != len(p.free) || n[connecting] != len(p.attempts) || n[closing] != p.closing || n[held] != p.pinging {
		return fmt.Errorf("phases %v: want %d free, %d connecting, %d closing, %d held", n, len(p.free), len(p.attempts), p.closing, p.pinging)
	}
	return nil
}

// Arm turns the stacks of p on or off, until its next sweep.
func (p *Pool[C]) Arm(on bool) { p.arm(on) }
