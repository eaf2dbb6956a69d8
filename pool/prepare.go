package pool

import (
	"context"
	"fmt"

	"github.com/hotline-go/hotline/driver"
)

// ready reports whether Acquire may return l, which was just claimed, without prepare
// and watched.
func (p *Pool[C]) ready(l Lease[C]) bool { return uint64(l.word)&p.slow.Load() == 0 }

// prepare makes a claimed connection ready for its holder. It calls ResetSession,
// unless the connection comes straight from Connect, and then OnAcquire. If one of
// them fails, panics or exits, it discards the connection. again reports whether the
// caller should try the next one.
func (p *Pool[C]) prepare(ctx context.Context, l Lease[C]) (again bool, err error) {
	first, hung := l.isFresh(), false
	wasReset, err := false, errExited
	defer func() {
		if err == nil {
			return
		}
		defer l.Discard(err) // deferred, in case a method of err panics

		again = !wasReset || driver.IsBad(err) && !first
		p.mu.Lock()
		defer p.mu.Unlock()
		p.total.unserved++
		if hung {
			p.evictUnresetLocked()
		}
	}()
	hung, err = p.reset(ctx, l)
	if err != nil {
		return false, err
	}
	wasReset = true
	if p.cfg.OnAcquire != nil {
		err = errExited
		err = p.cfg.OnAcquire(ctx, l.slot.raw, l.Info())
	}
	return false, err
}

// reset calls ResetSession if the connection of l needs it. hung reports whether
// that took all of PingTimeout.
func (p *Pool[C]) reset(ctx context.Context, l Lease[C]) (hung bool, err error) {
	if !l.word.has(resets) || l.isFresh() {
		return false, nil
	}
	bounded := &boundedContext{Context: ctx, limit: p.cfg.PingTimeout}
	defer bounded.release()
	err = l.slot.raw.(driver.SessionResetter).ResetSession(bounded)
	return bounded.Err() == context.DeadlineExceeded && ctx.Err() == nil, err
}

// evictUnresetLocked closes the idle connections that need a reset before use. The reset
// of one has just taken all of PingTimeout. If the others hang too, a caller would wait
// for one after another.
func (p *Pool[C]) evictUnresetLocked() {
	for _, s := range *p.slots.Load() {
		w := s.load()
		if w.phase() == idle && w.has(resets) && s.move(w, w.to(held)) {
			p.closeLocked(s, reason{cause: bad, err: errHungReset})
		}
	}
}

// errHungReset is the reason for a close by evictUnresetLocked.
var errHungReset = fmt.Errorf("pool: ResetSession of another connection took all of PingTimeout: %w", driver.ErrBadConn)
