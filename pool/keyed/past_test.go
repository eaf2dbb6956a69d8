package keyed

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
)

// A sum started before a key is forgotten must not be higher than the next one.
func TestAForgottenKeyCountsTheSameForEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		p, err := Open[int, *drivertest.FakeConn](func(int) (driver.Connector, error) { return f, nil }, Config[int]{MaxOpen: 1})
		require.NoError(t, err)
		defer p.Close()
		lease, err := p.Acquire(context.Background(), 1)
		require.NoError(t, err)
		entries, _ := p.counted()
		p.Forget(1)
		synctest.Wait()
		lease.Release() // closes the connection, which no longer counts
		synctest.Wait()
		_, past := p.counted()
		late := entries[0].snapshot()
		assert.Equal(t, past.Stats, late.Stats)
		assert.EqualValues(t, 1, late.Stats.Acquires)
	})
}
