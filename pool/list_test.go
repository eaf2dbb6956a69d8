package pool

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

// The test compares the list with a map, across word boundaries.
func TestListHoldsWhatWasAdded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l list
		in := map[int]bool{}
		size := 0
		assert.Equal(t, -1, l.next(0))
		t.Repeat(map[string]func(*rapid.T){
			"grow": func(t *rapid.T) {
				size = max(size, rapid.SampledFrom([]int{1, 64, 65, 4096, 4097, 9000}).Draw(t, "size"))
				l.grow(size)
			},
			"add": func(t *rapid.T) {
				if size == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, size-1).Draw(t, "index")
				l.add(i)
				in[i] = true
			},
			"remove": func(t *rapid.T) {
				if size == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, size-1).Draw(t, "index")
				l.remove(i)
				delete(in, i)
			},
			"": func(t *rapid.T) {
				found := map[int]bool{}
				for i := l.next(0); i >= 0; i = l.next(i + 1) {
					found[i] = true
				}
				assert.Equal(t, in, found)
			},
		})
	})
}
