package drivertest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
)

// registered returns the connector that a program gets under name, or nil. The
// connector of a Fake is the Fake.
func registered(name string) driver.Connector {
	c, err := driver.OpenConnector(name, "any")
	if err != nil {
		return nil
	}
	return c
}

func TestSwapLastsAsLongAsTheTest(t *testing.T) {
	first, second, third := drivertest.NewFake(t), drivertest.NewFake(t), drivertest.NewFake(t)
	drivertest.Register(t, "swapped", first)
	t.Run("outer", func(t *testing.T) {
		drivertest.Swap(t, "swapped", second)
		assert.Same(t, second, registered("swapped"))
		t.Run("inner", func(t *testing.T) {
			drivertest.Swap(t, "swapped", third)
			assert.Same(t, third, registered("swapped"))
		})
		assert.Same(t, second, registered("swapped"))
	})
	assert.Same(t, first, registered("swapped"))
}

func TestRegisterLastsAsLongAsTheTest(t *testing.T) {
	t.Run("inner", func(t *testing.T) {
		fake := drivertest.NewFake(t)
		drivertest.Register(t, "mine", fake)
		assert.Same(t, fake, registered("mine"))
		assert.Panics(t, func() { drivertest.Register(t, "mine", fake) })
	})
	assert.Nil(t, registered("mine"))
}

func TestSwapOfAnUnknownNameFailsTheTest(t *testing.T) {
	drivertest.Register(t, "known", drivertest.NewFake(t))
	msg := fatal(t, func(t testing.TB) { drivertest.Swap(t, "unknwon", drivertest.NewFake(t)) })
	assert.Contains(t, msg, `"unknwon"`)
	assert.Contains(t, msg, `"known"`)
	assert.Nil(t, registered("unknwon"))
}

func TestSwapForNilFailsTheTest(t *testing.T) {
	fake := drivertest.NewFake(t)
	drivertest.Register(t, "known", fake)
	assert.Contains(t, fatal(t, func(t testing.TB) { drivertest.Swap(t, "known", nil) }), "nil driver")
	assert.Same(t, fake, registered("known"))
}

func TestSwapRefusesParallelTests(t *testing.T) {
	drivertest.Register(t, "shared", drivertest.NewFake(t))
	t.Run("group", func(t *testing.T) {
		t.Run("parallel", func(t *testing.T) {
			t.Parallel()
			assert.Panics(t, func() { drivertest.Swap(t, "shared", drivertest.NewFake(t)) })
		})
	})
}

// fatal returns the message of the Fatalf with which fn ends its test.
func fatal(t *testing.T, fn func(testing.TB)) string {
	r := record(t, fn)
	require.Len(t, r.errors, 1)
	return r.errors[0]
}
