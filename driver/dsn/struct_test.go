package dsn

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tagged has a field of each kind.
type tagged struct {
	Text     string        `dsn:"text"`
	On       bool          `dsn:"on"`
	Off      bool          `dsn:"working,not"`
	Count    int           `dsn:"count"`
	Share    float64       `dsn:"share"`
	Pause    time.Duration `dsn:"pause"`
	Names    []string      `dsn:"names"`
	Function func()        // not a parameter
	own      string        // not a parameter
}

func TestStructBindsTheTaggedFields(t *testing.T) {
	got := tagged{Text: "default", own: "x"}
	var p Params
	p.Struct(&got, "count")
	assert.Equal(t, []string{"text", "on", "working", "share", "pause", "names"}, p.Names())
	require.NoError(t, p.Apply(map[string]string{"on": "true", "working": "false", "share": "-0.5", "pause": "-1s", "names": "a,b"}))
	assert.Equal(t, tagged{Text: "default", On: true, Off: true, Share: -0.5, Pause: -time.Second, Names: []string{"a", "b"}, own: "x"}, got)
	require.NoError(t, p.Apply(map[string]string{"working": "true"}))
	assert.False(t, got.Off)
}

func TestStructSaysWhatAFieldMayBe(t *testing.T) {
	var p Params
	p.Struct(new(tagged))
	err := p.Apply(map[string]string{"on": "x", "working": "x", "count": "x", "share": "x", "pause": "x"})
	require.EqualError(t, err, `dsn: parameter count="x": want a whole number
dsn: parameter on="x": want true or false
dsn: parameter pause="x": want a Go duration, such as 30s or 4m
dsn: parameter share="x": want a number
dsn: parameter working="x": want true or false`)
}

func TestStructPanicsOnMisuse(t *testing.T) {
	for name, config := range map[string]any{
		"an odd type": &struct {
			A func() `dsn:"a"`
		}{},
		"an odd option": &struct {
			A bool `dsn:"a,yes"`
		}{},
		"not without a bool": &struct {
			A string `dsn:"a,not"`
		}{},
		"a struct by value": struct {
			A string `dsn:"a"`
		}{},
		"a name that is used": &struct {
			A string `dsn:"a"`
			B string `dsn:"a"`
		}{},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Panics(t, func() { new(Params).Struct(config) })
		})
	}
}
