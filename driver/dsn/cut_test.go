package dsn

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCutLeavesTheRestAsItWas(t *testing.T) {
	for _, tc := range []struct {
		text, rest string
		params     map[string]string
	}{
		{"", "", nil},
		{"host=h pool_a=1", "host=h pool_a=1", nil},
		{"tcp://h?", "tcp://h?", nil},
		{"tcp://h?pool_a=1", "tcp://h", map[string]string{"a": "1"}},
		{"tcp://h?pool_a=1&pool_b=2", "tcp://h", map[string]string{"a": "1", "b": "2"}},
		{"tcp://h?pool_a=1&x=%zz&&y", "tcp://h?x=%zz&&y", map[string]string{"a": "1"}},
		{"tcp://h?x=1&pool_a=%31+2&y=2", "tcp://h?x=1&y=2", map[string]string{"a": "1 2"}},
		{"tcp://h?x=1&pool_a", "tcp://h?x=1", map[string]string{"a": ""}},
		{"tcp://h?xpool_a=1&x=pool_a=1", "tcp://h?xpool_a=1&x=pool_a=1", nil},
		{"u:p%w@tcp(h)/db?x=1&pool_a=5", "u:p%w@tcp(h)/db?x=1", map[string]string{"a": "5"}},
		{"u:p?w@tcp(h)/db?pool_a=5&x=1", "u:p?w@tcp(h)/db?x=1", map[string]string{"a": "5"}},
		{"u:p?w&@tcp(h)/db?pool_a=5", "u:p?w&@tcp(h)/db", map[string]string{"a": "5"}},
	} {
		t.Run(tc.text, func(t *testing.T) {
			rest, params, err := Cut(tc.text, "pool_")
			require.NoError(t, err)
			assert.Equal(t, tc.rest, rest)
			want := map[string]string{}
			for name, value := range tc.params {
				want["pool_"+name] = value
			}
			assert.Equal(t, want, params)
		})
	}
}

func TestCutReportsEveryFault(t *testing.T) {
	_, _, err := Cut("x?pool_a=%zz&pool_b=1&pool_b=2&pool_c%=3", "pool_")
	require.EqualError(t, err, strings.Join([]string{
		"dsn: parameter pool_a: want two hex digits after each %; write %25 for a percent sign",
		"dsn: parameter pool_b has the same name as an earlier one",
		"dsn: parameter name: want letters, digits, _ and -" + hint,
	}, "\n"))
}

func FuzzCutTakesOutWhatWasPutIn(f *testing.F) {
	f.Add("u:p?w@tcp(h)/db?x=1&y=2", "5", 1)
	f.Add("tcp://h", "a&b?c", 0)
	f.Fuzz(func(t *testing.T, text, value string, at int) {
		if strings.Contains(text, "pool_") {
			t.Skip("the text has parameters of the pool")
		}
		separator, start := "&", strings.IndexByte(text, '?')
		if start < 0 {
			separator, start = "?", len(text)
		}
		places := []int{len(text)} // where a parameter can be inserted
		for i := start + 1; i < len(text); i++ {
			if text[i] == '&' || text[i] == '?' {
				places = append(places, i)
			}
		}
		i := places[int(uint(at)%uint(len(places)))]
		rest, params, err := Cut(text[:i]+separator+"pool_a="+url.QueryEscape(value)+text[i:], "pool_")
		require.NoError(t, err)
		require.Equal(t, text, rest)
		require.Equal(t, map[string]string{"pool_a": value}, params)
	})
}
