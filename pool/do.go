package pool

import (
	"context"

	"github.com/hotline-go/hotline/driver"
)

// Do acquires a connection, runs fn with it, and ends the lease. It returns the
// error of Acquire, an [*AcquireError], or that of fn, unchanged.
//
// While fn runs, the end of ctx ends the connection's I/O, if the driver can do
// that (driver.Binder). After fn, the connection is pooled again, except in three
// cases: fn returned an error that Config.BadConn calls bad, fn returned an error
// and ctx had ended, or fn ended by a panic or runtime.Goexit. Do does not stop
// either of those.
//
// fn must not keep the connection.
func (p *Pool[C]) Do(ctx context.Context, fn func(ctx context.Context, c C) error) error {
	l, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	var unbind func()
	ended := false
	defer func() {
		if !ended {
			defer l.Discard(ErrUnfinished) // also if unbind panics
			if unbind != nil {
				unbind()
			}
		}
	}()
	if b, ok := any(l.conn).(driver.Binder); ok && ctx.Done() != nil {
		unbind = b.Bind(ctx)
	}
	err = fn(ctx, l.conn)
	if unbind != nil {
		u := unbind
		unbind = nil
		u()
	}
	if err != nil && (ctx.Err() != nil || p.cfg.BadConn(err)) {
		l.Discard(err)
	} else {
		l.Release()
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
