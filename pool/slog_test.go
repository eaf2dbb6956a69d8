package pool_test

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// The levels are those documented at Config.Logger.
func TestLevelsOfTheLogInSlog(t *testing.T) {
	for _, tc := range []struct {
		level slog.Level
		shows bool
	}{{slog.LevelDebug, true}, {-1, true}, {slog.LevelInfo, false}} {
		bubble(t, tc.level.String(), func(t *testing.T) {
			var text strings.Builder
			handler := slog.NewTextHandler(&text, &slog.HandlerOptions{Level: tc.level})
			p, err := pool.New[*conn](drivertest.NewFake(t), pool.Config{Logger: logr.FromSlogHandler(handler)})
			require.NoError(t, err)
			acquire(t, p).Release()
			require.NoError(t, p.Close())
			synctest.Wait()
			assert.Equal(t, tc.shows, strings.Contains(text.String(), "level=DEBUG+3 msg=connected"), text.String())
		})
	}
}
