package driver_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver"
)

// standIn is a connection that wraps a client.
type standIn struct {
	*closer
	client any
}

func (s standIn) Client() any { return s.client }

type closer struct{}

func (*closer) Close() error { return nil }

func TestAsFindsTheConnectionOrItsClient(t *testing.T) {
	plain := &closer{}
	itself, ok := driver.As[*closer](plain)
	assert.True(t, ok)
	assert.Same(t, plain, itself)

	number, ok := driver.As[int](standIn{plain, 7})
	assert.True(t, ok)
	assert.Equal(t, 7, number)
	_, ok = driver.As[io.Closer](standIn{plain, 7})
	assert.True(t, ok, "the connection comes first")
	_, ok = driver.As[string](standIn{plain, 7})
	assert.False(t, ok)
	_, ok = driver.As[int](nil)
	assert.False(t, ok)
}
