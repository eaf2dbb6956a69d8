//go:build linux

package realserver

import (
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDescendantsAreFoundInOtherProcessGroups(t *testing.T) {
	shell := exec.Command("sh", "-c", "setsid sleep 60 & echo; wait") // setsid makes a group
	output, err := shell.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, shell.Start())
	_, err = output.Read(make([]byte, 1)) // it has a child
	require.NoError(t, err)
	found := descendants(shell.Process.Pid)
	assert.Len(t, found, 1)
	for _, pid := range append([]int{shell.Process.Pid}, found...) { // the shell ends with its child
		assert.True(t, alive(pid))
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	_ = shell.Wait()
	assert.False(t, alive(shell.Process.Pid))
}
