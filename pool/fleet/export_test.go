package fleet

import "time"

// Deadline returns when the grant is over, or the zero time.
func (g *Gate) Deadline() (end time.Time) {
	if t := g.term.Load(); t != nil {
		end = t.sent.Add(t.ttl)
	}
	return end
}

// StopClock keeps the timer of the deadline from firing, as when the process is stopped.
func (g *Gate) StopClock() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.deadline != nil {
		g.deadline.Stop()
	}
}

// StartClock lets the timer fire again, at once if it is late.
func (g *Gate) StartClock() {
	g.checkDeadline()
	g.mu.Lock()
	defer g.mu.Unlock()
	if left := g.term.Load().left(time.Now()); left > 0 {
		g.deadline.Reset(left)
	}
}
