package pool_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// logLines is what a logger wrote.
type logLines struct {
	mu    sync.Mutex
	lines []string
}

// logger returns a logger for messages up to the given level.
func (l *logLines) logger(verbosity int) logr.Logger {
	return funcr.New(func(_, args string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lines = append(l.lines, args)
	}, funcr.Options{Verbosity: verbosity})
}

// take returns the lines up to now, and begins anew.
func (l *logLines) take() []string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return lines
}

// want fails t unless there is a line since the last call for each of want, in
// order, that contains all its words, which | separates.
func (l *logLines) want(t *testing.T, want ...string) {
	t.Helper()
	lines := l.take()
	require.Len(t, lines, len(want), "%q", lines)
	for i, w := range want {
		for _, word := range strings.Split(w, "|") {
			assert.Contains(t, lines[i], word)
		}
	}
}

// live has a connection fail to connect, connect, be pinged, fail its ping, and
// be closed, with a logger for messages up to the given level. want gets what
// that must log, each line with its level before it.
func live(t *testing.T, verbosity int, want func(l *logLines, lines ...string)) {
	var log logLines
	f, p := openFake(t, pool.Config{Name: "mail", MaxOpen: 1, Logger: log.logger(verbosity), Backoff: pool.Backoff{Initial: time.Millisecond}})
	f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
	_, err := p.Acquire(t.Context())
	require.Error(t, err)
	want(&log, `0"msg"="connect failed" "error"="drivertest: connect: scripted error"|"pool"="mail"|"took"=`)
	advance(time.Second)
	acquire(t, p).Release()
	want(&log, `1"level"=1 "msg"="connected"|"pool"="mail"|"took"=`)
	advance(10 * time.Second)
	acquire(t, p).Release()
	want(&log, `2"level"=2 "msg"="connection passed its check"|"pool"="mail"|"took"=`)
	advance(10 * time.Second)
	f.Next(drivertest.Ping, 1, drivertest.Fail(errScripted))
	f.Next(drivertest.Close, 1, drivertest.Fail(errors.New("broken pipe")))
	f.Next(drivertest.Connect, 1, drivertest.Delay(time.Second))
	acquire(t, p).Release()
	want(&log,
		`2"level"=2 "msg"="connection failed its check"|"pool"="mail"|"error"="scripted error"`,
		`1"level"=1 "msg"="closed"|"pool"="mail"|"reason"="pool: check failed: scripted error"|"error"="broken pipe"`,
		`1"level"=1 "msg"="connected"`)
	require.NoError(t, p.Close())
	want(&log, `1"level"=1 "msg"="closed"|"reason"="pool: closed"`)
}

func TestLoggerGetsEachMessageAtItsLevel(t *testing.T) {
	for level := range 3 {
		bubble(t, string(rune('0'+level)), func(t *testing.T) {
			live(t, level, func(l *logLines, lines ...string) {
				t.Helper()
				var seen []string
				for _, line := range lines {
					if int(line[0]-'0') <= level {
						seen = append(seen, line[1:])
					}
				}
				l.want(t, seen...)
			})
		})
	}
}

// What ends because the pool is closed is no failure to tell of.
func TestClosingThePoolLogsNoConnectError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logLines
		f := drivertest.NewFake(t)
		f.Always(drivertest.Connect, drivertest.Hang)
		p := open[*conn](t, f, pool.Config{MinIdle: 2, Logger: log.logger(9)})
		synctest.Wait()
		require.NoError(t, p.Close())
		assert.Empty(t, log.take())
	})
}

func TestClosingThePoolLogsThatConnectionsAreInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logLines
		_, p := openFake(t, pool.Config{Logger: log.logger(0)})
		leases := acquireN(t, p, 2)
		require.NoError(t, p.Close())
		log.want(t, `"level"=0 "msg"="closed while connections are in use"|"leased"=2`)
		releaseAll(leases)
		require.NoError(t, p.Shutdown(t.Context()))
		log.want(t)
	})
}

// Nobody else learns where it came from.
func TestPanicsAreLoggedWithTheirStacks(t *testing.T) {
	for _, op := range []drivertest.Op{drivertest.Connect, drivertest.Ping, drivertest.Close} {
		bubble(t, op.String(), func(t *testing.T) {
			var log logLines
			f, p := openFake(t, pool.Config{ValidateAfter: 1, Logger: log.logger(9)})
			f.Next(op, 1, func(context.Context, *conn) error { panic("boom") })
			for range 2 {
				if l, err := p.Acquire(t.Context()); err == nil {
					l.Release()
				}
			}
			require.NoError(t, p.Close())
			assert.True(t, slices.ContainsFunc(log.take(), func(line string) bool {
				return strings.Contains(line, "pool: panic: boom") && strings.Contains(line, `"stack"="goroutine `)
			}))
		})
	}
}

// A logger that asks the pool how it stands must not hang it.
func TestLoggerAndHooksMayCallThePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p *pool.Pool[*conn]
		var calls atomic.Int64
		ask := func(string, string) {
			p.Stats()
			calls.Add(1)
		}
		hook := func(context.Context, driver.Conn) error { ask("", ""); return nil }
		_, p = openFake(t, pool.Config{
			Logger:    funcr.New(ask, funcr.Options{Verbosity: 2}),
			OnConnect: hook, OnAcquire: hook,
			OnRelease: func(c driver.Conn) error { return hook(context.Background(), c) },
			OnClose:   func(c driver.Conn, _ error) { hook(context.Background(), c) },
		})
		acquire(t, p).Release()
		advance(10 * time.Second)
		acquire(t, p).Discard(nil)
		synctest.Wait()
		assert.Equal(t, int64(5+3), calls.Load(), "two of OnAcquire; connected, checked, closed")
	})
}
