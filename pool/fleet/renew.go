package fleet

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
)

// errLate reports that the store answered after the new deadline had passed.
var errLate = errors.New("fleet: the store answered too late")

// never is a pause that only poke ends.
const never = time.Duration(math.MaxInt64)

// poke makes run call due again.
func (g *Gate) poke() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// run makes the calls of the store, until Close.
func (g *Gate) run() {
	defer close(g.ended)
	timer := time.NewTimer(never)
	defer timer.Stop()
	for g.ctx.Err() == nil {
		pause := g.due()
		if pause <= 0 {
			g.renew()
			continue
		}
		timer.Reset(pause)
		select {
		case <-g.ctx.Done():
		case <-g.wake:
		case <-timer.C:
		}
	}
}

// due returns how long to wait before the next call.
func (g *Gate) due() time.Duration {
	u := g.local.Stats()
	g.mu.Lock()
	defer g.mu.Unlock()
	need := u.Used + u.Waiting
	if need <= g.may {
		g.short = false
	}
	parts := renewals
	switch {
	case need == 0 && g.may == 0 && g.cfg.Spare == 0 && g.err == nil: // after an error, go on, or Stats would show it forever
		return never
	case g.err != nil:
		parts = max(retries>>(g.failing-1), renewals) // a store that can't keep up must not be called more often
	case g.target < g.may && u.Used < g.may: // other processes need the unused permits
		return 0
	case need > g.may && !g.short:
		return 0
	case need > g.may && len(g.ledger.Rows) < crowd:
		parts = hungryCalls
	}
	return time.Duration(g.jitter*float64(g.cfg.TTL)/float64(parts)) - time.Since(g.tried)
}

// renew renews the grant, and repeats that while other writers get in between.
func (g *Gate) renew() {
	ctx, cancel := context.WithTimeout(g.ctx, g.cfg.TTL/renewals)
	defer cancel()
	got, ledger, sent, err := g.agree(ctx, g.declare)
	if err == nil && time.Since(sent) >= g.cfg.TTL {
		err = errLate
	}
	g.mu.Lock()
	g.tried, g.jitter = time.Now(), 0.8+0.2*rand.Float64()
	report := func() {}
	switch {
	case g.ctx.Err() != nil: // Close
	case err != nil:
		report = g.failedLocked(err)
	default:
		g.ledger = ledger
		report = g.grantedLocked(got, sent)
	}
	g.mu.Unlock()
	report()
}

// declare returns the claim of this process on the ledger that has just been read. Until
// the store has answered, the local gate hands out no more than the claim's Held, because
// the store may grant no more.
//
// The room from the last grant counts only if the ledger still has it. If the ledger was
// lost, it counts until the deadline. After a pause, others may have taken it. If they
// take it after the ledger was read, the write of this process fails.
func (g *Gate) declare(l Ledger) claim {
	g.checkDeadline()
	idle := g.idle()
	room := math.MaxInt
	if !l.Lost && !l.Learning {
		room = 0
		if i := slices.IndexFunc(l.Rows, func(r Row) bool { return r.Owner == g.cfg.Owner }); i >= 0 {
			room = l.Rows[i].May
		}
	}
	u := g.local.Stats()
	g.mu.Lock()
	defer g.mu.Unlock()
	own := Row{Owner: g.cfg.Owner, Left: g.cfg.TTL + g.cfg.Grace}
	g.need = u.Used + u.Waiting
	own.Want = min(max(u.Used-idle, 0)+u.Waiting+g.cfg.Spare, g.cfg.Limit)
	room = min(room, g.may, g.target, g.declared)
	g.declared = max(u.Used, min(room, own.Want))
	g.resizeLocked()
	if u = g.local.Stats(); u.Used > g.declared { // a caller entered before the resize
		g.declared = u.Used
		g.resizeLocked()
	}
	own.Held = g.declared
	return claim{own, room}
}

// agree reads the ledger, decides the grant for the claim that declare returns, and
// writes the row. It repeats that while other writers get in between. It returns the
// grant, the ledger with the new row, and the time at which the last attempt began.
func (g *Gate) agree(ctx context.Context, declare func(Ledger) claim) (got grant, ledger Ledger, sent time.Time, err error) {
	for {
		sent = time.Now()
		if ledger, err = g.store.Read(ctx, g.cfg.Budget); err != nil {
			return got, ledger, sent, err
		}
		own := declare(ledger)
		got = ledger.decide(own, g.cfg.Limit)
		e := Entry{Row: own.Row}
		e.May = got.may
		i := slices.IndexFunc(ledger.Rows, func(r Row) bool { return r.Owner == e.Owner })
		if e.Version = ""; i >= 0 {
			e.Version = ledger.Rows[i].Version
		}
		e.Grows = e.May > 0 && (i < 0 || e.May > ledger.Rows[i].May)
		if ledger.Lost {
			e.Learn = g.cfg.TTL + g.cfg.Grace
		}
		if e.May == 0 && e.Want == 0 {
			e.Left = 0
		}
		g.wrote = true
		ok, err := g.store.Write(ctx, g.cfg.Budget, ledger.Version, e)
		if ok || err != nil {
			return got, ledger.with(e.Row), sent, err
		}
		g.mu.Lock()
		g.total.conflicts++
		g.mu.Unlock()
		select {
		case <-ctx.Done():
			return got, ledger, sent, ctx.Err()
		case <-time.After(1 + time.Since(sent)*time.Duration(rand.IntN(4))/4): // random, to spread out competing writers
		}
	}
}

// giveBack writes that this process has only the connections that are open now.
func (g *Gate) giveBack() error {
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.TTL/renewals)
	defer cancel()
	own := Row{Owner: g.cfg.Owner}
	if own.Held = g.local.Stats().Used; own.Held > 0 {
		own.Left = g.cfg.Grace
	}
	if _, _, _, err := g.agree(ctx, func(Ledger) claim { return claim{own, own.Held} }); err != nil {
		return fmt.Errorf("fleet: giving back the grant of budget %q: %w", g.cfg.Budget, driver.QuoteError(err))
	}
	return nil
}

// grantedLocked applies a grant. It returns a function that logs it.
func (g *Gate) grantedLocked(got grant, sent time.Time) (report func()) {
	u := g.local.Stats()
	changed, back, learned := got.may != g.may || got.target != g.target, g.err != nil, got.learning != g.learning
	g.may, g.target, g.learning, g.declared, g.over, g.err = got.may, got.target, got.learning, math.MaxInt, false, nil
	g.failing = 0
	for _, p := range g.permits {
		p.stays.Store(false)
	}
	g.short = g.need > got.may
	g.total.renewals++
	t := newTerm(sent, g.cfg.TTL)
	g.term.Store(t)
	if g.deadline != nil {
		g.deadline.Stop()
	}
	g.deadline = time.AfterFunc(t.left(time.Now()), g.checkDeadline)
	g.resizeLocked()
	log := g.cfg.Logger.WithValues("granted", got.may, "target", got.target, "used", u.Used, "waiting", u.Waiting)
	return func() {
		switch {
		case back:
			log.Info("the store answers again")
		case learned && got.learning:
			log.Info("the store is new or has lost its state; no process gets more until it has learned who has connections", "for", g.cfg.TTL+g.cfg.Grace)
		case learned:
			log.Info("the store has learned who has connections")
		case changed:
			log.V(1).Info("granted")
		}
	}
}

// failedLocked handles a failed call: no permits are added, and the grant ends at its
// deadline. It returns a function that logs that.
func (g *Gate) failedLocked(err error) (report func()) {
	g.total.failures++
	g.failing = min(g.failing+1, 8)
	first := g.err == nil
	g.err = driver.QuoteError(err)
	left := g.term.Load().left(time.Now())
	if left <= 0 && !g.over {
		return g.overLocked()
	}
	err, may := g.err, g.may
	return func() {
		if first {
			g.cfg.Logger.Error(err, "the store call failed; no connections are added", "granted", may, "left", left)
		}
	}
}

// idle returns how many connections are idle, as reported by the pools.
func (g *Gate) idle() (n int) {
	g.mu.Lock()
	members := map[pool.Member]bool{}
	for _, p := range g.permits {
		members[p.member] = true
	}
	g.mu.Unlock()
	for m := range members {
		if p, ok := m.(interface{ Stats() pool.Stats }); ok {
			n += p.Stats().Idle
		}
	}
	return n
}
