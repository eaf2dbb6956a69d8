package keyed

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// Once the connections of a forgotten key are closed, nothing of it is kept.
func TestNothingIsKeptOfAForgottenKeyWithoutConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		p, err := Open[string, *drivertest.FakeConn](func(string) (driver.Connector, error) { return f, nil }, Config[string]{MaxOpen: 2})
		require.NoError(t, err)
		defer p.Close()
		acquire := func(ctx context.Context) (pool.Lease[*drivertest.FakeConn], error) { return p.Acquire(ctx, "ada") }
		first, err := acquire(t.Context())
		require.NoError(t, err)
		p.Forget("ada")
		synctest.Wait()
		assert.Len(t, p.doors, 1)

		second, err := acquire(t.Context())
		require.NoError(t, err)
		assert.Empty(t, p.doors, "the key has come back")
		ctx, cancel := context.WithCancel(t.Context())
		go acquire(ctx) // at the full gate
		synctest.Wait()
		cancel()
		synctest.Wait()
		p.Forget("ada")
		synctest.Wait()
		first.Release()
		synctest.Wait()
		assert.Len(t, p.doors, 1)
		second.Release()
		synctest.Wait()
		assert.Empty(t, p.doors)
	})
}
