//go:build linux

package postgres_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/examples/internal/realserver"
)

func TestTheProgramDoesEachJobOnce(t *testing.T) {
	s := start(t, 20)
	out := realserver.GoRun(t, "./program", "DSN="+dsn(s.Addr), "one\ntwo\nthree\n")
	assert.ElementsMatch(t, []string{"did one", "did two", "did three"}, strings.Split(strings.TrimSpace(out), "\n"))
	assert.Empty(t, realserver.GoRun(t, "./program", "DSN="+dsn(s.Addr), ""), "no job is left")
}

func TestTheProgramOfSQLRunsQueries(t *testing.T) {
	s := start(t, 20)
	out := realserver.GoRun(t, "./sqlprogram", "DSN="+dsn(s.Addr), "select 6 * 7\nselect 'seven'\n")
	assert.ElementsMatch(t, []string{"42", "seven"}, strings.Fields(out))
}
