package pool_test

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// diary records events in order.
type diary struct {
	mu      sync.Mutex
	entries []string
}

func (d *diary) add(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, fmt.Sprintf(format, args...))
}

// take returns and clears the entries.
func (d *diary) take() []string {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	entries := d.entries
	d.entries = nil
	return entries
}

// open opens a pool whose driver and hooks record their calls, except for the hooks that
// cfg already has.
func (d *diary) open(t *testing.T, cfg pool.Config) (*drivertest.Fake, *pool.Pool[*conn]) {
	if cfg.OnConnect == nil {
		cfg.OnConnect = func(_ context.Context, c driver.Conn) error { d.add("OnConnect %d", c.(*conn).ID); return nil }
	}
	if cfg.OnAcquire == nil {
		cfg.OnAcquire = func(_ context.Context, c driver.Conn, _ pool.Info) error {
			d.add("OnAcquire %d", c.(*conn).ID)
			return nil
		}
	}
	if cfg.OnRelease == nil {
		cfg.OnRelease = func(c driver.Conn) error { d.add("OnRelease %d", c.(*conn).ID); return nil }
	}
	cfg.OnClose = func(c driver.Conn, reason error) { d.add("OnClose %d: %v", c.(*conn).ID, reason) }
	f := drivertest.NewFake(t)
	for op := drivertest.Connect; op <= drivertest.Close; op++ {
		f.Always(op, func(_ context.Context, c *conn) error { d.add("%v %d", op, c.ID); return nil })
	}
	return f, open[*conn](t, f, cfg)
}

func TestHooksAndDriverAreCalledInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		_, p := d.open(t, pool.Config{})
		l := acquire(t, p)
		assert.Equal(t, []string{"Connect 1", "OnConnect 1", "OnAcquire 1"}, d.take())
		require.NoError(t, l.Conn().Use())
		l.Release()
		assert.Equal(t, []string{"Use 1", "OnRelease 1", "IsValid 1"}, d.take())

		l = acquire(t, p)
		assert.Equal(t, []string{"ResetSession 1", "OnAcquire 1"}, d.take())
		l.Release()
		d.take()

		advance(10 * time.Second)
		l = acquire(t, p)
		assert.Equal(t, []string{"Ping 1", "IsValid 1", "ResetSession 1", "OnAcquire 1"}, d.take())
		l.Discard(io.EOF)
		assert.Equal(t, []string{"OnClose 1: EOF", "Close 1"}, d.take(), "Discard does not call OnRelease")
	})
}

func TestHookThatFailsClosesTheConnection(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg   pool.Config
		calls []string
		err   error // of Acquire
	}{
		"OnConnect": {pool.Config{OnConnect: func(context.Context, driver.Conn) error { return errScripted }},
			[]string{"Connect 1", "OnClose 1: scripted error", "Close 1"}, errScripted},
		"OnAcquire": {pool.Config{OnAcquire: func(context.Context, driver.Conn, pool.Info) error { return errScripted }},
			[]string{"Connect 1", "OnConnect 1", "OnClose 1: scripted error", "Close 1"}, errScripted},
		"OnRelease": {pool.Config{OnRelease: func(driver.Conn) error { return errScripted }},
			[]string{"Connect 1", "OnConnect 1", "OnAcquire 1", "OnClose 1: scripted error", "Close 1"}, nil},
	} {
		bubble(t, name, func(t *testing.T) {
			var d diary
			f, p := d.open(t, tt.cfg)
			l, err := p.Acquire(t.Context())
			assert.ErrorIs(t, err, tt.err)
			l.Release()
			assert.Equal(t, tt.calls, d.take())
			assert.Zero(t, f.Counts().Open)
		})
	}
}

func TestEachCloseHasItsReasonAndIsCounted(t *testing.T) {
	type fakePool = pool.Pool[*conn]
	do := func(fn func() error) func(*testing.T, *fakePool) {
		return func(_ *testing.T, p *fakePool) {
			apart(func() { p.Do(context.Background(), func(context.Context, *conn) error { return fn() }) })
		}
	}
	use := func(t *testing.T, p *fakePool) { acquire(t, p).Release() }
	for name, tt := range map[string]struct {
		cfg   pool.Config
		idle  time.Duration               // after a first use
		fails drivertest.Op               // once, after that; zero is none
		do    func(*testing.T, *fakePool) // at the end
		want  error
		by    pool.Closes
	}{
		"discard":       {do: func(t *testing.T, p *fakePool) { acquire(t, p).Discard(errScripted) }, want: errScripted, by: pool.Closes{Bad: 1}},
		"error in Do":   {do: do(func() error { return io.ErrUnexpectedEOF }), want: io.ErrUnexpectedEOF, by: pool.Closes{Bad: 1}},
		"panic in Do":   {do: do(func() error { panic("boom") }), want: pool.ErrUnfinished, by: pool.Closes{Bad: 1}},
		"invalid":       {fails: drivertest.IsValid, do: use, want: pool.ErrInvalid, by: pool.Closes{Invalid: 1}},
		"reset session": {fails: drivertest.ResetSession, do: use, want: errScripted, by: pool.Closes{Bad: 1}},
		"check":         {idle: 10 * time.Second, fails: drivertest.Ping, do: use, want: errScripted, by: pool.Closes{Bad: 1}},
		"max idle":      {cfg: pool.Config{MaxIdle: 1}, do: func(t *testing.T, p *fakePool) { releaseAll(acquireN(t, p, 2)) }, want: pool.ErrMaxIdle, by: pool.Closes{Idle: 1}},
		"max idle time": {cfg: pool.Config{MaxIdleTime: time.Second}, idle: 2 * time.Second, want: pool.ErrMaxIdleTime, by: pool.Closes{Idle: 1}},
		"max lifetime": {cfg: pool.Config{MaxLifetime: time.Second, LifetimeJitter: -1}, idle: 1500 * time.Millisecond,
			want: pool.ErrMaxLifetime, by: pool.Closes{Lifetime: 1}},
		"one use":  {cfg: pool.Config{MaxUses: 1}, want: pool.ErrMaxUses, by: pool.Closes{Uses: 1}},
		"max uses": {cfg: pool.Config{MaxUses: 2}, do: use, want: pool.ErrMaxUses, by: pool.Closes{Uses: 1}},
		"reset":    {do: func(_ *testing.T, p *fakePool) { p.Reset() }, want: pool.ErrReset, by: pool.Closes{Reset: 1}},
		"resize":   {do: func(t *testing.T, p *fakePool) { require.NoError(t, p.Resize(0)) }, want: pool.ErrResized, by: pool.Closes{Reset: 1}},
		"close":    {do: func(t *testing.T, p *fakePool) { require.NoError(t, p.Close()) }, want: pool.ErrClosed, by: pool.Closes{Shutdown: 1}},
	} {
		bubble(t, name, func(t *testing.T) {
			var reasons []error // of OnClose calls one after the other
			tt.cfg.OnClose = func(_ driver.Conn, reason error) { reasons = append(reasons, reason) }
			f, p := openFake(t, tt.cfg)
			use(t, p)
			advance(tt.idle)
			if tt.fails != 0 {
				f.Next(tt.fails, 1, drivertest.Fail(errScripted))
			}
			if tt.do != nil {
				tt.do(t, p)
			}
			synctest.Wait()
			require.Len(t, reasons, 1)
			assert.ErrorIs(t, reasons[0], tt.want)
			assert.Equal(t, tt.by, p.Stats().Closed)
		})
	}
}

// hollow is an error whose methods panic on a nil pointer, as when a function returns
// a nil *hollow as an error.
type hollow struct{ cause error }

func (e *hollow) Error() string { return e.cause.Error() }
func (e *hollow) Unwrap() error { return e.cause }

// mute panics only in Error.
type mute struct{ text *string }

func (e *mute) Error() string { return *e.text }

// Wherever such an error comes from, the process goes on and no slot is lost.
func TestErrorWhoseMethodsPanicCostsOnlyItsConnection(t *testing.T) {
	for name, accident := range map[string]error{"Error and Unwrap": (*hollow)(nil), "Error": (*mute)(nil)} {
		for _, from := range []string{"Connect", "OnConnect", "OnAcquire", "OnRelease", "ResetSession", "Ping", "Close", "Discard"} {
			bubble(t, name+", from "+from, func(t *testing.T) {
				var log logLines
				once := func(place string) (err error) {
					if place == from {
						from, err = "", accident
					}
					return err
				}
				f, p := openFake(t, pool.Config{
					MaxOpen: 1, ValidateAfter: 1, Logger: log.logger(9),
					OnConnect: func(context.Context, driver.Conn) error { return once("OnConnect") },
					OnAcquire: func(context.Context, driver.Conn, pool.Info) error { return once("OnAcquire") },
					OnRelease: func(driver.Conn) error { return once("OnRelease") },
				})
				for op := drivertest.Connect; op <= drivertest.Close; op++ {
					f.Always(op, func(context.Context, *conn) error { return once(op.String()) })
				}
				for range 3 { // Connect, Ping, ResetSession
					apart(func() {
						if l, err := p.Acquire(t.Context()); err == nil {
							assert.NotNil(t, l.Conn())
							l.Release()
						}
					})
					advance(time.Minute) // past the backoff
				}
				apart(func() { acquire(t, p).Discard(once("Discard")) })
				synctest.Wait()
				assert.Empty(t, from, "it was returned")
				for range 2 {
					acquire(t, p).Release()
				}
				assert.Equal(t, 1, p.Stats().Open)
				assert.Equal(t, 1, f.Counts().Open)
			})
		}
	}
}
