package registry

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestANameIsAddedOnce(t *testing.T) {
	assert.True(t, Add("added", 1))
	t.Cleanup(func() { Replace("added", nil) })
	assert.False(t, Add("added", 2))
	assert.Equal(t, 1, Get("added"))
}

func TestReplaceReturnsWhatWasThere(t *testing.T) {
	assert.Nil(t, Replace("replaced", 1))
	t.Cleanup(func() { Replace("replaced", nil) })
	assert.Equal(t, 1, Replace("replaced", 2))
	assert.Equal(t, []string{"replaced"}, Names())
	assert.Equal(t, 2, Replace("replaced", nil))
	assert.Empty(t, Names())
	assert.Nil(t, Get("replaced"))
	assert.Nil(t, Replace("replaced", nil))
}
