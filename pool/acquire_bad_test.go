package pool_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// The caller's context ends while the connection for it turns out to be dead.
// That is why it gets none; the dead connection is no concern of the caller's.
func TestCanceledCallerIsNotToldOfADeadConnection(t *testing.T) {
	f, p := openFake(t, pool.Config{})
	fill(t, p, 1)
	ctx, cancel := context.WithCancel(t.Context())
	f.Next(drivertest.ResetSession, 1, func(context.Context, *conn) error {
		cancel()
		return driver.ErrBadConn
	})
	_, err := p.Acquire(ctx)
	wantAcquireError(t, err, context.Canceled)
	assert.NotErrorIs(t, err, driver.ErrBadConn)
}
