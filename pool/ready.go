package pool

import (
	"context"
	"fmt"
	"slices"
)

// Ready blocks until MinIdle connections are open, in use or not, and then returns nil.
// If Resize has set a MaxOpen below MinIdle, that many are enough. Ready returns an
// [*AcquireError] if ctx ends first, if a connect fails permanently
// (driver.IsPermanent), or if the pool is closed. If MinIdle is zero, it returns at
// once.
//
// Ready is for the start of a program. It is not a health probe, because connections
// that were opened long ago count. As a health probe, use [Pool.Ping], which asks the
// server and waits for a free connection, or the State of [Pool.Snapshot], which does
// no I/O.
func (p *Pool[C]) Ready(ctx context.Context) error { return p.awaitOpen(ctx, p.cfg.MinIdle) }

// Warm makes the pool open n connections, and blocks as Ready does until they are open.
// Unlike MinIdle, it does not replace connections that close later. An n that is below
// 0, or above MaxOpen or MaxIdle, is an error.
func (p *Pool[C]) Warm(ctx context.Context, n int) error {
	p.mu.Lock()
	most, name := p.max, "MaxOpen"
	if p.maxIdle >= 0 && p.maxIdle < most {
		most, name = p.maxIdle, "MaxIdle"
	}
	p.mu.Unlock()
	if n < 0 || n > most {
		return fmt.Errorf("pool %q: Warm(%d); want 0 to %s, which is %d", p.cfg.Name, n, name, most)
	}
	return p.awaitOpen(ctx, n)
}

// awaitOpen makes the pool open n connections, or as many as MaxOpen allows, and
// blocks until they are open.
func (p *Pool[C]) awaitOpen(ctx context.Context, n int) error {
	began := p.now()
	p.mu.Lock()
	p.warm = append(p.warm, n)
	p.fillLocked()
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		i := slices.Index(p.warm, n)
		p.warm = slices.Delete(p.warm, i, i+1)
	}()
	var cause error
	err := p.await(ctx, func() bool {
		switch {
		case p.closed:
			cause = ErrClosed
		case p.openLocked() >= min(n, p.max): // success, so there is no cause
		case p.outage.permanent && p.comingLocked() == 0:
			cause = connectFailure{p.outage.err}
		default:
			return false
		}
		return true
	})
	if err == nil {
		err = cause
	}
	if err != nil {
		return p.acquireError(ctx, err, began)
	}
	return nil
}
