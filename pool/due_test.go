package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// Connect learns when its caller gives up: at the end of the caller's context or of
// AcquireTimeout, whichever is first.
func TestConnectLearnsWhenItsCallerGivesUp(t *testing.T) {
	for _, tc := range []struct {
		name                  string
		timeout, within, want time.Duration // zero = none
	}{
		{"by its context", 30 * time.Second, 5 * time.Second, 5 * time.Second},
		{"by AcquireTimeout", 30 * time.Second, time.Minute, 30 * time.Second},
		{"by AcquireTimeout alone", 30 * time.Second, 0, 30 * time.Second},
		{"by its context alone", -1, time.Minute, time.Minute},
		{"never", -1, 0, 0},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 2, AcquireTimeout: tc.timeout})
			var got []time.Duration
			f.Always(drivertest.Connect, func(ctx context.Context, _ *conn) error {
				left := time.Duration(0)
				if at, ok := driver.CallerDeadline(ctx); ok {
					left = time.Until(at)
				}
				got = append(got, left)
				return nil
			})
			ctx := t.Context()
			if tc.within > 0 {
				var cancel func()
				ctx, cancel = context.WithTimeout(ctx, tc.within)
				defer cancel()
			}
			l, err := p.Acquire(ctx)
			require.NoError(t, err)
			defer l.Release()
			require.NoError(t, p.Warm(ctx, 2)) // for no caller
			synctest.Wait()
			assert.Equal(t, []time.Duration{tc.want, 0}, got)
		})
	}
}
