package pool_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// One connection of two has died, and its replacement can't be connected. The
// caller gets the other one, once that has passed its check, and not the error.
func TestFailedReplacementDoesNotHideAHealthyConnection(t *testing.T) {
	t.Run("dead=first", func(t *testing.T) { synctest.Test(t, func(t *testing.T) { healthyBesideDead(t, 0) }) })
	t.Run("dead=second", func(t *testing.T) { synctest.Test(t, func(t *testing.T) { healthyBesideDead(t, 1) }) })
}

func healthyBesideDead(t *testing.T, dead int) {
	fake := drivertest.NewFake(t)
	p, err := pool.New[*drivertest.FakeConn](fake, pool.Config{MaxOpen: 2, MinIdle: 2})
	require.NoError(t, err)
	defer p.Close()
	ctx := context.Background()
	require.NoError(t, p.Ready(ctx))
	<-time.After(10 * time.Second) // both want a check now
	fake.Conns()[dead].Kill()
	fake.Always(drivertest.Connect, drivertest.Fail(errors.New("refused")))
	fake.Always(drivertest.Ping, drivertest.Delay(50*time.Millisecond))

	l, err := p.Acquire(ctx)
	require.NoError(t, err)
	assert.NoError(t, l.Conn().Use())
	l.Release()
}

// Both have died and no replacement can be connected: the caller gets the
// connect error as soon as the last check has failed.
func TestConnectErrorComesAfterTheLastCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := drivertest.NewFake(t)
		p, err := pool.New[*drivertest.FakeConn](fake, pool.Config{MaxOpen: 3, MinIdle: 2})
		require.NoError(t, err)
		defer p.Close()
		ctx := context.Background()
		require.NoError(t, p.Ready(ctx))
		<-time.After(10 * time.Second)
		refused := errors.New("refused")
		fake.Always(drivertest.Ping, drivertest.Hang)
		fake.Always(drivertest.Connect, drivertest.Fail(refused))

		began := time.Now()
		_, err = p.Acquire(ctx)
		require.ErrorIs(t, err, refused)
		assert.LessOrEqual(t, time.Since(began), 2*time.Second+100*time.Millisecond, "one PingTimeout for the first check, one for all others")
	})
}
