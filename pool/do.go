package pool

import (
	"context"

	"github.com/hotline-go/hotline/driver"
)

// Do acquires a connection, runs fn with it, and ends the lease. It returns the
// error of Acquire, which is an [*AcquireError], or the error of fn.
//
// While fn runs, the end of ctx ends the connection's I/O, if the driver supports
// that (driver.Binder). If fn returns an error and ctx has ended, Do discards the
// connection. If that error does not say that ctx ended, Do adds it: errors.Is
// also finds the error and the cause of ctx, and the text shows both. errors.As
// and the classes of package driver, except IsBad, still see only the error of fn.
//
// Otherwise Do ends the lease with [Lease.End] and returns the error of fn unchanged,
// with one exception. If the error says that a retry is safe (driver.SafeToRetry)
// although fn has sent something (driver.Sender), Do wraps it so that it no longer
// says so. If fn panics or calls runtime.Goexit, Do discards the connection and lets
// the panic or exit continue.
//
// fn must not keep the connection. An Acquire or Do inside fn, with the context of
// fn, takes another connection. If such nested calls already hold all MaxOpen
// connections, and MaxOpen is at most 3, it fails at once with [ErrNested].
func (p *Pool[C]) Do(ctx context.Context, fn func(ctx context.Context, c C) error) error {
	l, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	var unbind func()
	ended := false
	defer func() {
		if !ended {
			defer l.Discard(ErrUnfinished) // deferred, in case unbind panics
			if unbind != nil {
				unbind()
			}
		}
	}()
	unbind = l.bind(ctx)
	inner := ctx
	if p.nests.Load() {
		inner = &holding[C]{ctx, l}
	}
	before, _ := sent(l.slot.raw) // not zero if the hooks sent something
	if err = fn(inner, l.conn); err != nil {
		err = p.notUnsent(l.slot.raw, before, err)
	}
	if unbind != nil {
		u := unbind
		unbind = nil
		u()
	}
	switch {
	case err == nil:
		l.Release()
	case ctx.Err() != nil:
		l.Discard(err)
		err = withEnd(ctx, err)
	default:
		l.End(err)
	}
	ended = true
	return err
}

// Call is [Pool.Do] for a function with a result.
func Call[C, R any](ctx context.Context, p *Pool[C], fn func(ctx context.Context, c C) (R, error)) (R, error) {
	var result R
	err := p.Do(ctx, func(ctx context.Context, c C) (err error) {
		result, err = fn(ctx, c)
		return err
	})
	return result, err
}

// judge reports whether err means that the connection is unusable (bad), and whether
// that is certain (known).
func (p *Pool[C]) judge(err error) (bad, known bool) {
	switch {
	case p.cfg.BadConn != nil:
		return p.cfg.BadConn(err), true
	case driver.IsBad(err):
		return true, true
	}
	return false, driver.IsGood(err) || p.answer != nil && p.answer(err)
}
