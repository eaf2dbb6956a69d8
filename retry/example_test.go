package retry_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/go-logr/logr"
	"github.com/go-logr/stdr"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/retry"
)

func Example() {
	policy := retry.Policy{MaxAttempts: 5, Interval: time.Millisecond}
	answer, err := retry.Value(context.Background(), policy, func(ctx context.Context) (string, error) {
		if retry.Attempt(ctx) < 3 {
			return "", driver.ErrBadConn
		}
		return "PONG", nil
	})
	fmt.Println(answer, err)
	// Output: PONG <nil>
}

// flaky answers on the third attempt.
func flaky(ctx context.Context) (string, error) {
	if retry.Attempt(ctx) < 3 {
		return "", driver.ErrBadConn
	}
	return "PONG", nil
}

// Declare a Policy once; copy it to change a field.
func ExamplePolicy_copy() {
	standard := retry.Policy{MaxAttempts: 3, Interval: time.Millisecond, Budget: &retry.Budget{}}

	reads := standard
	reads.RetryIf = retry.Always // it does no harm to read twice

	attempts := 0
	_ = reads.Do(context.Background(), func(context.Context) error {
		attempts++
		return errors.New("the answer got lost")
	})
	fmt.Println(attempts, "attempts")
	// Output: 3 attempts
}

func ExamplePolicy_Do_error() {
	err := retry.Policy{MaxAttempts: 2, Interval: time.Nanosecond}.Do(context.Background(), func(context.Context) error {
		return driver.ErrBadConn
	})
	var gaveUp *retry.Error
	if errors.As(err, &gaveUp) {
		fmt.Printf("%d attempts, %s: %v\n", gaveUp.Attempts, gaveUp.Reason, gaveUp.Err)
	}
	fmt.Println(errors.Is(err, driver.ErrBadConn))
	// Output:
	// 2 attempts, out of attempts: driver: bad connection
	// true
}

func ExamplePolicy_backoff() {
	policy := retry.Policy{
		MaxAttempts: 4,
		Backoff:     func() backoff.BackOff { return backoff.NewConstantBackOff(2 * time.Millisecond) },
		OnRetry: func(_ context.Context, f retry.Failure) {
			fmt.Printf("attempt %d: %v; next in %v\n", f.Attempt, f.Err, f.Wait)
		},
	}
	_, _ = retry.Value(context.Background(), policy, flaky)
	// Output:
	// attempt 1: driver: bad connection; next in 2ms
	// attempt 2: driver: bad connection; next in 2ms
}

// RetryIf can widen the default.
func ExampleSafe() {
	errBusy := errors.New("server busy")
	policy := retry.Policy{
		Interval: time.Millisecond,
		RetryIf:  func(err error) bool { return retry.Safe(err) || errors.Is(err, errBusy) },
	}
	err := policy.Do(context.Background(), func(ctx context.Context) error {
		if retry.Attempt(ctx) == 1 {
			return errBusy
		}
		return nil
	})
	fmt.Println(err)
	// Output: <nil>
}

func ExamplePolicy_logger_stdr() {
	policy := retry.Policy{
		Interval:     -1, // no waits, so that the lines are the same each time
		Logger:       stdr.New(log.New(os.Stdout, "", 0)).WithName("mail"),
		RetryMessage: "connection broken, trying another one",
	}
	_, _ = retry.Value(context.Background(), policy, flaky)
	// Output:
	// mail: "level"=0 "msg"="connection broken, trying another one" "attempt"=1 "wait"="0s" "error"="driver: bad connection"
	// mail: "level"=0 "msg"="connection broken, trying another one" "attempt"=2 "wait"="0s" "error"="driver: bad connection"
}

func ExamplePolicy_logger_slog() {
	handler := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "elapsed" {
				return slog.Attr{} // they differ each time
			}
			return a
		},
	})
	policy := retry.Policy{
		MaxAttempts: 2,
		Interval:    -1,
		Logger:      logr.FromSlogHandler(handler),
		RetryLevel:  4, // slog.LevelDebug is logr's V(4)
		GiveUpLevel: retry.LevelError,
	}
	_ = policy.Do(context.Background(), func(context.Context) error { return driver.ErrBadConn })
	// Output:
	// level=DEBUG msg="attempt failed, will try again" attempt=1 wait=0s error="driver: bad connection"
	// level=ERROR msg="giving up" err="driver: bad connection" attempts=2 reason="out of attempts"
}
