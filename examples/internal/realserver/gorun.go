//go:build linux

package realserver

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// GoRun builds the Go program in folder, runs it with input as its standard input and
// variable added to its environment, and returns what it printed.
func GoRun(t testing.TB, folder, variable, input string) (output string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, folder).CombinedOutput()
	require.NoError(t, err, "%s", out)
	command := exec.CommandContext(t.Context(), program)
	command.Env = append(os.Environ(), variable)
	command.Stdin = strings.NewReader(input)
	var complaints strings.Builder
	command.Stderr = &complaints
	out, err = command.Output()
	require.NoError(t, err, "it printed: %s%s", out, complaints.String())
	return string(out)
}
