//go:build linux

package mailserver

import (
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cat runs a process group that exits with success when its input ends.
func cat(t *testing.T) (command *exec.Cmd, end func() error) {
	command = exec.Command("cat")
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := command.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	return command, func() error { input.Close(); return command.Wait() }
}

func TestAServerThatHasEndedIsNotEndedAgain(t *testing.T) {
	ended, end := cat(t)
	require.NoError(t, end())
	other, end := cat(t)
	ended.Process.Pid = other.Process.Pid // as if the system had reused the id
	s := &Server{t: t, command: ended}
	s.end(0)
	assert.NoError(t, end(), "the other process is still running")
}
