package pool_test

import (
	"context"
	"errors"
	"slices"
	"strings"
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

// logLines is the output of a logger.
type logLines struct{ diary }

// logger returns a logger for messages up to the given level.
func (l *logLines) logger(verbosity int) logr.Logger {
	return funcr.New(func(_, args string) { l.add("%s", args) }, funcr.Options{Verbosity: verbosity})
}

// want fails t unless the lines since the last call match want, one by one: a line
// must contain all parts of its entry, which are separated by |.
func (l *logLines) want(t *testing.T, want ...string) {
	t.Helper()
	lines := l.take()
	require.Len(t, lines, len(want), "%q", lines)
	for i, w := range want {
		for word := range strings.SplitSeq(w, "|") {
			assert.Contains(t, lines[i], word)
		}
	}
}

// A connection fails to connect, connects, is pinged, fails its ping, and is closed.
// The digit before each expected message is its level.
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
				<-time.After(time.Millisecond) // so that the check logs first
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

// Closing the pool ends its Connects, which is not a failure to report.
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

// Only the log shows where a background panic came from.
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

// A panic in a Trace function is logged as an error, whatever the level, if it has no
// caller or error to report it. It is not mixed up with a panic in OnClose.
func TestPanicsOfTraceAreLoggedAsErrors(t *testing.T) {
	boom := errors.New("boom")
	failed := func(f string) string {
		return `"msg"="` + f + ` failed" "error"="pool: panic: boom"|"stack"="goroutine `
	}
	for name, tt := range map[string]struct {
		cfg  pool.Config
		want []string
	}{
		"Close":   {pool.Config{Trace: pool.Trace{Close: func(pool.CloseInfo) { panic(boom) }}}, []string{failed("Trace.Close")}},
		"Leak":    {pool.Config{Trace: pool.Trace{Leak: func(pool.LeakInfo) { panic(boom) }}}, []string{"may be leaked", failed("Trace.Leak"), "has ended", failed("Trace.Leak")}},
		"OnClose": {pool.Config{Trace: pool.Trace{Close: func(pool.CloseInfo) {}}, OnClose: func(driver.Conn, error) { panic(boom) }}, nil},
	} {
		bubble(t, name, func(t *testing.T) {
			var log logLines
			tt.cfg.MaxOpen, tt.cfg.LeakAfter, tt.cfg.Logger = 1, 5*time.Second, log.logger(0)
			_, p := openFake(t, tt.cfg)
			l := acquire(t, p)
			if name == "Leak" {
				advance(10 * time.Second)
			}
			l.Discard(nil)
			advance(10 * time.Second)
			log.want(t, tt.want...)
		})
	}
}
