package pool

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hotline-go/hotline/driver"
)

const (
	// grace is how long a Connect or a Ping may overrun its context before the
	// pool stops waiting for it.
	grace = 100 * time.Millisecond

	// leastHang is the shortest time after which a Connect may count as hanging. For
	// a quick Connect, taking twice as long means nothing.
	leastHang = 50 * time.Millisecond
)

// attempt is one Connect that is in progress or waits at the gate. It is in
// Pool.attempts. Guarded by Pool.mu.
type attempt[C any] struct {
	slot   *slot[C]
	cancel context.CancelFunc // ends it
	epoch  uint64             // Pool.epoch when it started

	// At the gate.
	gated     bool
	spare     bool // no caller waits for it
	calledOff bool // canceled

	// Set by beginLocked.
	pass  *pass // nil without a gate
	began time.Duration
	seq   uint64 // Pool.started, including this one
	order uint64 // of the last waiter that joined before it began; if it fails, the waiters up to this one may fail
	probe bool   // it probes a full server for room
	late  bool   // it overran ConnectTimeout and grace, and was reported as failed
	peer  string // of the connection; set by connect

	// The connection that the new one replaces, if any.
	old     *slot[C] // nil if it replaces none
	oldBorn uint64   // slot.born of that connection
}

// success is the last Connect that succeeded.
type success struct {
	took    time.Duration
	started uint64 // Pool.started when it ended
}

// hangsAt returns when a counts as hanging, so that another may start in its place:
// after a quarter of ConnectTimeout, or after twice the time of a Connect that has
// succeeded since a began.
func (p *Pool[C]) hangsAt(a *attempt[C]) time.Duration {
	if a.gated {
		return forever
	}
	after := p.cfg.ConnectTimeout / 4
	if a.seq <= p.lastSuccess.started {
		after = min(after, max(2*p.lastSuccess.took, leastHang))
	}
	return a.began + after
}

// hangs reports whether a hangs at the time now.
func (p *Pool[C]) hangs(a *attempt[C], now time.Duration) bool { return now >= p.hangsAt(a) }

// startConnectLocked starts an attempt. old is the slot of the connection that the new
// one replaces, or nil.
func (p *Pool[C]) startConnectLocked(old *slot[C]) {
	a := &attempt[C]{slot: p.takeFreeLocked(), epoch: p.epoch, old: old}
	if old != nil {
		a.oldBorn = old.born
	}
	ctx, cancel := p.contextLocked(p.connects, old == nil)
	a.cancel = cancel
	a.gated = p.cfg.Gate != nil
	a.spare = a.gated && (old != nil || p.queue.len <= p.supplyLocked())
	p.attempts = append(p.attempts, a)
	if !a.gated {
		p.beginLocked(a)
	}
	p.goLocked(func() {
		defer cancel()
		if p.enter(ctx, a) {
			p.connect(ctx, a)
		}
	})
}

// beginLocked records that a, which is in attempts, begins to connect.
func (p *Pool[C]) beginLocked(a *attempt[C]) {
	now := p.now()
	p.started++
	a.gated, a.began, a.seq, a.order = false, now, p.started, p.queue.arrivals
	a.probe = p.outage.starting(now, p.occupiedLocked()-1)
	p.stepBeyondLocked(now)
	p.sweepAtLocked(p.hangsAt(a))
}

// contextLocked returns the context of one attempt or check, which ends with parent.
// If it is for a waiter, the context has the values of that caller's context and the
// time when the caller gives up. That waiter is the one just joining the queue, or else
// the oldest.
func (p *Pool[C]) contextLocked(parent context.Context, forWaiter bool) (context.Context, context.CancelFunc) {
	w := p.joining
	if w == nil || !w.queued {
		w = p.queue.head
	}
	if w == nil || !forWaiter {
		return context.WithCancel(parent)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.ctx))
	if !w.due.IsZero() {
		ctx = driver.WithCallerDeadline(ctx, w.due)
	}
	stop := context.AfterFunc(parent, cancel)
	return ctx, func() { stop(); cancel() }
}

// stepBeyondLocked is called when an attempt has begun. It steps the pace of Connects
// beyond MaxConnecting, or resets that pace if this attempt is within the limit.
func (p *Pool[C]) stepBeyondLocked(now time.Duration) {
	if coming, hanging := p.connectingLocked(); coming+hanging <= p.cfg.MaxConnecting {
		p.beyond = pace{}
		return
	}
	p.beyond.step(now, p.cfg.Backoff)
}

// takeFreeLocked takes a free slot, or makes one, and moves it to connecting.
func (p *Pool[C]) takeFreeLocked() *slot[C] {
	var s *slot[C]
	i := len(p.free) - 1
	for i >= 0 && p.free[i].load().has(cut) { // its holder may be reading the slot
		i--
	}
	if i >= 0 {
		s = p.free[i]
		p.free = slices.Delete(p.free, i, i+1)
	} else {
		all := *p.slots.Load()
		s = &slot[C]{pool: p, index: int32(len(all))}
		all = append(all, s) // readers of the old slice do not see beyond its length
		p.slots.Store(&all)
		p.list.grow(len(all))
	}
	s.settle(connecting)
	return s
}

// freeLocked frees s, which the caller owns.
func (p *Pool[C]) freeLocked(s *slot[C]) {
	if !s.load().has(cut) { // otherwise endCut empties it
		s.empty()
	}
	s.settle(free)
	p.unlistLocked(s)
	p.free = append(p.free, s)
}

// connect runs one attempt, in its own goroutine. It ends when Connect and OnConnect
// return, which is soon after ConnectTimeout or the end of ctx.
func (p *Pool[C]) connect(ctx context.Context, a *attempt[C]) {
	timeout := p.cfg.ConnectTimeout
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	overdue := time.AfterFunc(timeout+grace, func() { p.connectOverdue(a) })
	defer overdue.Stop()
	if a.pass != nil && a.pass.lost != nil {
		go a.pass.cancelWhenLost(ctx, cancel) // ends with ctx
	}
	var raw driver.Conn
	var c C
	err := errExited
	defer func() { p.connected(a, raw, c, err) }()
	defer recovered(&err)
	traced, end := begin(ctx, p.cfg.Trace.Connect, ConnectStart{p.cfg.Name})
	if end != nil {
		defer func() { end(ConnectEnd{p.now() - a.began, err}) }()
	}
	defer func() {
		switch {
		case err == nil:
		case ctx.Err() == context.DeadlineExceeded:
			err = fmt.Errorf("ConnectTimeout of %v passed: %w", timeout, err)
		case ctx.Err() != nil && a.pass.isLost():
			err = fmt.Errorf("%w: %v", ErrPermitLost, err) // %v, because no caller's context was canceled
		}
	}()
	defer recovered(&err)
	raw, err = p.newConn(traced)
	if err == nil {
		c, err = as[C](raw)
	}
	if err == nil && p.cfg.OnConnect != nil {
		err = errExited
		err = p.cfg.OnConnect(traced, raw)
	}
	if err == nil {
		a.peer = peerOf(raw)
	}
}

// checkType returns an error if sample, which may be nil, is not a C.
func checkType[C any](sample driver.Conn) error {
	if sample == nil {
		return nil
	}
	if _, err := as[C](sample); err != nil {
		return fmt.Errorf("pool: %w", err)
	}
	return nil
}

// wrongTypeError says that the driver's connections are not of the pool's type C.
type wrongTypeError struct{ error }

// failureOf returns a message for err, an error of an attempt.
func failureOf(err error) string {
	if errors.As(err, new(wrongTypeError)) {
		return "wrong type of connection"
	}
	return "connect failed"
}

// as returns raw as a C, or a permanent error.
func as[C any](raw driver.Conn) (C, error) {
	c, ok := driver.As[C](raw)
	if raw == nil {
		return c, driver.Permanent(errors.New("the driver returned neither a connection nor an error"))
	}
	if !ok {
		var client any = raw
		if a, ok := raw.(driver.Adapter); ok {
			client = a.Client()
		}
		return c, driver.Permanent(wrongTypeError{fmt.Errorf("the driver's connection is a %T, not a %v: %s", client, reflect.TypeFor[C](), howToFix[C](client))})
	}
	return c, nil
}

// howToFix returns advice about client, which is not a C. It takes the missing method
// from the text of the runtime's panic: looking up methods with package reflect would
// make the linker keep every method of the program.
func howToFix[C any](client any) (advice string) {
	defer func() {
		if _, method, found := strings.Cut(fmt.Sprint(recover()), ": missing method "); found {
			advice = "method " + method + " is missing or has another type"
		}
	}()
	advice = "open the pool for the type that the driver returns"
	_ = client.(C)
	return advice
}

// connectOverdue reports an attempt as failed if its driver ignores the end of the
// context. The slot stays taken, because the server may count the connection.
func (p *Pool[C]) connectOverdue(a *attempt[C]) {
	failed := classify(fmt.Errorf("the driver has not returned from Connect %v after the ConnectTimeout of %v: %w",
		grace, p.cfg.ConnectTimeout, context.DeadlineExceeded))
	p.mu.Lock()
	late := slices.Contains(p.attempts, a) && !p.closed
	if late {
		a.late = true
		p.connectFailedLocked(a, failed)
		p.serveLocked()
	}
	p.mu.Unlock()
	if late {
		p.log.Error(failed.err, "connect failed", "took", p.cfg.ConnectTimeout+grace)
	}
}

// connected ends an attempt.
func (p *Pool[C]) connected(a *attempt[C], raw driver.Conn, c C, err error) {
	took := p.now() - a.began
	failed := classify(err)
	defer p.settleAttempt(a, raw, c, failed, took) // deferred, in case the gate exits this goroutine
	if t := a.pass; raw == nil {                   // now, before another attempt needs the permit
		a.pass = nil
		p.leaveGate(t)
	}
}

// settleAttempt takes a finished attempt out of the pool, and its connection into it.
func (p *Pool[C]) settleAttempt(a *attempt[C], raw driver.Conn, c C, failed failure, took time.Duration) {
	err := failed.err
	p.mu.Lock()
	p.total.connects.add(took)
	a.slot.pass = a.pass
	p.replacedLocked(a, err)
	calledOff := p.closed || a.epoch != p.epoch
	limit := p.outage.atMost(p.max)
	if err != nil && !p.closed && !a.late {
		p.connectFailedLocked(a, failed)
	}
	i := slices.Index(p.attempts, a)
	p.attempts = slices.Delete(p.attempts, i, i+1)
	if err != nil {
		p.abandonLocked(a.slot, raw, err)
	} else {
		p.openedLocked(a, raw, c)
	}
	changed := p.outage.atMost(p.max)
	p.serveLocked()
	p.mu.Unlock()
	switch {
	case err == nil:
		p.log.V(1).Info("connected", "took", took)
		if changed != limit {
			p.log.Info("the server has room again", "limit", changed)
		}
	case calledOff:
	case !failed.full:
		p.log.Error(err, failureOf(err), append(stack(err), "took", took)...)
	case changed != limit:
		p.log.Info("the server is full", "limit", changed, "error", err)
	}
}

// replacedLocked is called at the end of a with its error. It retires the connection
// that a replaces, or keeps it longer if a failed.
func (p *Pool[C]) replacedLocked(a *attempt[C], err error) {
	old := a.old
	if old == nil || old.born != a.oldBorn {
		return
	}
	if err == nil {
		p.expireLocked(old) // before the new one is idle: otherwise MaxIdle might close the new one
		return
	}
	old.expires.Store(int64(p.now())) // it has expired, but stays open until another attempt succeeds
	p.wakeKeeperLocked()
}

// connectFailedLocked records a failed attempt in the counters, the journal and the
// outage.
func (p *Pool[C]) connectFailedLocked(a *attempt[C], f failure) {
	p.total.connectFailures++
	if a.epoch != p.epoch {
		return // it began before a Reset, so it says nothing about the server now
	}
	p.journal.connectFailed(f)
	p.outage.failed(p.now(), a.order, f, p.openLocked()+p.closing)
	p.simplifyLocked() // outage.useless may have changed
}

// abandonLocked frees the slot of a failed attempt, after closing its connection if
// there is one.
func (p *Pool[C]) abandonLocked(s *slot[C], raw driver.Conn, err error) {
	if raw == nil {
		p.freeLocked(s)
		return
	}
	s.raw = raw
	p.closeLocked(s, reason{cause: bad, err: err, known: true})
}

// openedLocked takes a new connection into the pool.
func (p *Pool[C]) openedLocked(a *attempt[C], raw driver.Conn, c C) {
	s := a.slot
	p.total.opened++
	now := p.now()
	if a.epoch == p.epoch {
		p.succeededLocked(a, now)
	}
	from := s.load()
	w := s.install(raw, c)
	s.birth = &birth{now, a.seq, a.order, a.peer}
	if s.pass != nil {
		s.pass.cost = now - a.began
	}
	p.aliveLocked(s, now)
	s.expires.Store(0)
	if life := p.cfg.lifetime(); life > 0 {
		s.expires.Store(int64(now + life))
	}
	s.rested, s.why = false, 0
	s.move(from, w.next(held))
	var why cause
	switch {
	case a.epoch != p.epoch:
		why = outOfDate
	case p.openLocked() > p.max:
		why = tooMany
	case s.pass.isLost():
		why = permitLost
	}
	if why == 0 && p.outage.useless > 1 && w.has(pings) && !p.closed {
		p.checkLocked(s, p.queue.len > 0, fromPool) // before a caller gets it
	} else {
		p.putBackLocked(s, because(why), fromPool)
	}
	if a.pass != nil && a.pass.lost != nil {
		go p.watch(s, a.pass) // ends with the connection
	}
	p.wakeKeeperLocked()
	if p.keeper.behind {
		p.sweepAtLocked(now + busyPause)
	}
}

// succeededLocked records in the outage that a succeeded. It schedules sweeps for the
// times when other attempts count as hanging, which may be sooner now.
func (p *Pool[C]) succeededLocked(a *attempt[C], now time.Duration) {
	p.outage.succeeded(now, p.openLocked(), p.max, a.probe)
	p.suspicion.doubt = false
	if a.old == nil {
		p.keeper.owed = max(p.keeper.owed-1, 0)
	}
	p.lastSuccess = success{now - a.began, p.started}
	p.beyond = pace{}
	for _, b := range p.attempts {
		p.sweepAtLocked(p.hangsAt(b)) // the sweep starts another in its place
	}
}
