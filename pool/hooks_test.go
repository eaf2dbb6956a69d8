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

// diary records what happens to a connection, in order.
type diary struct {
	mu      sync.Mutex
	entries []string
}

func (d *diary) add(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, fmt.Sprintf(format, args...))
}

func (d *diary) take() []string {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	entries := d.entries
	d.entries = nil
	return entries
}

// watch makes f record its calls.
func (d *diary) watch(f *drivertest.Fake) {
	for _, op := range []drivertest.Op{
		drivertest.Connect, drivertest.Ping, drivertest.ResetSession, drivertest.IsValid, drivertest.Use, drivertest.Close,
	} {
		f.Always(op, func(_ context.Context, c *conn) error {
			d.add("%v %d", op, c.ID)
			return nil
		})
	}
}

// hooks returns a Config whose hooks record their calls.
func (d *diary) hooks() pool.Config {
	id := func(c driver.Conn) int { return c.(*conn).ID }
	return pool.Config{
		OnConnect: func(_ context.Context, c driver.Conn) error { d.add("OnConnect %d", id(c)); return nil },
		OnAcquire: func(_ context.Context, c driver.Conn) error { d.add("OnAcquire %d", id(c)); return nil },
		OnRelease: func(c driver.Conn) error { d.add("OnRelease %d", id(c)); return nil },
		OnClose:   func(c driver.Conn, reason error) { d.add("OnClose %d: %v", id(c), reason) },
	}
}

func TestHooksAndDriverAreCalledInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		f, p := openFake(t, d.hooks())
		d.watch(f)
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
		assert.Equal(t, []string{"OnClose 1: EOF", "Close 1"}, d.take(), "a discarded one is not released")
	})
}

func TestOnConnectErrorIsAConnectError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		cfg := d.hooks()
		cfg.OnConnect = func(context.Context, driver.Conn) error { return errScripted }
		cfg.MinIdle = 1
		f := drivertest.NewFake(t)
		d.watch(f)
		p := open[*conn](t, f, cfg)
		advance(time.Second)
		wantGaps(t, gaps(f, 0), 100*time.Millisecond, 160*time.Millisecond, 256*time.Millisecond)
		assert.Equal(t, []string{"Connect 1", "OnClose 1: scripted error", "Close 1"}, d.take()[:3])

		e := start(t.Context(), p)
		advance(2 * time.Second)
		e.wantError(t, errScripted)
		s := p.Stats()
		assert.Equal(t, s.Connects, s.ConnectFailures)
		assert.Zero(t, f.Counts().Open)
	})
}

func TestOnConnectIsBoundedByConnectTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := openFake(t, pool.Config{
			ConnectTimeout: 3 * time.Second,
			OnConnect:      func(ctx context.Context, _ driver.Conn) error { <-ctx.Done(); return ctx.Err() },
		})
		_, err := p.Acquire(t.Context())
		e := wantAcquireError(t, err, context.DeadlineExceeded)
		assert.Equal(t, 3*time.Second, e.Waited)
		assert.ErrorContains(t, err, "ConnectTimeout of 3s")
	})
}

// The caller learns what its hook said, and the connection is not pooled.
func TestOnAcquireErrorGoesToTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		cfg := d.hooks()
		cfg.OnAcquire = func(context.Context, driver.Conn) error { return errScripted }
		f, p := openFake(t, cfg)
		_, err := p.Acquire(t.Context())
		e := wantAcquireError(t, err, errScripted)
		assert.NoError(t, e.Connect)
		assert.Equal(t, []string{"OnConnect 1", "OnClose 1: scripted error"}, d.take())
		assert.Zero(t, f.Counts().Open)
		assert.Equal(t, pool.Closes{Bad: 1}, p.Stats().Closed)
		assert.Zero(t, p.Stats().Acquires)
	})
}

// A hook that knows a dead connection when it sees one, say by a server that
// has moved, is asked again with the next one.
func TestOnAcquireThatCallsConnectionsBadGetsTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := pool.Config{OnAcquire: func(_ context.Context, c driver.Conn) error {
			if c.(*conn).ID <= 3 && c.(*conn).Uses() > 0 {
				return driver.ErrBadConn
			}
			return nil
		}}
		f, p := openFake(t, cfg)
		fill(t, p, 4)
		l := acquire(t, p)
		assert.Equal(t, 4, l.Conn().ID)
		l.Release()
		assert.Equal(t, 4, f.Counts().Connects)
	})
}

func TestOnReleaseErrorDiscardsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		cfg := d.hooks()
		cfg.OnRelease = func(driver.Conn) error { return errScripted }
		f, p := openFake(t, cfg)
		acquire(t, p).Release()
		assert.Equal(t, []string{"OnConnect 1", "OnAcquire 1", "OnClose 1: scripted error"}, d.take())
		assert.Zero(t, f.Counts().Open)
		assert.Equal(t, pool.Closes{Bad: 1}, p.Stats().Closed)
	})
}

// Every close has its reason.
func TestOnCloseGetsTheReason(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  pool.Config
		do   func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn])
		want error
	}{
		"discard": {do: func(t *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn]) {
			acquire(t, p).Discard(errScripted)
		}, want: errScripted},
		"error in Do": {do: func(_ *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) {
			p.Do(context.Background(), func(context.Context, *conn) error { return io.ErrUnexpectedEOF })
		}, want: io.ErrUnexpectedEOF},
		"panic in Do": {do: func(_ *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) {
			defer func() { recover() }()
			p.Do(context.Background(), func(context.Context, *conn) error { panic("boom") })
		}, want: pool.ErrUnfinished},
		"invalid": {do: func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) {
			f.Next(drivertest.IsValid, 1, drivertest.Fail(errScripted))
			acquire(t, p).Release()
		}, want: pool.ErrInvalid},
		"reset session": {do: func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) {
			acquire(t, p).Release()
			f.Next(drivertest.ResetSession, 1, drivertest.Fail(errScripted))
			p.Acquire(t.Context())
		}, want: errScripted},
		"check": {do: func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) {
			acquire(t, p).Release()
			advance(10 * time.Second)
			f.Next(drivertest.Ping, 1, drivertest.Fail(errScripted))
			acquire(t, p).Release()
		}, want: errScripted},
		"max idle": {cfg: pool.Config{MaxIdle: 1}, do: func(t *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn]) {
			releaseAll(acquireN(t, p, 2))
		}, want: pool.ErrMaxIdle},
		"max idle time": {cfg: pool.Config{MaxIdleTime: time.Second}, do: func(t *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn]) {
			acquire(t, p).Release()
			advance(2 * time.Second)
		}, want: pool.ErrMaxIdleTime},
		"max lifetime": {cfg: pool.Config{MaxLifetime: time.Second, LifetimeJitter: -1}, do: func(t *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn]) {
			acquire(t, p).Release()
			advance(1500 * time.Millisecond)
		}, want: pool.ErrMaxLifetime},
		"max uses": {cfg: pool.Config{MaxUses: 1}, do: func(t *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn]) {
			acquire(t, p).Release()
		}, want: pool.ErrMaxUses},
		"reset": {do: func(t *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn]) {
			acquire(t, p).Release()
			p.Reset()
		}, want: pool.ErrReset},
		"resize": {do: func(t *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn]) {
			acquire(t, p).Release()
			require.NoError(t, p.Resize(0))
		}, want: pool.ErrResized},
		"close": {do: func(t *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn]) {
			acquire(t, p).Release()
			require.NoError(t, p.Close())
		}, want: pool.ErrClosed},
	} {
		bubble(t, name, func(t *testing.T) {
			var mu sync.Mutex
			var reasons []error
			tt.cfg.OnClose = func(_ driver.Conn, reason error) {
				mu.Lock()
				defer mu.Unlock()
				reasons = append(reasons, reason)
			}
			f, p := openFake(t, tt.cfg)
			tt.do(t, f, p)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			require.Len(t, reasons, 1)
			assert.ErrorIs(t, reasons[0], tt.want)
		})
	}
}
