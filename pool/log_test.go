package pool_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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

// take returns the lines up to now, and starts over.
func (l *logLines) take() []string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return lines
}

// want fails t unless the lines since the last call match want, one by one:
// each contains all words of its entry, which | separates.
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

// A connection fails to connect, connects, is pinged, fails its ping, and is
// closed. Each message comes at its level, which stands before it here.
func TestLoggerGetsEachMessageAtItsLevel(t *testing.T) {
	for level := range 3 {
		bubble(t, string(rune('0'+level)), func(t *testing.T) {
			var log logLines
			want := func(lines ...string) {
				t.Helper()
				var seen []string
				for _, line := range lines {
					if int(line[0]-'0') <= level {
						seen = append(seen, line[1:])
					}
				}
				log.want(t, seen...)
			}
			f, p := openFake(t, pool.Config{Name: "mail", MaxOpen: 1, Logger: log.logger(level), Backoff: pool.Backoff{Initial: time.Millisecond}})
			f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
			_, err := p.Acquire(t.Context())
			require.Error(t, err)
			want(`0"msg"="connect failed" "error"="drivertest: connect: scripted error"|"pool"="mail"|"took"=`)
			advance(time.Second)
			acquire(t, p).Release()
			want(`1"level"=1 "msg"="connected"|"pool"="mail"|"took"=`)
			advance(10 * time.Second)
			acquire(t, p).Release()
			want(`2"level"=2 "msg"="connection passed its check"|"pool"="mail"|"took"=`)
			advance(10 * time.Second)
			f.Next(drivertest.Ping, 1, drivertest.Fail(errScripted))
			f.Next(drivertest.Close, 1, func(context.Context, *conn) error {
				<-time.After(time.Millisecond) // the check logs first
				return errors.New("broken pipe")
			})
			f.Next(drivertest.Connect, 1, drivertest.Delay(time.Second))
			l := acquire(t, p)
			want(
				`2"level"=2 "msg"="connection failed its check"|"pool"="mail"|"error"="scripted error"`,
				`1"level"=1 "msg"="closed"|"pool"="mail"|"reason"="pool: check failed: scripted error"|"error"="broken pipe"`,
				`1"level"=1 "msg"="connected"`)
			require.NoError(t, p.Close())
			want(`0"level"=0 "msg"="closed while connections are in use"|"leased"=1`)
			l.Discard(nil)
			want(`1"level"=1 "msg"="closed"|"reason"="pool: discarded by its holder"`)
		})
	}
}

// The end of the pool ends its Connects, which is not a failure to report.
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

// Only the log says where a panic in the background came from.
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
