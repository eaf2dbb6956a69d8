package pool

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A watch that a reader finds in a slot may already belong to the next lease.
func TestWatchBelongsToOneLease(t *testing.T) {
	w := word(leased) + 7*oneGen
	assert.True(t, (&watch{gen: 7}).isOf(w|parked))
	assert.False(t, (&watch{gen: 7}).isOf(w.next(leased)))
	assert.False(t, (*watch)(nil).isOf(w))
}
