package fleet

import "time"

// term is the time for which a grant is valid.
type term struct {
	sent time.Time // just before the call that returned the grant; has the monotonic clock
	wall time.Time // the same moment, by the wall clock alone
	ttl  time.Duration
}

func newTerm(sent time.Time, ttl time.Duration) *term { return &term{sent, sent.Round(0), ttl} }

// left returns how much of t is left, by the clock that has gone further. It returns 0
// for nil.
func (t *term) left(now time.Time) time.Duration {
	if t == nil {
		return 0
	}
	return t.ttl - max(now.Sub(t.sent), now.Round(0).Sub(t.wall))
}

// checkDeadline ends the grant if its time has passed. The timer of the deadline may
// be late: it stands still while the machine sleeps.
func (g *Gate) checkDeadline() {
	if t := g.term.Load(); t == nil || t.left(time.Now()) > 0 {
		return
	}
	g.mu.Lock()
	t := g.term.Load()
	nothing := g.may == 0 && len(g.permits) == 0 && g.err == nil // its end need not be reported
	report := func() {}
	if !g.over && t.left(time.Now()) <= 0 && !nothing && g.ctx.Err() == nil {
		report = g.overLocked()
	}
	g.mu.Unlock()
	report()
}

// overLocked ends the grant, and takes back its permits. It returns a function that logs
// that.
func (g *Gate) overLocked() (report func()) {
	g.over = true
	g.total.over++
	used, err := g.local.Stats().Used, g.err
	g.endLocked()
	return func() {
		g.cfg.Logger.Error(err, "the grant is over: the store did not renew it in time", "ttl", g.cfg.TTL, "used", used, "floor", g.cfg.Floor)
	}
}

// endLocked takes all permits back. A gate that is open keeps the Floor oldest ones.
func (g *Gate) endLocked() {
	g.may, g.target = 0, 0
	if g.deadline != nil {
		g.deadline.Stop()
	}
	g.resizeLocked()
	stay := g.cfg.Floor
	if g.ctx.Err() != nil {
		stay = 0
	}
	for i, p := range g.permits {
		p.stays.Store(i < stay)
		if i >= stay && !p.isLost {
			p.isLost = true
			close(p.lost)
		}
	}
}

// resizeLocked sets the limit of the local gate from the fields of g.
func (g *Gate) resizeLocked() {
	limit := min(g.may, g.target, g.declared)
	switch {
	case g.ctx.Err() != nil:
		limit = 0
	case g.over:
		limit = g.cfg.Floor
	case g.learning:
		limit = max(limit, g.cfg.Floor)
	}
	g.local.Resize(limit)
}
