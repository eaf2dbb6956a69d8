package pool

import (
	"context"

	"github.com/hotline-go/hotline/driver"
)

// prepare makes a claimed connection ready for its holder: ResetSession unless
// it comes straight from Connect, then OnAcquire. It discards the connection if
// one of them fails, panics or exits.
func (p *Pool[C]) prepare(ctx context.Context, l Lease[C]) error {
	err := errExited
	defer func() {
		if err == nil {
			return
		}
		defer l.Discard(err) // also if a method of err panics

		dead := driver.IsBad(err) && ctx.Err() == nil // the end of ctx says nothing about the others
		p.mu.Lock()
		p.total.unserved++
		if dead {
			p.suspectLocked()
		}
		p.mu.Unlock()
	}()
	err = p.runReady(ctx, l)
	return err
}

// runReady is what prepare guards.
func (p *Pool[C]) runReady(ctx context.Context, l Lease[C]) error {
	raw := any(l.conn).(driver.Conn) // not slot.raw, which Shutdown may take away
	if l.word.has(resets) && !l.isFirst() {
		bounded := &boundedContext{Context: ctx, limit: p.cfg.PingTimeout}
		defer bounded.release()
		if err := raw.(driver.SessionResetter).ResetSession(bounded); err != nil {
			return err
		}
	}
	if p.cfg.OnAcquire != nil {
		return p.cfg.OnAcquire(ctx, raw)
	}
	return nil
}
