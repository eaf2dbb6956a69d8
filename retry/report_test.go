package retry_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/retry"
)

// logged runs p in a bubble, with a function that fails twice, and returns the
// lines logged at the given verbosity.
func logged(t *testing.T, verbosity int, p retry.Policy) []string {
	t.Helper()
	var lines []string
	p.Logger = funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{Verbosity: verbosity})
	p.MaxAttempts = 2
	p.Backoff = constant(3 * time.Second)
	synctest.Test(t, func(t *testing.T) {
		_ = p.Do(t.Context(), fails(driver.ErrBadConn).run)
	})
	return lines
}

func TestBothLogLines(t *testing.T) {
	assert.Equal(t, []string{
		`"level"=0 "msg"="attempt failed, will try again" "attempt"=1 "wait"="3s" "error"="driver: bad connection"`,
		`"level"=0 "msg"="giving up" "attempts"=2 "elapsed"="3s" "reason"="out of attempts" "error"="driver: bad connection"`,
	}, logged(t, 0, retry.Policy{}))
}

func TestLevelsAndMessagesOfTheLogLines(t *testing.T) {
	p := retry.Policy{RetryLevel: 2, RetryMessage: "again", GiveUpLevel: retry.LevelError, GiveUpMessage: "over"}
	assert.Equal(t, []string{
		`"level"=2 "msg"="again" "attempt"=1 "wait"="3s" "error"="driver: bad connection"`,
		`"msg"="over" "error"="driver: bad connection" "attempts"=2 "elapsed"="3s" "reason"="out of attempts"`,
	}, logged(t, 2, p))

	quiet := logged(t, 1, p)
	assert.Len(t, quiet, 1)
	assert.Contains(t, quiet[0], "over")
}

func TestLogLineOfARunWhoseContextEndedBeforeIt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var lines []string
	p := retry.Policy{Logger: funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})}
	_ = p.Do(ctx, fails(nil).run)
	assert.Len(t, lines, 1)
	assert.True(t, strings.HasSuffix(lines[0], `"reason"="context canceled" "error"="context canceled"`), lines[0])
}

func TestErrorsThatAreNotRepeatedAreNotReported(t *testing.T) {
	p := retry.Policy{
		Logger:   funcr.New(func(_, args string) { t.Error(args) }, funcr.Options{Verbosity: 9}),
		OnRetry:  func(context.Context, retry.Failure) { t.Error("OnRetry") },
		OnGiveUp: func(context.Context, *retry.Error) { t.Error("OnGiveUp") },
	}
	assert.NoError(t, p.Do(t.Context(), fails(nil).run))
	assert.Equal(t, errBusy, p.Do(t.Context(), fails(errBusy).run))
}

func TestHooksSeeWhatHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failures []retry.Failure
		var given []*retry.Error
		type key struct{}
		ctx := context.WithValue(t.Context(), key{}, "trace")
		p := retry.Policy{
			MaxAttempts: 3,
			Backoff:     constant(2 * time.Second),
			OnRetry: func(ctx context.Context, f retry.Failure) {
				assert.Equal(t, "trace", ctx.Value(key{}))
				failures = append(failures, f)
			},
			OnGiveUp: func(ctx context.Context, e *retry.Error) {
				assert.Equal(t, "trace", ctx.Value(key{}))
				given = append(given, e)
			},
		}
		err := p.Do(ctx, func(context.Context) error {
			<-time.After(time.Second)
			return driver.ErrBadConn
		})

		assert.Equal(t, []retry.Failure{
			{Attempt: 1, Err: driver.ErrBadConn, Wait: 2 * time.Second, Elapsed: 1 * time.Second},
			{Attempt: 2, Err: driver.ErrBadConn, Wait: 2 * time.Second, Elapsed: 4 * time.Second},
		}, failures)
		assert.Len(t, given, 1)
		assert.Equal(t, 7*time.Second, given[0].Elapsed)
		assert.Same(t, err, given[0], "the hook sees the error that Do returns")
	})
}
