package keyed

import "github.com/hotline-go/hotline/pool"

// Stats implements pool.BudgetGate.
func (d *door) Stats() (s pool.BudgetStats) {
	if gate, ok := d.Gate.(pool.BudgetGate); ok {
		s = gate.Stats()
	}
	return s
}

// budget returns the budget of all keys, or nil if the gate has none.
func (p *Pool[K, C]) budget() *pool.BudgetStats {
	if gate, ok := p.cfg.Gate.(pool.BudgetGate); ok {
		if s := gate.Stats(); s.Budget != "" {
			return &s
		}
	}
	return nil
}
