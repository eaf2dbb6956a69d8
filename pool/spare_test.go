package pool_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// The keeper has last seen one connection in use. It has come back since, and
// then there is room for more: nothing is missing, so nothing is connected.
func TestSparesAreNotConnectedToBeClosedByMaxIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openFake(t, pool.Config{MaxOpen: 2, MinIdle: 2, MaxIdle: 2})
		require.NoError(t, p.Ready(t.Context()))
		f.Always(drivertest.Connect, drivertest.Delay(time.Millisecond))
		l := acquire(t, p)
		advance(time.Second)
		l.Release()
		require.NoError(t, p.Resize(4))
		advance(time.Second)
		assert.Equal(t, 2, f.Counts().Connects)
		assert.Equal(t, 2, p.Stats().Idle)
	})
}
