//go:build linux

package mailserver

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// absent is a server that is not installed.
type absent struct{ Kind }

func (absent) name() string     { return "absent" }
func (absent) obstacle() string { return "can't run absent" }

// verdict is how a test ends.
type verdict struct {
	testing.TB
	skipped, failed []any
}

func (v *verdict) Helper()           {}
func (v *verdict) Skip(args ...any)  { v.skipped = args; panic(v) }
func (v *verdict) Fatal(args ...any) { v.failed = args; panic(v) }

func TestAMissingServerSkipsTheTestUnlessItIsRequired(t *testing.T) {
	for value, required := range map[string]bool{"": false, "off": false, "required": true} {
		t.Setenv("HOTLINE_MAILSERVERS", value)
		v := &verdict{}
		assert.PanicsWithValue(t, v, func() { Start(v, absent{}, Options{}) })
		assert.Equal(t, required, v.failed != nil, "%q fails the test", value)
		assert.Equal(t, !required, v.skipped != nil, "%q skips the test", value)
	}
}
