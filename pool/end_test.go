package pool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

// errUnknown is an error that neither the driver nor the pool knows. Each library has
// such errors.
var errUnknown = errors.New("library: something went wrong")

// answer is an error that says that the connection is good.
type answer struct{}

func (answer) Error() string { return "no such key" }
func (answer) BadConn() bool { return false }

// pinger is a driver.Pinger that is not a driver.Validator.
func pinger(c *conn) driver.Conn {
	return struct {
		requester
		driver.Pinger
	}{c, c}
}

// validator is a driver.Validator that is not a driver.Pinger.
func validator(c *conn) driver.Conn {
	return struct {
		requester
		driver.Validator
	}{c, c}
}

// hiding makes a request through a library that hides the error of its I/O.
func hiding(_ context.Context, c requester) error {
	if err := c.Use(); err != nil {
		return fmt.Errorf("library: %v", err)
	}
	return nil
}

// failures returns how many requests fail on connections that have died. Each of n
// callers makes a request every 20 ms, 200 in all.
func failures(t *testing.T, n int, wrap func(*conn) driver.Conn, fn func(context.Context, requester) error) int {
	f := drivertest.NewFake(t)
	f.Wrap = wrap
	p := open[requester](t, f, pool.Config{MaxOpen: n, KeepAlive: time.Second})
	fill(t, p, n)
	f.KillAll()
	var mu sync.Mutex
	failed := 0
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for range 200 {
				var dead error
				err := p.Do(t.Context(), func(ctx context.Context, c requester) error {
					dead = fn(ctx, c)
					return dead
				})
				if err != nil {
					mu.Lock()
					failed++
					mu.Unlock()
				}
				<-time.After(20 * time.Millisecond)
			}
		})
	}
	all.Wait()
	return failed
}

// Without Lease.End, the pool would lend such a connection forever.
func TestDeadConnectionWhoseErrorIsHiddenFailsOneRequest(t *testing.T) {
	for name, wrap := range map[string]func(*conn) driver.Conn{
		"pinged":                     pinger,
		"called invalid":             validator,
		"neither pinged nor asked":   drivertest.Bare,
		"pinged, and called invalid": nil,
		"pinged, not counting bytes": unmetered,
	} {
		for _, n := range []int{1, 5} {
			bubble(t, fmt.Sprintf("%s, connections=%d", name, n), func(t *testing.T) {
				assert.LessOrEqual(t, failures(t, n, wrap, hiding), n)
			})
		}
	}
}

func TestAnswersCostNoPing(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		answer func(error) bool
		cfg    pool.Config
	}{
		"no error":                         {},
		"says that it is good":             {err: answer{}},
		"says that it is good, wrapped":    {err: fmt.Errorf("get: %w", answer{})},
		"says that it is good, around EOF": {err: &fs.PathError{Op: "read", Path: "a", Err: io.EOF}},
		"Advice.Answer knows it":           {err: errUnknown, answer: func(err error) bool { return err == errUnknown }},
		"Config.BadConn knows it":          {err: errUnknown, cfg: pool.Config{BadConn: driver.IsBad}},
		"Config.BadConn knows better":      {err: io.EOF, cfg: pool.Config{BadConn: func(error) bool { return false }}},
	} {
		bubble(t, name, func(t *testing.T) {
			f := drivertest.NewFake(t)
			f.Wrap, f.Advised.Answer = pinger, tt.answer
			p := open[requester](t, f, tt.cfg)
			for range 1000 {
				require.Equal(t, tt.err, p.Do(t.Context(), func(context.Context, requester) error { return tt.err }))
			}
			synctest.Wait()
			n := f.Counts()
			assert.Equal(t, [3]int{0, 1, 1}, [3]int{n.Pings, n.Connects, n.Open}, "pings, connects, open")
		})
	}
}

func TestBadErrorsDiscardTheConnectionUnpinged(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		answer func(error) bool
		cfg    pool.Config
	}{
		"known to driver.IsBad":                {err: fmt.Errorf("get: %w", io.EOF)},
		"known to driver.IsBad, not an answer": {err: io.EOF, answer: func(error) bool { return true }},
		"known to Config.BadConn":              {err: answer{}, cfg: pool.Config{BadConn: func(error) bool { return true }}},
	} {
		bubble(t, name, func(t *testing.T) {
			f := drivertest.NewFake(t)
			f.Advised.Answer = tt.answer
			p := open[*conn](t, f, tt.cfg)
			acquire(t, p).End(tt.err)
			synctest.Wait()
			assert.Equal(t, pool.Closes{Bad: 1}, p.Stats().Closed)
			assert.Zero(t, f.Counts().Pings)
		})
	}
}

func TestAfterAnUnknownErrorTheConnectionIsPingedBeforeItsNextUse(t *testing.T) {
	// unsure returns a full pool whose connection is being pinged, until gate.
	unsure := func(t *testing.T, maxOpen int) (*drivertest.Fake, *pool.Pool[*conn], chan struct{}) {
		f, p := openFake(t, pool.Config{MaxOpen: maxOpen})
		gate := make(chan struct{})
		f.Next(drivertest.Ping, 1, drivertest.HangUntil(gate))
		acquire(t, p).End(errUnknown)
		_, ok := try(p)
		assert.False(t, ok)
		synctest.Wait()
		assert.Equal(t, 1, f.Counts().Pings)
		return f, p, gate
	}

	bubble(t, "at once, in the background", func(t *testing.T) {
		f, p, gate := unsure(t, 1)
		close(gate)
		synctest.Wait()
		assert.Equal(t, 1, acquire(t, p).Conn().ID)
		assert.Equal(t, 1, f.Counts().Pings, "and not again")
	})

	bubble(t, "and goes to a waiter when the Ping has worked", func(t *testing.T) {
		_, p, gate := unsure(t, 1)
		c := start(t.Context(), p)
		c.wantWaiting(t)
		close(gate)
		assert.Equal(t, 1, c.wantLease(t).Conn().ID)
	})

	bubble(t, "even if a caller already waits", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 1})
		l := acquire(t, p)
		gate := make(chan struct{})
		f.Next(drivertest.Ping, 1, drivertest.HangUntil(gate))
		c := start(t.Context(), p)
		l.End(errUnknown)
		c.wantWaiting(t)
		close(gate)
		assert.Equal(t, 1, c.wantLease(t).Conn().ID)
	})

	bubble(t, "and is replaced when the Ping has failed", func(t *testing.T) {
		f, p, gate := unsure(t, 1)
		c := start(t.Context(), p)
		f.KillAll()
		close(gate)
		assert.Equal(t, 2, c.wantLease(t).Conn().ID)
		assert.EqualValues(t, 1, p.Stats().PingFailures)
	})

	bubble(t, "while a new caller gets another connection", func(t *testing.T) {
		_, p, gate := unsure(t, 2)
		assert.Equal(t, 2, acquire(t, p).Conn().ID)
		close(gate)
	})

	bubble(t, "and others are checked if that fails", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 3})
		leases := acquireN(t, p, 3)
		releaseAll(leases[1:])
		f.KillAll()
		leases[0].End(errUnknown)
		synctest.Wait()
		assert.Zero(t, f.Counts().Open)
	})

	bubble(t, "unless it says that it is invalid", func(t *testing.T) {
		f, p := openFake(t, pool.Config{})
		f.Next(drivertest.IsValid, 1, drivertest.Fail(errScripted))
		acquire(t, p).End(errUnknown)
		synctest.Wait()
		assert.Equal(t, pool.Closes{Invalid: 1}, p.Stats().Closed)
		assert.Zero(t, f.Counts().Pings)
	})

	bubble(t, "unless MaxIdle has no room for it", func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxIdle: -1})
		acquire(t, p).End(errUnknown)
		synctest.Wait()
		assert.Equal(t, pool.Closes{Idle: 1}, p.Stats().Closed)
		assert.Zero(t, f.Counts().Pings)
	})
}

func TestAfterAnUnknownErrorWithoutPing(t *testing.T) {
	bubble(t, "a Validator decides", func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Wrap = validator
		p := open[requester](t, f, pool.Config{})
		acquire(t, p).End(errUnknown)
		assert.Equal(t, 1, p.Stats().Idle)
		f.Next(drivertest.IsValid, 1, drivertest.Fail(errScripted))
		acquire(t, p).End(errUnknown)
		synctest.Wait()
		assert.Equal(t, pool.Closes{Invalid: 1}, p.Stats().Closed)
	})

	bubble(t, "or Validator, the connection is discarded", func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Wrap = drivertest.Bare
		var reason error
		p := open[requester](t, f, pool.Config{OnClose: func(_ driver.Conn, why error) { reason = why }})
		acquire(t, p).End(errUnknown)
		synctest.Wait()
		assert.Equal(t, errUnknown, reason)
	})
}

// MinIdle replaces a connection in use with a spare one, not one being pinged.
func TestAPingAfterAnUnknownErrorMakesNoSpareConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MinIdle: 1, ValidateAfter: -1})
		l := acquire(t, p)
		advance(time.Second) // the keeper has seen the lease
		require.Equal(t, 2, f.Counts().Connects)
		f.Next(drivertest.Ping, 1, drivertest.Fail(errScripted))
		l.End(errUnknown)
		synctest.Wait()
		assert.Equal(t, 2, f.Counts().Connects)
	})
}

func TestAPanicInEndDiscardsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{BadConn: func(error) bool { panic("BadConn") }})
		l := acquire(t, p)
		assert.Equal(t, "BadConn", apart(func() { l.End(errUnknown) }))
		synctest.Wait()
		assert.Zero(t, f.Counts().Open)
		assert.Panics(t, func() { l.Conn() })
	})
}
