package doubt_test

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/internal/doubt"
)

func TestAnErrorIsPermanentIfItLasts(t *testing.T) {
	no := fmt.Errorf("wrapped: %w", doubt.Mark(errors.New("no")))
	type attempt struct {
		at        time.Duration
		err       error
		permanent bool
	}
	for _, tc := range []struct {
		name     string
		attempts []attempt
	}{
		{"once", []attempt{{0, no, false}}},
		{"many at once", []attempt{{0, no, false}, {0, no, false}, {0, no, false}}},
		{"until it lasts", []attempt{{0, no, false}, {doubt.Patience - 1, no, false}, {doubt.Patience, no, true}, {doubt.Patience, no, true}}},
		{"a success between", []attempt{{0, no, false}, {time.Second, nil, false}, {doubt.Patience, no, false}, {2 * doubt.Patience, no, true}}},
		{"another error between", []attempt{{0, no, false}, {time.Second, io.EOF, false}, {doubt.Patience, no, false}}},
		{"once a minute, as a pool tries", []attempt{{0, no, false}, {time.Minute, no, true}, {2 * time.Minute, no, true}}},
		{"now and then", []attempt{{0, no, false}, {time.Hour, no, false}, {2 * time.Hour, no, false}}},
		{"other errors", []attempt{{0, io.EOF, false}, {doubt.Patience, io.EOF, false}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var d doubt.Doubt
				for _, a := range tc.attempts {
					<-time.After(a.at - time.Since(start))
					err := d.Classify(a.err)
					assert.ErrorIs(t, err, a.err)
					assert.Equal(t, a.permanent, driver.IsPermanent(err), a.at)
					if err != nil {
						assert.EqualError(t, err, a.err.Error())
					}
				}
			})
		})
	}
}
