//go:build linux

package realserver_test

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/examples/internal/realserver"
)

// The tests use memcached because it starts fast.
var memcached = realserver.Program{
	Name: "memcached", Package: "memcached", User: "nobody",
	Configure: func(s *realserver.Server) []string { return []string{"-l", "127.0.0.1", "-p", s.Port(), "-vv"} },
}

func TestAServerIsBackOnItsPortAfterAKill(t *testing.T) {
	s := realserver.Start(t, memcached)
	for range 2 {
		nc, err := net.Dial("tcp", s.Addr)
		require.NoError(t, err)
		defer nc.Close()
		assert.Equal(t, 1, s.Connections())
		s.Kill()
		_, err = nc.Read(make([]byte, 1))
		assert.Error(t, err)
		_, err = net.Dial("tcp", s.Addr)
		assert.Error(t, err)
		s.Start()
		assert.Zero(t, s.Connections())
		assert.Zero(t, strings.Count(s.Log(), "new auto-negotiating client"), "from before the restart")
	}
}

// verdict is how a test ends.
type verdict struct {
	testing.TB
	skipped, failed []any
}

func (v *verdict) Helper()           {}
func (v *verdict) Skip(args ...any)  { v.skipped = args; panic(v) }
func (v *verdict) Fatal(args ...any) { v.failed = args; panic(v) }

func TestAMissingProgramSkipsTheTestUnlessItIsRequired(t *testing.T) {
	for value, required := range map[string]bool{"": false, "off": false, "required": true} {
		t.Setenv("HOTLINE_SERVERS", value)
		v := &verdict{}
		assert.PanicsWithValue(t, v, func() { realserver.Find(v, "absentd", "absent") })
		assert.Equal(t, required, v.failed != nil, "%q fails the test", value)
		assert.Equal(t, !required, v.skipped != nil, "%q skips the test", value)
	}
}
